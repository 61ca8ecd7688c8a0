"""json_text: what is JSON, what Go would make of it, and what is reported about it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.json_deep import decode_deep
from kaudit_core.events.json_text import (
    MAX_DEPTH,
    Facts,
    JsonError,
    element_spans,
    find_duplicate,
    is_utf8,
    parse,
    shown,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"1" + b"]" * depth


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0]
    return depth


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_parse_agrees_with_the_standard_library_on_plain_json(value: Any, indent: int | None, ascii_only: bool) -> None:
    """JSON without anything special has the value that json.loads gives it, and no facts."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert (json.loads(text), Facts()) == parse(text.encode())


@given(VALUES)
def test_deep_parser_agrees_with_the_standard_library(value: Any) -> None:
    """The parser without recursion gives the same value and ends where the text ends."""
    text = " " + json.dumps(value)

    assert (json.loads(text), len(text)) == decode_deep(text, 0, dict)


@given(st.binary() | st.text(alphabet='{}[]",:\\u0123456789eE+-.truefalsn \n').map(str.encode))
def test_two_parsers_accept_the_same_texts(data: bytes) -> None:
    """What one parser refuses the other refuses as well, whatever the bytes are."""
    text = data.decode("latin-1")

    def accepted_deep() -> bool:
        try:
            _, end = decode_deep(text, 0, dict)
        except JsonError:
            return False
        return not text[end:].strip(" \t\r\n")

    def accepted() -> bool:
        try:
            parse(text.encode())
        except JsonError:
            return False
        return True

    assert accepted_deep() == accepted()


@given(st.binary())
def test_parse_raises_nothing_but_its_own_error(data: bytes) -> None:
    """Any bytes are either JSON or a JsonError whose offset lies in the bytes."""
    try:
        parse(data)
    except JsonError as error:
        assert 0 <= error.offset <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[NaN]", id="nan"),
        pytest.param(b"[Infinity]", id="infinity"),
        pytest.param(b"[-Infinity]", id="negative-infinity"),
        pytest.param(b'["a\tb"]', id="tab-in-a-string"),
        pytest.param(b'["a\x00b"]', id="nul-in-a-string"),
        pytest.param(b"{} {}", id="trailing-data"),
        pytest.param(b"[01]", id="leading-zero"),
        pytest.param(b"[-]", id="lone-minus"),
        pytest.param(b"[+1]", id="plus-sign"),
        pytest.param(b"[1.]", id="no-digit-after-the-point"),
        pytest.param(b"[.5]", id="no-digit-before-the-point"),
        pytest.param(b"[1e]", id="no-digit-in-the-exponent"),
        pytest.param(b"[1,]", id="trailing-comma-in-a-list"),
        pytest.param(b'{"a":1,}', id="trailing-comma-in-an-object"),
        pytest.param(b"{a:1}", id="unquoted-key"),
        pytest.param(b"['a']", id="single-quotes"),
        pytest.param(rb'["\x41"]', id="unknown-escape"),
        pytest.param(rb'["\u12"]', id="short-escape"),
        pytest.param("[\N{ARABIC-INDIC DIGIT ONE}]".encode(), id="digit-of-another-script"),
        pytest.param("[1\N{NO-BREAK SPACE}]".encode(), id="white-space-of-unicode"),
        pytest.param(b"[\x0c1]", id="form-feed"),
        pytest.param(b"[1]\xff", id="invalid-byte-after-the-text"),
    ],
)
def test_parse_refuses_what_rfc_8259_refuses(data: bytes) -> None:
    """What Python or others let through beyond RFC 8259 is not JSON."""
    with pytest.raises(JsonError) as caught:
        parse(data)

    assert caught.value.code == ("extra-data" if caught.value.reason == "extra data" else "not-json")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"a":1', id="after-a-value"),
        pytest.param(b'{"a":', id="before-a-value"),
        pytest.param(b'{"a', id="in-a-key"),
        pytest.param(b'{"a":"x}', id="in-a-string-that-ends-with-a-brace"),
        pytest.param(b'{"a":"\\u12', id="in-an-escape"),
        pytest.param(b'{"a":"\\', id="after-a-backslash"),
        pytest.param(b'{"a":tru', id="in-a-word"),
        pytest.param(b'{"a":-', id="in-a-number"),
        pytest.param(b'{"a":{"b":1}', id="after-an-inner-brace"),
        pytest.param(b'{"a":' + b"9" * 5000, id="after-a-long-number"),
        pytest.param(b'{"a":' + b"[" * 3000 + b'"x}', id="deep-inside"),
    ],
)
def test_object_that_ends_too_early_is_torn(data: bytes) -> None:
    """An object cut anywhere is told apart from text that was never JSON."""
    with pytest.raises(JsonError) as caught:
        parse(data)

    assert "torn" == caught.value.code


def test_byte_order_mark_is_named() -> None:
    """A byte order mark before the text is refused by name."""
    with pytest.raises(JsonError, match="byte order mark") as caught:
        parse(b"\xef\xbb\xbf{}")

    assert "byte-order-mark" == caught.value.code


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        pytest.param(b"[1, x]", 4, id="in-ascii"),
        pytest.param('["\u00e4\u20ac\U0001f600", x]'.encode(), 14, id="after-longer-characters"),
        pytest.param(b'["\xff\xfe\xe2\x82", x]', 9, id="after-invalid-bytes"),
        pytest.param(b'["\xff\xc3\xa4", x]', 8, id="after-both"),
        pytest.param(b"[" + b"9" * 5000 + b", x]", 5003, id="after-a-long-number"),
    ],
)
def test_error_offset_counts_bytes(data: bytes, offset: int) -> None:
    """The offset is that of the byte in the input, however the text before it was written."""
    with pytest.raises(JsonError) as caught:
        parse(data)

    assert offset == caught.value.offset
    assert b"x" == data[offset : offset + 1]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"\xff", "\ufffd", id="lone-byte"),
        pytest.param(b"\xe2\x82x", "\ufffd\ufffdx", id="cut-character-is-one-a-byte"),
        pytest.param(b"\xed\xa0\x80", "\ufffd" * 3, id="encoded-surrogate-is-three"),
        pytest.param(b"\xc0\xaf", "\ufffd" * 2, id="overlong-is-two"),
        pytest.param(b"\xf4\x90\x80\x80", "\ufffd" * 4, id="beyond-unicode-is-four"),
    ],
)
def test_invalid_utf8_is_replaced_byte_by_byte_and_reported(data: bytes, text: str) -> None:
    """Each invalid byte is one U+FFFD, as in Go, and the fact is kept."""
    value, facts = parse(b'["' + data + b'"]')

    assert [text] == value
    assert facts.invalid_utf8
    assert not is_utf8(data)


def test_replacement_character_itself_is_valid() -> None:
    """U+FFFD written by the server is valid UTF-8 and not reported."""
    value, facts = parse('["\ufffd"]'.encode())

    assert ["\ufffd"] == value
    assert not facts.invalid_utf8


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        pytest.param(r"\ud83d\ude00", "\U0001f600", id="pair-is-one-character"),
        pytest.param(r"\uD83D\uDE00", "\U0001f600", id="capital-pair-is-one-character"),
        pytest.param(r"\ud800", "\ufffd", id="lone-high-is-replaced"),
        pytest.param(r"\udc00x", "\ufffdx", id="lone-low-is-replaced"),
        pytest.param(r"\ud800\ud83d\ude00", "\ufffd\U0001f600", id="high-before-a-pair-is-replaced"),
        pytest.param(r"\ude00\ud83d", "\ufffd\ufffd", id="pair-in-the-wrong-order-is-two"),
        pytest.param(r"\ud800\n", "\ufffd\n", id="high-before-another-escape-is-replaced"),
        pytest.param(r"\\ud800", r"\ud800", id="escaped-backslash-is-no-surrogate"),
        pytest.param(r"\\\ud800", "\\\ufffd", id="backslash-before-a-surrogate-stays"),
        pytest.param(r"\ud7ff\ue000", "\ud7ff\ue000", id="neighbours-of-surrogates-stay"),
    ],
)
def test_surrogates_are_decoded_as_go_does(escaped: str, text: str) -> None:
    """Pairs are characters, lone surrogates U+FFFD; neither makes the text invalid UTF-8."""
    value, facts = parse(f'{{"{escaped}":"{escaped}"}}'.encode())

    assert {text: text} == value
    assert not facts.invalid_utf8


@pytest.mark.parametrize("depth", [100, 900, 5000, MAX_DEPTH])
def test_nesting_as_deep_as_go_allows_is_read(depth: int) -> None:
    """Python's recursion limit is not ours."""
    value, _ = parse(nested(depth))

    assert depth == depth_of(value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(nested(MAX_DEPTH + 1), id="lists"),
        pytest.param(b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), id="objects"),
        pytest.param(b"[" * 200_000, id="never-closed"),
    ],
)
def test_nesting_deeper_than_go_allows_is_refused(data: bytes) -> None:
    """One level more than 10,000 is an error with a code of its own."""
    with pytest.raises(JsonError, match="deeper than 10,000") as caught:
        parse(data)

    assert "too-deep" == caught.value.code


def test_depth_is_limited_when_the_scanner_would_go_deeper() -> None:
    """The limit does not depend on how deep the standard library's scanner happens to go."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(15_000)
    try:
        allowed, _ = parse(nested(MAX_DEPTH))
        with pytest.raises(JsonError, match="deeper than 10,000"):
            parse(nested(MAX_DEPTH + 1))
    finally:
        sys.setrecursionlimit(limit)

    assert MAX_DEPTH == depth_of(allowed)


def test_many_shallow_containers_are_not_deep() -> None:
    """More brackets than the limit of depth are fine side by side."""
    value, _ = parse(b"[" + b",".join([b"{}"] * (MAX_DEPTH + 1)) + b"]")

    assert [{}] * (MAX_DEPTH + 1) == value


@pytest.mark.parametrize(
    "number", ["9" * 4300, "9" * 5000, "-" + "1" * 100_000, "1." + "0" * 5000, "1e99999", "-0", "0.1"]
)
def test_numbers_of_any_length_are_read(number: str) -> None:
    """A number with more digits than Python converts is still a number, and what follows is still read."""
    value, _ = parse(f'{{"a":{number},"b":"next"}}'.encode())

    assert isinstance(value["a"], int | float)
    assert "next" == value["b"]


@pytest.mark.parametrize(
    ("data", "repeated"),
    [
        pytest.param(b'{"level":1,"level":2}', '"level"', id="top-level"),
        pytest.param(b'{"level":1,"\\u006cevel":2}', '"level"', id="escaped-alike"),
        pytest.param(b'{"user":{"uid":1,"uid":1}}', '"uid" in "user"', id="nested"),
        pytest.param(b'{"sourceIPs":[[{"a":1,"a":2}]]}', '"a" in "sourceIPs"', id="inside-lists"),
        pytest.param(b'{"body":1,"body":2}', '"body"', id="opaque-member-itself"),
        pytest.param(b'{"x":{"body":{"a":1,"a":2}}}', '"a" in "x"', id="opaque-name-elsewhere"),
        pytest.param(b'{"body":{"a":1,"a":2}}', None, id="inside-an-opaque-member"),
        pytest.param(b'{"a":{"a":{"a":1}}}', None, id="same-key-on-different-levels"),
        pytest.param(b'{"x":{"a":1,"a":2},"x":{}}', '"x"', id="overwritten-duplicate"),
        pytest.param(b'{"n":' + b"9" * 5000 + b',"a":1,"a":2}', '"a"', id="beside-a-long-number"),
        pytest.param(b'{"n":' + nested(3000) + b',"a":1,"a":2}', '"a"', id="beside-deep-nesting"),
    ],
)
def test_duplicate_keys_are_found_outside_opaque_members(data: bytes, repeated: str | None) -> None:
    """A repeated key is reported with the member it stands in, unless it is the sender's own text."""
    value, facts = parse(data)

    assert repeated == find_duplicate(value, facts, {"body"})


def test_last_duplicate_wins() -> None:
    """As in Go, the last value of a repeated key is the value."""
    assert {"a": 3, "b": 2} == parse(b'{"a":1,"b":2,"a":3}')[0]


@given(st.lists(VALUES, max_size=6), st.dictionaries(st.text().filter(lambda key: key != "items"), VALUES, max_size=3))
def test_element_spans_hold_the_elements(items: list[Any], others: dict[str, Any]) -> None:
    """The bytes of each span parse to the element, whatever stands around the list."""
    document = {**others, "items": items, "more": [others]}
    data = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
    expected, _ = parse(data)

    assert expected["items"] == [parse(data[begin:end])[0] for begin, end in element_spans(data, "items")]


def test_element_spans_of_deep_and_long_elements() -> None:
    """Elements that the fast scanner can't read have spans like any others."""
    elements = [nested(3000), b"9" * 5000, b'"\xff"', b"{}"]
    data = b' {"a" : ' + nested(2000) + b' , "it\\u0065ms" : [ ' + b" , ".join(elements) + b" ] }"

    assert elements == [data[begin:end] for begin, end in element_spans(data, "items")]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{}", id="no-member"),
        pytest.param(b'{"items":[]}', id="empty-list"),
        pytest.param(b'{"items":null}', id="no-list"),
    ],
)
def test_element_spans_are_none_without_elements(data: bytes) -> None:
    """No list or an empty one has no spans."""
    assert [] == element_spans(data, "items")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a\x1b[31m\n", '"a\\u001b[31m\\n"', id="control-characters-are-escaped"),
        pytest.param("x" * 200, '"' + "x" * 80 + '..."', id="long-text-is-cut"),
        pytest.param({"a": 1}, "an object", id="object-is-named"),
        pytest.param([1], "a list", id="list-is-named"),
        pytest.param(None, "null", id="null-is-json"),
    ],
)
def test_shown_is_short_and_safe(value: object, text: str) -> None:
    """Text from a log is shown in a message so that it can neither fill nor control a terminal."""
    assert text == shown(value)
