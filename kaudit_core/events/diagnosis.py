"""Why a line is no JSON: the likeliest cause in the life of a log file."""

from __future__ import annotations

import re
from typing import Final

from kaudit_core.events.event_shape import event_problem
from kaudit_core.events.json_text import JsonError, parse

_WHITE_SPACE: Final = b" \t\r\n"
_EVENT_START: Final = re.compile(
    rb'\{"(?:kind": ?"Event", ?"apiVersion": ?"audit\.k8s\.io/|level": ?"[A-Za-z]+", ?"auditID": ?")'
)
_LIST_START: Final = re.compile(rb'[ \t\r]*\{[ \t\r]*"kind"[ \t\r]*:[ \t\r]*"EventList"')
_ITEMS_START: Final = re.compile(rb'"items"[ \t\r]*:[ \t\r]*\[[ \t\r]*\Z')
_ESCAPE_LENGTH: Final = 12
_HEAD: Final = 64
_LEGACY: Final = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+\S* AUDIT: id=\"")


def diagnosis(data: bytes, error: JsonError) -> tuple[str, str]:
    """Return why a line is not JSON, in words and as a short code."""
    if (nul := data.find(b"\0")) >= 0:
        return f"NUL bytes, the first at byte {nul}", "nul-bytes"
    if _LEGACY.match(data):
        return "legacy format: set --audit-log-format=json", "legacy-format"
    if (glued := _glued_at(data, error)) is not None:
        what = "two events on one line" if error.code == "extra-data" else "a line glued to a torn one"
        return f"{what}: another event begins at byte {glued}", "glued"
    if error.code == "torn":
        return "torn: ends before its closing brace", "torn"
    if error.code == "extra-data" and _is_event(data[: error.offset]):
        return f"not JSON: extra data after the event at byte {error.offset}", "extra-data"
    return f"not JSON: {error}", error.code


def _glued_at(data: bytes, error: JsonError) -> int | None:
    """Where an event begins behind the beginning of another one.

    An event in the place of a value is part of what it stands in, a body or an EventList, unless the error is there.
    """
    begin = len(data) - len(data.lstrip(_WHITE_SPACE))
    if error.code == "byte-order-mark" or not data.startswith(b"{", begin):
        return None
    for found in _EVENT_START.finditer(data, max(begin + 1, error.offset - len(b'{"'))):
        at = found.start()
        if at <= error.offset + _ESCAPE_LENGTH or data[at - 1 : at] not in b"[,: ":
            return at
    # Torn where a value was due, the next line took its place: what is missing then is only the end of the first.
    first = _EVENT_START.search(data, begin + 1) if error.code == "torn" else None
    if first and data.rstrip(_WHITE_SPACE).endswith(b"}"):
        own_item = _ITEMS_START.search(data[max(0, first.start() - _HEAD) : first.start()])
        if _EVENT_START.match(data, begin) or not (own_item or _LIST_START.match(data)):
            return first.start()
    return None


def _is_event(data: bytes) -> bool:
    try:
        value = parse(data)[0]
    except JsonError:
        return False
    return isinstance(value, dict) and event_problem(value) is None
