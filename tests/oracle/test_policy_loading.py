"""Policy files put to the upstream reader, on both pins: refused alike, and the same policy where they load.

Also alike: whether a strict reader has something against the file. KAUDIT_FULL=1 makes ten times as many files,
KAUDIT_SEED=n makes others. A failure prints the file and both answers.
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest

from kaudit_core.policy.reader import read_policy
from tests.oracle.policy_answers import differences
from tests.oracle.upstream import PINS, Oracle
from tests.policy.generated_documents import disturb_bytes, document
from tests.policy.test_bad_policies import CORPUS, FILES

pytestmark = pytest.mark.oracle

SCALE = 10 if os.environ.get("KAUDIT_FULL", "0") not in ("", "0") else 1
SEED = int(os.environ.get("KAUDIT_SEED", "1"))
MADE = 4_000 * SCALE
SHOWN = 3


def report(found: list[str], count: int) -> str:
    """The first differences, and how many there are."""
    return f"{len(found)} of {count} files differ:\n" + "\n".join(found[:SHOWN])


@pytest.mark.parametrize("version", PINS)
def test_made_policies_load_as_upstream(oracles: dict[str, Oracle], version: str) -> None:
    """Valid and nearly valid files in many styles: the same policy, or both refuse."""
    files = [document(seed) for seed in range(SEED * 10**9, SEED * 10**9 + MADE)]

    found = differences(oracles[version], files)

    assert not found, report(found, len(files))


def test_made_policies_are_neither_all_good_nor_all_bad() -> None:
    """The generator is worth something: a fair part loads, with and without findings, a fair part is refused."""
    readings = [read_policy(document(seed), "made") for seed in range(1_000)]

    loaded = [reading for reading in readings if not reading.refused]
    assert 150 < len(loaded) < 850
    assert 20 < sum(not reading.strict for reading in loaded)


@pytest.mark.parametrize("version", PINS)
def test_the_corpus_loads_as_upstream(oracles: dict[str, Oracle], version: str) -> None:
    """All of bad-policies, each also with a few bytes changed."""
    rng = Random(SEED)
    files = [(CORPUS / name).read_bytes() for name in FILES]
    files += [disturb_bytes(rng, data) for data in files for _ in range(20 * SCALE)]

    found = differences(oracles[version], files)

    assert not found, report(found, len(files))


def repeated_json(rng: Random) -> bytes:
    """A JSON policy whose fields come several times, with lists of different lengths and nulls."""

    def pairs(names: tuple[str, ...], make: Any) -> str:
        some = [rng.choice(names) for _ in range(rng.randrange(1, 6))]
        return "{" + ",".join(f"{json.dumps(name)}:{make(name)}" for name in some) + "}"

    def texts() -> str:
        return json.dumps(rng.choice((None, [], ["a"], ["b", "c"], ["d", None, "f"], [None], ["g", "h", "i", "j"])))

    def entry(name: str) -> str:
        return json.dumps(rng.choice((None, "", "apps"))) if name == "group" else texts()

    def field(name: str) -> str:
        if name == "level":
            return json.dumps(rng.choice((None, "None", "Metadata", "Request")))
        if name == "omitManagedFields":
            return json.dumps(rng.choice((None, True, False)))
        if name == "resources":
            made = [pairs(("group", "resources", "resourceNames"), entry) for _ in range(rng.randrange(4))]
            return rng.choice(("null", "[" + ",".join(made) + "]"))
        return texts()

    def rules() -> str:
        names = ("level", "level", "users", "verbs", "resources", "omitManagedFields")
        made = [rng.choice(("null", pairs(names, field), pairs(names, field))) for _ in range(rng.randrange(5))]
        return "[" + ",".join(made) + "]"

    labels = ('{"a":"b","a":null}', "null", '{"c":"d"}')
    parts = [f'"rules":{rules()}' for _ in range(rng.randrange(1, 4))]
    parts += [f'"metadata":{{"labels":{rng.choice(labels)},"labels":{rng.choice(labels)}}}'] * rng.randrange(2)
    parts += [f'"omitManagedFields":{json.dumps(rng.choice((True, False, None)))}' for _ in range(rng.randrange(3))]
    parts.append('"rules":[{"level":"None"},{"level":"Metadata"},{"level":"Request"}]')
    rng.shuffle(parts)
    return ('{"apiVersion":"audit.k8s.io/v1",' + ",".join(parts) + "}").encode()


@pytest.mark.parametrize("version", PINS)
def test_repeated_json_fields_are_laid_over_each_other_as_go_does(oracles: dict[str, Oracle], version: str) -> None:
    """Go decodes a repeated field into what the first one left, lists item by item, cut-off items included."""
    rng = Random(SEED)
    files = [repeated_json(rng) for _ in range(MADE // 2)]

    found = differences(oracles[version], files)

    assert not found, report(found, len(files))


POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
AS_JSON = '{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"Metadata"}],"x":%s}'
LEVELS_OF_ALIASES = "x:\n- &a0 [a,a,a,a,a,a,a,a,a]\n"


def aliases(levels: int, each: int) -> str:
    """Lists of aliases of lists of aliases."""
    lists = (f"- &a{level} [{','.join([f'*a{level - 1}'] * each)}]\n" for level in range(1, levels))
    return POLICY + LEVELS_OF_ALIASES + "".join(lists)


ODD: dict[str, str | bytes] = {
    "nothing": b"",
    "blank": b"  \n",
    "comment-only": b"# x\n",
    "marker-only": b"---\n",
    "nul": b"\0",
    "all-bytes": bytes(range(256)),
    "utf-16": POLICY.encode("utf-16"),
    "utf-16-big-endian": b"\xfe\xff" + POLICY.encode("utf-16-be"),
    "utf-16-without-mark": POLICY.encode("utf-16-le"),
    "utf-32": POLICY.encode("utf-32"),
    "json-after-no-break-space": b"\xc2\xa0" + (AS_JSON % "1").encode(),
    "json-after-byte-order-mark": b"\xef\xbb\xbf" + (AS_JSON % "1").encode(),
    "json-after-vertical-tab": b"\x0b" + (AS_JSON % "1").encode(),
    "json-not-utf-8": b'{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"None","users":["\xff\xfe","\xe2\x82"]}]}',
    "json-half-a-pair": r'{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"None","users":["\ud800"]}]}',
    "json-surrogates": AS_JSON % r'{"\ud800\udc00\ud800":1}',
    **{
        f"json-{name}": AS_JSON % value
        for name, value in {
            "nan": "NaN",
            "infinity": "-Infinity",
            "long-number": "9" * 5_000,
            "huge-exponent": "1e999",
            "leading-zero": "01",
            "plus": "+1",
            "trailing-point": "1.",
            "control": '"\x01"',
            "delete": '"\x7f"',
            "bad-escape": '"\\u+123"',
            "underscore-escape": '"\\u1_23"',
            "apostrophe-escape": '"\\\'"',
            "trailing-comma": "[1,]",
            "arabic-digit": "\u0661",
            "comment": "1 /* */",
            "no-break-space": "\u00a01",
        }.items()
    },
    **{f"json-nested-{depth}": AS_JSON % ("[" * depth + "]" * depth) for depth in (500, 2_000, 9_999, 10_000, 100_000)},
    **{f"flow-nested-{depth}": POLICY + "x: " + "[" * depth + "]" * depth for depth in (999, 9_999, 10_000, 20_000)},
    **{f"map-nested-{depth}": POLICY + "x: " + "{a: " * depth + "}" * depth for depth in (999, 9_999, 10_000)},
    **{
        f"block-nested-{depth}": POLICY + "x:\n  " + "- " * depth + "a\n"
        for depth in (999, 9_997, 9_998, 9_999, 10_001)
    },
    "aliases-explode": aliases(8, 9),
    "aliases-few": aliases(4, 3),
    "alias-in-itself": POLICY + "x: &a [*a]\n",
    "merge-of-itself": POLICY + "x: &a {<<: *a}\n",
    # go-yaml reads 512 bytes at a time: whether a bad byte after the document is seen depends on where it is.
    **{f"bad-byte-{n}-after-end": f"{POLICY}...\n{'#' * n}\n\x01" for n in (1, 300, 441, 442, 443, 500, 600, 16_000)},
    **{f"bad-utf-8-{n}-after-end": (f"{POLICY}---\n{'#' * n}\n").encode() + b"\xff" for n in (1, 400, 500, 2_000)},
    "list": b"[1]",
    "text": b'"x"',
    "tagged-root": "!!map\n" + POLICY,
    "kelvin-kind": POLICY.replace("kind", "\u212aind"),
    "long-s-api-version": POLICY.replace("apiVersion", "apiVer\u017fion"),
    "lower-api-version-comes-later": "apiversion: audit.k8s.io/v1\n" + POLICY.replace("audit.k8s.io/v1", "foo/v1"),
    "null-api-version-comes-later": "apiversion: null\n" + POLICY,
    "number-api-version-comes-later": "apiversion: 3\n" + POLICY,
    "upper-kind-comes-first": "KIND: Event\n" + POLICY,
    "other-kind-comes-later": "kinD: Event\n" + POLICY,
    **{
        f"api-version-{number}": POLICY.replace("audit.k8s.io/v1", version)
        for number, version in enumerate(
            ("/", "//", "audit.k8s.io/", "/v1", "v1", "audit.k8s.io/__internal", '""', "~", "[a]")
        )
    },
    **{
        f"kind-{kind}": POLICY.replace("Policy", kind)
        for kind in ('""', "~", "policy", "PolicyList", "ListOptions", "1", "[a]")
    },
    "json-in-yaml": "--- " + AS_JSON % "1",
    "json-in-yaml-with-text-after-it": "--- " + AS_JSON % "1" + " x",
    "json-in-yaml-as-key": "--- " + AS_JSON % "1" + ": y",
    "key-beyond-int64": POLICY + "18446744073709551615: a",
    "bad-key-replaced": POLICY + "x: {~: a}\nx: 1",
    "null-key-beside-its-name": POLICY + 'x: {~: a, "null": b}',
    "infinity-replaced": POLICY + "x: .inf\nx: 1",
    "nan-key": POLICY + "x: {.nan: 1}",
    **{f"lines-end-with-{ord(end):x}": POLICY.replace("\n", end) for end in "\r\x85\u2028\u2029"},
    **{f"key-of-{length}": POLICY + "a" * length + ": 1\n" for length in (1_023, 1_024, 1_025, 1_100)},
    "long-key-in-flow": POLICY + "x: {" + "a" * 1_100 + ": 1}\n",
    "anchor-defined-twice": "x: &a 1\ny: &a 2\nz: *a\n" + POLICY,
    "merge-after-its-keys": "b: &b {level: None}\n" + POLICY + "  <<: *b\n",
    "merge-before-its-keys": "b: &b {level: None}\n" + POLICY.replace("- level", "- <<: *b\n  level"),
    "merge-of-a-list": "b: &b {level: None, users: [a]}\nc: &c {users: [b]}\n"
    + POLICY.replace("level: Metadata", "<<: [*b, *c]"),
    "colons-in-brackets": POLICY + "  users: ['x:', a:, b::, c:d:]\n  verbs: [&a e,f:]\n" * 3,
    "many-colons-in-brackets": POLICY + "- {level: None, users: [a:]}\n" * 500,
}


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize("name", ODD)
def test_odd_files_load_as_upstream(oracles: dict[str, Oracle], version: str, name: str) -> None:
    """Corners of both syntaxes: encodings, depth, aliases, key sizes, letter case of apiVersion and kind."""
    text = ODD[name]

    found = differences(oracles[version], [text if isinstance(text, bytes) else text.encode()])

    assert not found, report(found, 1)[:2_000]
