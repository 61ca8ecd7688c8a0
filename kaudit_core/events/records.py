"""Records of a log segment: each line, or each item of an EventList, as an event or with the reason why it is none.

Lines end at a newline and nowhere else. Whatever stands between two newlines can't hurt its neighbours.
Memory is bounded by the longest line allowed; an EventList that is spread over lines is held as a whole, up to
the same bound.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, Protocol

from kaudit_core.events.event_shape import BODIES, event_problem, list_problem, looks_like_list
from kaudit_core.events.json_text import Facts, JsonError, element_spans, find_duplicate, is_utf8, parse, shown

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of the longest line that is read, its newline not counted."""

_CHUNK: Final = 256 * 1024
_WHITE_SPACE: Final = b" \t\r\n"
_HEAD: Final = 64
_OPENING: Final = re.compile(rb"[ \t]*\{[ \t\r]*\n")
_UNFINISHED: Final = (None, "not-json", "torn", "not-an-object", "not-an-event", "duplicate-key")
_GLUED: Final = re.compile(
    rb'\{"(?:kind": ?"Event", ?"apiVersion": ?"audit\.k8s\.io/|level": ?"[A-Za-z]+", ?"auditID": ?")'
)
_LEGACY: Final = re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+\S* AUDIT: id=\"")


class Readable(Protocol):
    """Bytes in pieces: any binary file, or a segment's stream."""

    def read(self, size: int, /) -> bytes | None: ...


@dataclass(slots=True)
class Record:
    """One record: exactly one of event and problem is set.

    line: from 1, where the record begins. offset: bytes before it in the uncompressed segment.
    size: a line's bytes with its newline; an item's own bytes.
    problem: in words; code: the same as a short name for counting; both None for an event.
    in_list: an item of an EventList, or a whole EventList that is malformed.
    """

    line: int
    offset: int
    size: int
    event: dict[str, Any] | None = None
    problem: str | None = None
    code: str | None = None
    invalid_utf8: bool = False
    in_list: bool = False


@dataclass(frozen=True, slots=True)
class Tail:
    """The unterminated last line of the newest segment: still being written, no record."""

    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record stands."""

    line: int
    offset: int
    size: int

    def malformed(self, problem: str, code: str, invalid_utf8: bool = False, in_list: bool = False) -> Record:
        return Record(self.line, self.offset, self.size, None, problem, code, invalid_utf8, in_list)


@dataclass(frozen=True, slots=True)
class _Line:
    """Bytes up to a newline, the end or a failed read. data: without the newline; None when longer than allowed."""

    number: int
    offset: int
    size: int
    data: bytes | None
    ending: Literal["newline", "end", "failure"] = "newline"


def read_records(stream: Readable, *, newest: bool, max_line: int = MAX_LINE) -> Iterator[Record | Tail]:
    """The records of one segment in their order, and its tail if it is the newest one and has one.

    When reading fails, everything read before is delivered, the last line as torn, and then the OSError is raised.
    """
    document, chunks = _document(_chunks(stream), max_line)
    yield from document
    for line in _lines(chunks, max_line):
        if isinstance(line, OSError):
            raise line
        if line.data is not None and not line.data.strip(_WHITE_SPACE):
            continue
        records = _line_records(line, max_line)
        yield from records if line.ending == "newline" else _last_line(line, records, newest)


def _chunks(stream: Readable) -> Iterator[bytes | OSError]:
    """The stream piece by piece; an error that stops it comes as the last piece."""
    try:
        while chunk := stream.read(_CHUNK):
            yield chunk
    except OSError as error:
        yield error


def _lines(chunks: Iterable[bytes | OSError], max_line: int) -> Iterator[_Line | OSError]:
    """The lines; a failed read comes last, after the line it cut off."""
    parts: list[bytes] = []
    number, offset, held = 1, 0, 0
    failure: OSError | None = None
    for chunk in chunks:
        if isinstance(chunk, OSError):
            failure = chunk
            break
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            length = held + len(end)
            data = None if length > max_line else b"".join((*parts, end)) if held else end
            yield _Line(number, offset, length + 1, data)
            number, offset, held = number + 1, offset + length + 1, 0
            parts.clear()
        held += len(rest)
        if held > max_line:
            parts.clear()
        elif rest:
            parts.append(rest)
    if held:
        data = None if held > max_line else b"".join(parts)
        yield _Line(number, offset, held, data, "failure" if failure else "end")
    if failure:
        yield failure


def _document(chunks: Iterator[bytes | OSError], max_line: int) -> tuple[list[Record], Iterable[bytes | OSError]]:
    """The records of an EventList that is spread over lines, if the segment is one, and the pieces still to be read."""
    head = b""
    failed: list[bytes | OSError] = []
    buffer = io.BytesIO()
    for chunk in chunks:
        if isinstance(chunk, OSError):
            failed.append(chunk)
            break
        buffer.write(chunk)
        head = (head + chunk)[:_HEAD] if len(head) < _HEAD else head
        opened = _OPENING.match(head)
        if buffer.tell() > (max_line if opened else _HEAD) or (b"\n" in head and not opened):
            break
    if _OPENING.match(head) and buffer.tell() <= max_line:
        try:
            value, facts = parse(buffer.getvalue())
        except JsonError:
            pass
        else:
            if isinstance(value, dict) and looks_like_list(value):
                return _list_records(buffer.getvalue(), _Place(1, 0, buffer.tell()), value, facts), failed
    buffer.seek(0)
    return [], chain(iter(lambda: buffer.read(_CHUNK), b""), failed, chunks)


def _line_records(line: _Line, max_line: int) -> list[Record]:
    place = _Place(line.number, line.offset, line.size)
    if line.data is None:
        return [place.malformed(f"longer than {_size(max_line)}", "too-long")]
    try:
        value, facts = parse(line.data)
    except JsonError as error:
        return [place.malformed(*_diagnosis(line.data, error), invalid_utf8=not is_utf8(line.data))]
    if isinstance(value, dict) and looks_like_list(value):
        return _list_records(line.data, place, value, facts)
    return [_value_record(place, value, facts, facts.invalid_utf8)]


def _last_line(line: _Line, records: list[Record], newest: bool) -> list[Record] | list[Tail]:
    """What an unterminated line is: a complete EventList is a saved HTTP body, anything else is not finished."""
    if not records or records[0].in_list:
        return records
    if newest and line.ending == "end":
        return [Tail(line.number, line.offset, line.size)]
    (record,) = records
    if record.code in _UNFINISHED:
        record.event, record.code = None, "torn"
        record.problem = "torn: the segment ends before the line does"
    return records


def _list_records(data: bytes, place: _Place, value: dict[str, Any], facts: Facts) -> list[Record]:
    """One record an item of an EventList; one for the whole when the list itself can't be trusted."""
    duplicate = find_duplicate(value, facts, ("items",))
    problem = list_problem(value)
    if duplicate or problem:
        code = "duplicate-key" if duplicate else "not-an-event"
        reason = f"duplicate key {duplicate}" if duplicate else str(problem)
        return [place.malformed(reason, code, invalid_utf8=facts.invalid_utf8, in_list=True)]
    records = []
    line, counted = place.line, 0
    for item, (begin, end) in zip(value.get("items") or (), element_spans(data, "items"), strict=True):
        line, counted = line + data.count(b"\n", counted, begin), begin
        invalid_utf8 = facts.invalid_utf8 and not is_utf8(data[begin:end])
        item_place = _Place(line, place.offset + begin, end - begin)
        records.append(_value_record(item_place, item, facts, invalid_utf8, in_list=True))
    return records


def _value_record(place: _Place, value: Any, facts: Facts, invalid_utf8: bool, in_list: bool = False) -> Record:
    if not isinstance(value, dict):
        return place.malformed(f"not an object: {shown(value)}", "not-an-object", invalid_utf8, in_list)
    if duplicate := find_duplicate(value, facts, BODIES):
        return place.malformed(f"duplicate key {duplicate}", "duplicate-key", invalid_utf8, in_list)
    if problem := event_problem(value):
        return place.malformed(problem, "not-an-event", invalid_utf8, in_list)
    return Record(place.line, place.offset, place.size, value, None, None, invalid_utf8, in_list)


def _diagnosis(data: bytes, error: JsonError) -> tuple[str, str]:
    """Why a line is not JSON, in words and as a code: the likeliest cause in the life of a log file."""
    if (nul := data.find(b"\0")) >= 0:
        return f"NUL bytes, the first at byte {nul}", "nul-bytes"
    if _LEGACY.match(data):
        return "legacy format: set --audit-log-format=json", "legacy-format"
    begin = len(data) - len(data.lstrip(_WHITE_SPACE))
    if error.code != "byte-order-mark" and (glued := _GLUED.search(data, begin + 1)):
        what = "two events on one line" if error.reason == "extra data" else "a line glued to a torn one"
        return f"{what}: another event begins at byte {glued.start()}", "glued"
    if error.code == "torn":
        return "torn: ends before its closing brace", "torn"
    return f"not JSON: {error}", error.code


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count % 2**20 == 0 else f"{count} bytes"
