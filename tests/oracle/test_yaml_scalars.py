"""What a scalar means, in every kind of field, compared with go-yaml and the upstream policy reader.

The scalars are made from a seed and by hand: numbers and their look-alikes, booleans, nulls, times, tags, quotes,
block scalars, escapes, Unicode. Questions go to the oracle in batches. KAUDIT_FULL=1 asks ten times as many.
"""

from __future__ import annotations

import json
import os
import re
from random import Random
from typing import Any

import pytest

from kaudit_core.policy.document import Number, Unreadable
from kaudit_core.policy.yaml_document import read_yaml
from tests.oracle.policy_answers import differences
from tests.oracle.upstream import PINS, Oracle, encoded

pytestmark = pytest.mark.oracle

FULL = 10 if os.environ.get("KAUDIT_FULL", "0") not in ("", "0") else 1
MADE = 12_000 * FULL
IN_FIELDS = 2_000 * FULL
SHOWN = 5

WORDS = """
y Y yes Yes YES yEs n N no No NO on On ON oN off Off OFF true True TRUE tRue false False FALSE t f o O ~ null
Null NULL nUll nil None ~~ '' "" 0 -0 +0 00 007 08 09 0o17 0O17 0o18 0b1 0B1 0b2 -0b1 +0b1 0b-1 0b+1 -0b-1
0x1F 0X1f 0xg -0x1 +0x1 0x 0b 0o 1_000 1__0 _1 1_ +_1 -_1 0_7 0x_1 0_x1 0b_1 1_e3 1e_3 1.5_5 ._5 .5_ .5_5
.5__5 - + -+1 --1 +-1 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 0xFFFFFFFFFFFFFFFF +18446744073709551615 0777777777777777777777 1.0
1. .1 . .. ... 1.. 1.1.1 1e3 1E3 1e+3 1e-3 1e 1e+ e1 .e1 1.e1 .1e1 .1e 0x1p4 0x.1p1 1e400 -1e400 1e-400 .5e400
1e20 1e21 123456789012345678901234567890 1e-6 1e-7 0.1 1e6 1234567.5 3.4028235e38 3.5e38 1e-46 16777217.0 -0.0
.inf .Inf .INF .iNF -.inf +.inf +.Inf .nan .NaN .NAN .Nan inf nan Infinity infinity +inf 12:30:45 1:2 60:60
190:20:30.15 2020-01-01 2020-1-1 2020-13-01 2020-02-30 0000-01-01 2020-01-01T00:00:00Z
2020-01-01t1:2:3.5-24:60 2020-01-01T24:00:00Z 2020-01-01T1:2:60Z 20200-01-01 2020- 2020-01 2020-01-01T00:00:00
= << < = => <<< - ? : -a ?a :a a: a:b a#b #a @ ` %
"""
"""Scalars without white space."""

BY_HAND = (
    *WORDS.split(),
    "",
    "2020-01-01 1:2:3",
    "2020-01-01  1:2:3,5",
    "2020-01-01 1:2:3Z",
    "2020-01-01 1:2:3 +1",
    "a #b",
    "a: b",
    "- a",
    "? a",
    "!!str",
    "!",
    "! ~",
    "! 1",
    "! '1'",
    "!a",
    "!a 1",
    "!a!b 1",
    "!<x> 1",
    "!! 1",
    "!!unknown 1",
    "!!str 1",
    "!!str ~",
    "!!str",
    "!!str yes",
    "!!str .inf",
    "!!int 1",
    "!!int '1'",
    "!!int a",
    "!!int 1.5",
    "!!int 2020-01-01",
    "!!int 18446744073709551615",
    "!!float 1",
    "!!float '1'",
    "!!float .inf",
    "!!float a",
    "!!float 18446744073709551615",
    "!!bool yes",
    "!!bool 'no'",
    "!!bool 1",
    "!!null ~",
    "!!null ''",
    "!!null a",
    "!!null",
    "!!timestamp 2020-01-01",
    "!!timestamp 2020-02-30",
    "!!timestamp 1",
    "!!timestamp '2020-01-01'",
    "!!timestamp 2020-1-1 1:2:3",
    "!!timestamp 2020-01-01T1:2:3.4+24:60",
    "!!merge <<",
    "!!binary YQ==",
    "!!binary YQ",
    "!!binary YR==",
    "!!binary '!'",
    "!!binary gIA=",
    "!!binary ''",
    "!!binary |\n   Y\n   Q==",
    "!!map a",
    "!!seq a",
    "!!set a",
    "!!omap a",
    "&a 1",
    "&a !!str 1",
    "!!str &a 1",
    "&a",
    "*a",
    "!<tag:yaml.org,2002:int> 1",
    "!<tag:yaml.org,2002:> 1",
    "|\n   1",
    "|-\n   1",
    ">\n   1",
    ">-\n   yes",
    "|+\n   ~\n",
    "|2\n    a",
    "|\n",
    "'1'",
    '"1"',
    "'it''s'",
    '"a\\tb"',
    '"\\x31"',
    '"\\u0031"',
    '"\\U0001F600"',
    '"\\ud800"',
    '"\\U00110000"',
    '"\\_"',
    '"\\N"',
    '"\\L"',
    '"\\P"',
    '"\\e"',
    '"\\0"',
    '"\\/"',
    '"\\\'"',
    '"\\q"',
    '"a\\\n   b"',
    "'a\n   b'",
    "'a\n\n   b'",
    "a\n   b",
    "é",
    "😀",
    "\u00a0",
    "\u2028",
    "\u0085",
    "\ufeff",
    "\ufeff1",
    "a\ufeffb",
    "\ufffd",
    "\ue000",
    "\u0661",
    "１",
    "\x7f",
    "\x80",
    "a\tb",
    "1\t",
    "\t1",
    "1 # x",
    "1#x",
    "[a:]",
    "[a?]",
    "[a, b:c:]",
    "['a:']",
    "[!a,b c]",
    "![a] b",
    "{a? : b}",
)


def near_number(rng: Random) -> str:
    """A number with a few parts that may not belong there."""
    text = rng.choice(("", "", "", "-", "+", "."))
    text += rng.choice(("", "", "", "0", "0x", "0X", "0b", "0o", "00", "0b-", "0B"))
    text += "".join(rng.choice("0123456789019") for _ in range(rng.choice((0, 1, 2, 3, 18, 19, 20, 21))))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice("_.eE+-xobaF0189:T") + text[at:]
    return text


def near_time(rng: Random) -> str:
    """A time, or nearly one."""
    numbers = [
        rng.choice(("0", "1", "00", "01", "12", "13", "24", "29", "30", "31", "59", "60", "2020")) for _ in range(6)
    ]
    year = rng.choice(("2020", "2021", "0000", "1900", "2000", "999", "20200"))
    date = f"{year}-{numbers[0]}-{numbers[1]}"
    clock = f"{numbers[2]}:{numbers[3]}:{numbers[4]}" + rng.choice(("", ".5", ",5", ".", ".1234567890123"))
    zone = rng.choice(("", "Z", "z", "+01:00", "-24:60", "+25:00", "+1:00", " +1"))
    text = rng.choice((date, date + rng.choice("Tt ") + clock + zone, clock, date + "T" + clock + "Z"))
    return rng.choice(("", "", "!!timestamp ", "!!timestamp ")) + text


def near_word(rng: Random) -> str:
    """A word that may be a boolean or null, in some letter case and some quotes."""
    word = rng.choice(
        ("yes", "no", "on", "off", "true", "false", "null", "y", "n", "~", ".inf", ".nan", "+.inf", "<<", "inf")
    )
    word = rng.choice((word, word.upper(), word.title(), word.swapcase(), word[:-1], word + "s", word + word))
    word = "".join(rng.choice((char, char, char, char.upper(), char.lower())) for char in word)
    tag = rng.choice(("", "", "", "", "!!bool ", "!!str ", "!!null ", "!!float ", "!!int ", "! ", "!x ", "!!binary "))
    return tag + rng.choice((word, word, word, f"'{word}'", f'"{word}"', f"|-\n   {word}", f">\n   {word}"))


def near_text(rng: Random) -> str:
    """Characters that YAML cares about, in any order."""
    pieces = (
        "a",
        "b",
        " ",
        ":",
        ": ",
        "#",
        " #",
        "-",
        "- ",
        "?",
        ",",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "\\",
        "\\x41",
        "&",
        "*",
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "\t",
        "\n   ",
        "\n\n   ",
        "é",
        "😀",
        "1",
        ".",
        "=",
        "~",
        "\u0085",
        "\u2028",
        "\ufeff",
        "\r\n   ",
    )
    text = "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 7)))
    return rng.choice((text, text, f'"{text}"', f"'{text}'"))


KNOWN = re.compile(rb"\xef\xbb\xbf\xef\xbb\xbf|\s*[{\[]\s*[?}\]]|[{\[]?!,@")
"""Decision 0004: two byte order marks, a collection first that is empty or begins with ?, a tag with a comma and @."""

MAKERS = (near_number, near_number, near_time, near_word, near_text)


def scalars(count: int, seed: int = 1) -> list[str]:
    """The scalars by hand, then made ones, each once."""
    rng = Random(seed)
    found = dict.fromkeys(BY_HAND)
    while len(found) < count:
        found[rng.choice(MAKERS)(rng)] = None
    return list(found)


def json_value(value: Any) -> Any:
    """A value of ours as json.loads gives it."""
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_value(item) for item in value]
    return json.loads(value) if isinstance(value, Number) else value


def ours(text: bytes) -> tuple[bool, Any]:
    """Whether we read a document, and its value."""
    try:
        return True, json_value(read_yaml(text).root)
    except Unreadable:
        return False, None


def kind(value: Any) -> Any:
    """1, 1.0 and true are equal in Python and must not be here."""
    if isinstance(value, dict):
        return {key: kind(item) for key, item in value.items()}
    return [kind(item) for item in value] if isinstance(value, list) else (type(value), value)


def compare(oracle: Oracle, texts: list[bytes]) -> list[str]:
    """One line for every document that go-yaml reads differently."""
    found = []
    answers = oracle.ask({"op": "yaml", "text": encoded(text)} for text in texts)
    for text, answer in zip(texts, answers, strict=True):
        read, value = ours(text)
        same = read == ("json" in answer) and (not read or kind(value) == kind(answer["json"]))
        if not same and not KNOWN.match(text):
            found.append(f"{text!r}: ours {value if read else 'refused'!r}, upstream {answer}")
    return found


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize(
    "form",
    [
        pytest.param("{}\n", id="alone"),
        pytest.param("k: {}\n", id="value"),
        pytest.param("- {}\n- z\n", id="item"),
        pytest.param("[{}, z]\n", id="flow-item"),
        pytest.param("{{k: {}, z: 1}}\n", id="flow-value"),
        pytest.param("{}: v\n", id="key"),
        pytest.param("{{{}: v}}\n", id="flow-key"),
    ],
)
def test_scalars_have_the_value_that_go_yaml_gives_them(oracles: dict[str, Oracle], version: str, form: str) -> None:
    """Every scalar, as a value and as a key, in block and in flow style."""
    texts = [form.format(text).encode("utf-8", "surrogatepass") for text in scalars(MADE)]

    found = compare(oracles[version], texts)

    assert not found, f"{len(found)} of {len(texts)}:\n" + "\n".join(found[:SHOWN])


HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
FIELDS = {
    "level": HEAD + "rules:\n- level: {}\n",
    "users-item": HEAD + "rules:\n- level: None\n  users:\n  - {}\n",
    "users-flow-item": HEAD + "rules:\n- level: None\n  users: [{}, z]\n",
    "bool": HEAD + "rules:\n- level: None\n  omitManagedFields: {}\n",
    "group": HEAD + "rules:\n- level: None\n  resources:\n  - group: {}\n",
    "list": HEAD + "rules:\n- level: None\n  verbs: {}\n",
    "unknown-field": HEAD + "foo: {}\nrules:\n- level: None\n",
    "rule-key": HEAD + "rules:\n- level: None\n  {}: a\n",
    "label": HEAD + "metadata: {{labels: {{a: {}}}}}\nrules:\n- level: None\n",
    "integer": HEAD + "metadata:\n  generation: {}\nrules:\n- level: None\n",
    "time": HEAD + "metadata:\n  creationTimestamp: {}\nrules:\n- level: None\n",
    "api-version": "apiVersion: {}\nrules:\n- level: None\n",
    "kind": "apiVersion: audit.k8s.io/v1\nkind: {}\nrules:\n- level: None\n",
}


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize("field", FIELDS)
def test_scalars_in_a_field_are_taken_or_refused_as_upstream_does(
    oracles: dict[str, Oracle], version: str, field: str
) -> None:
    """Every kind of field takes and refuses the same scalars, and the same policy comes of it."""
    texts = scalars(len(BY_HAND) + IN_FIELDS, seed=len(field))

    found = differences(oracles[version], [FIELDS[field].format(text).encode() for text in texts])

    assert not found, f"{len(found)} of {len(texts)}:\n" + "\n".join(found[:SHOWN])


def test_there_are_ten_thousand_scalars() -> None:
    """The number the comparison promises."""
    assert 10_000 <= len(set(scalars(MADE)))
