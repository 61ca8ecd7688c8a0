"""The two syntax readers: values, places, and that the quick ways give what the careful ones give."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.policy import json_document
from kaudit_core.policy.document import Document, Unreadable, decode_utf8
from kaudit_core.policy.json_document import is_json, read_json
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.scalars import json_float, key_float, resolve
from kaudit_core.policy.timestamps import is_rfc3339, is_yaml_timestamp
from kaudit_core.policy.unknown_fields import distance
from kaudit_core.policy.yaml_document import read_yaml
from tests.policy.generated_documents import document
from tests.policy.test_bad_policies import CORPUS, FILES

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.text(max_size=4).map(lambda text: re.sub(json_document._SURROGATE, "", text)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["rules", "kind", "x"]), VALUES, min_size=1), st.sampled_from(["", " ", "\n "]))
def test_the_quick_json_reader_agrees_with_the_careful_one(value: dict[str, Any], gap: str) -> None:
    """One grammar, two readers: the same tree, and the same place for everything in it."""
    text = json_text(value, gap)

    quick, careful = json_document._parsed(text), json_document._Careful(text).document()

    assert careful.root == quick.root == value
    for path in paths(value):
        assert careful.locate(path) == quick.locate(path), path


def json_text(value: Any, gap: str) -> str:
    """JSON with white space of our choice between its tokens."""
    if isinstance(value, dict):
        return "{" + f",{gap}".join(f"{json.dumps(k)}{gap}:{gap}{json_text(v, gap)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + f",{gap}".join(json_text(item, gap) for item in value) + gap + "]"
    return json.dumps(value)


def paths(value: Any) -> list[tuple[str | int, ...]]:
    """Every path into a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *rest) for key, item in entries for rest in paths(item))]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        pytest.param('{"a":1,}', 1, 8, id="comma-at-the-end"),
        pytest.param('{"a"\n:1\n"b":2}', 3, 1, id="missing-comma"),
        pytest.param('{"a":[1,\n2}', 2, 2, id="wrong-bracket"),
        pytest.param('{"a":tru}', 1, 6, id="misspelt-word"),
        pytest.param('{"a":1} x', 1, 9, id="text-after-the-end"),
        pytest.param('{"a":"\n"}', 1, 6, id="line-break-in-a-string"),
        pytest.param('{"a":', 1, 6, id="end-of-file"),
        pytest.param("{1:2}", 1, 2, id="number-as-name"),
    ],
)
def test_a_json_fault_has_its_place(text: str, line: int, column: int) -> None:
    """Line and column of the first thing that is not JSON."""
    with pytest.raises(Unreadable) as caught:
        read_json(text.encode())

    assert (line, column) == (caught.value.line, caught.value.column)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b" \r\n\t{", True, id="white-space-then-brace"),
        pytest.param("\u00a0\u2028\u3000{".encode(), True, id="unicode-white-space-then-brace"),
        pytest.param(b"\xef\xbb\xbf{", False, id="a-byte-order-mark-is-no-white-space"),
        pytest.param(b"[{", False, id="a-list-is-yaml"),
        pytest.param(b"\xff{", False, id="a-bad-byte-is-no-white-space"),
    ],
)
def test_json_is_what_begins_with_a_brace(data: bytes, expected: bool) -> None:
    """The server looks at the first thing after white space, and at nothing else."""
    assert expected == is_json(data)


def place(reader: Document, *path: str | int) -> tuple[int, int]:
    """Where a value stands."""
    return reader.locate(path)


def test_yaml_values_have_their_places() -> None:
    """Keys, values and items, in block and in flow style."""
    found = read_yaml(b"a: 1\nb:\n- x\n- {c: [y,\n  z]}\n")

    assert (2, 1) == found.locate(("b",), of_key=True)
    assert [(1, 4), (3, 3), (5, 3)] == [place(found, "a"), place(found, "b", 0), place(found, "b", 1, "c", 1)]


def test_a_missing_value_has_the_place_of_what_surrounds_it() -> None:
    """An absent level is reported where its rule begins."""
    assert (2, 3) == place(read_yaml(b"rules:\n- users: [a]\n"), "rules", 0, "level")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: &x {p: 1}\nb: {<<: *x, p: 2}", {"p": "2"}, id="a-key-after-a-merge-wins"),
        pytest.param("a: &x {p: 1}\nb: {p: 2, <<: *x}", {"p": "1"}, id="a-merge-after-a-key-wins"),
        pytest.param("a: &x {p: 1}\nc: &y {p: 2}\nb: {<<: [*x, *y]}", {"p": "1"}, id="the-first-of-merged-maps-wins"),
        pytest.param("a: 1\nb: {'<<': {p: 1}}", {"<<": {"p": "1"}}, id="a-quoted-merge-key-is-a-key"),
        pytest.param("a: 1\nb: {! '<<': {p: 1}}", {"p": "1"}, id="a-bang-makes-a-quoted-merge-key-plain"),
        pytest.param("a: 1\nb: {!!merge '<<': {p: 1}}", {"p": "1"}, id="a-tagged-merge-key-merges"),
    ],
)
def test_merges_follow_go_yaml(text: str, expected: Any) -> None:
    """The order in the file decides, not the YAML specification."""
    assert expected == read_yaml(text.encode()).root["b"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("a: *x", "unknown-anchor", id="unknown-anchor"),
        pytest.param("a: &x [*x]", "self-containing-alias", id="alias-in-itself"),
        pytest.param("a: {<<: 1}", "bad-merge", id="merge-of-a-scalar"),
        pytest.param("? [a]\n: b", "bad-key", id="list-as-key"),
        pytest.param("a: {~: b}", "bad-key", id="null-as-key"),
        pytest.param("a: .nan", "not-in-json", id="not-a-number"),
        pytest.param("a: !!int b", "bad-tag", id="tag-that-does-not-fit"),
        pytest.param("a: !!binary '!'", "bad-tag", id="bad-base64"),
        pytest.param("a: [b?]", "syntax", id="question-mark-in-brackets"),
        pytest.param('a: "\\/"', "syntax", id="escaped-slash"),
        pytest.param("a:\n\t- b", "tab", id="tab-as-indent"),
        pytest.param("a: \x01", "encoding", id="control-character"),
        pytest.param("a: " + "[" * 10_001 + "]" * 10_001, "too-deep", id="nested-too-deep"),
    ],
)
def test_what_go_yaml_refuses_is_refused_by_name(text: str, code: str) -> None:
    """Each refusal has a code of its own."""
    with pytest.raises(Unreadable) as caught:
        read_yaml(text.encode())

    assert code == caught.value.code
    assert caught.value.line > 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("12:30:45", "12:30:45", id="no-base-sixty"),
        pytest.param("2020-01-01", "2020-01-01", id="no-dates"),
        pytest.param("=", "=", id="no-default-value"),
        pytest.param("on", True, id="on-is-true"),
        pytest.param("nO", "nO", id="mixed-case-is-text"),
        pytest.param("~", None, id="tilde-is-null"),
        pytest.param("0o17", "15", id="octal"),
        pytest.param("017", "15", id="leading-zero-is-octal"),
        pytest.param("08", "8", id="bad-octal-is-a-float"),
        pytest.param("1_000", "1000", id="underscores"),
        pytest.param("1e3", "1000", id="exponent-without-point"),
        pytest.param("1e400", "1e400", id="beyond-float-is-text"),
        pytest.param("._5", "._5", id="loose-underscore-is-text"),
    ],
)
def test_a_scalar_resolves_as_in_go_yaml(text: str, value: Any) -> None:
    """A few of the rows that tests/oracle/test_yaml_scalars.py compares by the thousand."""
    assert value == resolve("", text)


def test_floats_are_written_as_go_writes_them() -> None:
    """As JSON values, and as mapping keys with the digits of a float32."""
    assert ["1e+21", "1e-7", "0.1", "-0", "100"] == [json_float(x) for x in (1e21, 1e-7, 0.1, -0.0, 100.0)]
    assert ["1e+06", "0.1", ".inf", "1.5e-05"] == [key_float(x) for x in (1e6, 0.1, 1e40, 1.5e-5)]


def test_bad_bytes_become_one_replacement_each() -> None:
    """Go replaces byte by byte; Python's own replacement joins some."""
    assert "a\ufffd\ufffdb\ufffd" == decode_utf8(b"a\xe2\x82b\xff")


def test_times_are_those_that_go_parses() -> None:
    """The tag !!timestamp takes short fields, metadata takes RFC 3339 with Go's liberties."""
    assert is_yaml_timestamp("2020-1-2 3:4:5") and not is_yaml_timestamp("2021-02-29")
    assert is_rfc3339("2020-01-02T3:04:05,6+24:00") and not is_rfc3339("2020-01-02 03:04:05Z")


def test_distance_counts_swapped_neighbours_once() -> None:
    """The slips that fingers make are near."""
    assert [0, 1, 1, 1, 2] == [distance("users", w) for w in ("users", "user", "usres", "userz", "use")]


LIBYAML_ONLY = {"escapedquote.yaml", "escapedslash.yaml", "flowcolon.yaml", "tagcomma.yaml", "bominside.yaml"}
"""The pure Python parser differs from go-yaml here, and no repair is made for it (decision 0004)."""


@pytest.mark.parametrize("name", [name for name in FILES if name not in LIBYAML_ONLY])
def test_without_libyaml_the_corpus_reads_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml its own parser gives the same policies."""
    data = (CORPUS / name).read_bytes()
    fast = read_policy(data, name)

    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    slow = read_policy(data, name)

    assert fast.policy == slow.policy


def test_without_libyaml_made_policies_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of made files that load, nearly all load the same without libyaml; none loads as something else."""
    fast = [read_policy(document(seed), "made") for seed in range(300)]

    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    slow = [read_policy(document(seed), "made") for seed in range(300)]

    pairs = [(one.policy, other.policy) for one, other in zip(fast, slow, strict=True)]
    assert not [pair for pair in pairs if None not in pair and pair[0] != pair[1]]
    assert 280 < sum(one == other for one, other in pairs)
