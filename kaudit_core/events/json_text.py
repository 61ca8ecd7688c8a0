"""JSON as the API server's Go libraries read it: strict about syntax, forgiving about text.

The fast path is the standard library's scanner. What it can't do - numbers of any length, nesting as deep as
Go allows - is left to json_deep; the two give the same values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from kaudit_core.events.json_deep import MAX_DEPTH, JsonError, MakeObject, decode_deep, skip_space

__all__ = [
    "MAX_DEPTH",
    "Facts",
    "JsonError",
    "element_spans",
    "find_duplicate",
    "is_utf8",
    "parse",
    "repeated_key",
    "shown",
]

_SPACE: Final = " \t\n\r"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_UNCLOSED_STRING: Final = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?')


@dataclass(frozen=True, slots=True)
class Facts:
    """What a value no longer shows about the text it came from.

    doubled: empty when no object repeats a key; else object id -> (the object, the repeated key). It keeps
    the objects alive, so that no id is used twice.
    """

    invalid_utf8: bool = False
    doubled: Mapping[int, tuple[object, str]] = field(default_factory=dict)


class _Doubled(Exception):
    """Raised inside the fast scanner when an object repeats a key."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Doubled
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
_PLAIN: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def parse(data: bytes) -> tuple[Any, Facts]:
    """The value of one JSON text and the facts about it; raises JsonError."""
    if data.startswith(_BYTE_ORDER_MARK):
        raise JsonError("a byte order mark", 0, "byte-order-mark")
    text, invalid_utf8 = _decode(data)
    try:
        try:
            return _parse_text(text, _STRICT, _object), Facts(invalid_utf8)
        except _Doubled:
            doubled, collect = _collector()
            collecting = json.JSONDecoder(object_pairs_hook=collect, parse_constant=_refuse_constant)
            return _parse_text(text, collecting, collect), Facts(invalid_utf8, doubled)
    except (json.JSONDecodeError, JsonError) as error:
        raise _json_error(error, data, text) from None


def find_duplicate(value: dict[str, Any], facts: Facts, opaque: Collection[str] = ()) -> str | None:
    """The first repeated key in value in words, e.g. `"level"` or `"uid" in "user"`; None when there is none.

    opaque: members of value itself that are not looked into; empty means all are.
    """
    if not facts.doubled:
        return None
    waiting: list[tuple[str, dict[str, Any] | list[Any]]] = [("", value)]
    while waiting:
        top, node = waiting.pop()
        if key := repeated_key(node, facts):
            return f"{key} in {top}" if top else key
        members = node.items() if isinstance(node, dict) else enumerate(node)
        for name, member in members:
            if isinstance(member, (dict, list)) and not (node is value and name in opaque):
                waiting.append((top or shown(name), member))
    return None


def repeated_key(value: object, facts: Facts) -> str | None:
    """The first key that an object itself repeats, as shown; None when it repeats none."""
    return shown(facts.doubled[id(value)][1]) if id(value) in facts.doubled else None


def element_spans(data: bytes, member: str) -> list[tuple[int, int]]:
    """Where the elements of a list begin and end in the bytes: the list is `member` of the object that data holds.

    data must have been accepted by parse. Latin-1 makes a character of each byte, so positions are bytes.
    """
    text = data.decode("latin-1")
    at = skip_space(text, skip_space(text, 0) + 1)
    spans: list[tuple[int, int]] = []
    while text[at] != "}":
        key, end = _PLAIN.raw_decode(text, at)
        at = skip_space(text, skip_space(text, end) + 1)
        if key == member and text[at] == "[":
            spans, end = _elements(text, at)
        else:
            end = _value_end(text, at)
        at = skip_space(text, end)
        if text[at] == ",":
            at = skip_space(text, at + 1)
    return spans


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    return not _decode(data)[1]


def shown(value: object) -> str:
    """A value from a log as a short piece of a message: JSON, ASCII only, cut after 80 characters."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(_clipped(value) if isinstance(value, str) else value)


def _clipped(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "..."


def _decode(data: bytes) -> tuple[str, bool]:
    """The text as Go sees it, and whether any byte was invalid: each of these is one U+FFFD, as is a lone surrogate."""
    try:
        text, invalid = data.decode(), False
    except UnicodeDecodeError:
        text = re.sub("[\udc80-\udcff]", "\ufffd", data.decode("utf-8", "surrogateescape"))
        invalid = True
    if "\\ud" in text or "\\uD" in text:
        # Same length as before: offsets into the text stay right.
        text = _ESCAPE.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
    return text, invalid


def _collector() -> tuple[dict[int, tuple[object, str]], MakeObject]:
    """A place for objects that repeat a key, and the hook that fills it."""
    doubled: dict[int, tuple[object, str]] = {}

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            seen: set[str] = set()
            repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            doubled[id(members)] = (members, repeated)
        return members

    return doubled, collect


def _parse_text(text: str, decoder: json.JSONDecoder, make: MakeObject) -> Any:
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError):  # too deep or a number too long for the scanner, or NaN
        value, end = decode_deep(text, 0, make)
        end = skip_space(text, end)
        if end != len(text):
            raise JsonError("extra data", end) from None
        return value
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(value):
        raise JsonError(f"nested deeper than {MAX_DEPTH:,}", 0, "too-deep")
    return value


def _too_deep(value: object) -> bool:
    """Whether value, which a scanner with a deep stack accepted, is deeper than Go allows."""
    layer = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        members = (item for node in layer for item in (node.values() if isinstance(node, dict) else node))
        layer = [item for item in members if isinstance(item, (dict, list))]
        if not layer:
            return False
    return True


def _json_error(error: json.JSONDecodeError | JsonError, data: bytes, text: str) -> JsonError:
    """The error with a byte offset; torn when an object's text ended before its closing brace."""
    position, code = (error.offset, error.code) if isinstance(error, JsonError) else (error.pos, "not-json")
    reason = error.reason if isinstance(error, JsonError) else error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
    whole, rest = text.strip(_SPACE), text[position:].strip(_SPACE)
    ended = not rest or not whole.endswith("}") or _UNCLOSED_STRING.fullmatch(rest) is not None
    if reason == "extra data":
        code = "extra-data"
    elif code == "not-json" and whole.startswith("{") and ended:
        code = "torn"
    return JsonError(reason, _byte_offset(data, text, position), code)


def _byte_offset(data: bytes, text: str, position: int) -> int:
    """Characters before position, in bytes: a byte that was invalid has become one U+FFFD, which is three."""
    if len(text) == len(data):
        return position
    return len(data.decode("utf-8", "surrogateescape")[:position].encode("utf-8", "surrogateescape"))


def _value_end(text: str, at: int) -> int:
    try:
        return _PLAIN.raw_decode(text, at)[1]
    except (RecursionError, ValueError):
        return decode_deep(text, at, dict)[1]


def _elements(text: str, at: int) -> tuple[list[tuple[int, int]], int]:
    """Spans of the elements of the list that begins at `at`, and where the list ends."""
    spans: list[tuple[int, int]] = []
    at = skip_space(text, at + 1)
    while text[at] != "]":
        end = _value_end(text, at)
        spans.append((at, end))
        at = skip_space(text, end)
        if text[at] == ",":
            at = skip_space(text, at + 1)
    return spans, at + 1
