"""Records of a log segment: each line, or each item of an EventList, as an event or with the reason why it is none.

Lines end at a newline and nowhere else. Whatever stands between two newlines can't hurt its neighbours.
Memory is bounded by the longest line allowed; EventLists that are spread over lines, with which a segment may
begin, are held one at a time, up to the same bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, Protocol

from kaudit_core.events.diagnosis import diagnosis
from kaudit_core.events.envelopes import opened
from kaudit_core.events.event_shape import looks_like_list
from kaudit_core.events.json_text import JsonError, is_utf8, parse
from kaudit_core.events.record import Place, Record, Tail, enveloped_records, list_records, value_record

__all__ = [
    "MAX_LINE",
    "Line",
    "Readable",
    "Record",
    "Tail",
    "blank",
    "goes_on",
    "last_line",
    "line_records",
    "read_records",
]

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of the longest line that is read, its newline not counted."""

_CHUNK: Final = 256 * 1024
_WHITE_SPACE: Final = b" \t\r\n"
_UNFINISHED: Final = (None, "not-json", "torn", "not-an-object", "not-an-event", "duplicate-key")


class Readable(Protocol):
    """Bytes in pieces: any binary file, or a segment's stream."""

    def read(self, size: int, /) -> bytes | None: ...


@dataclass(slots=True)
class Line:
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
    lines, leading = _lines(_chunks(stream), max_line), True  # leading: EventLists and nothing else until here
    line = next(lines, None)
    while line is not None:
        if isinstance(line, OSError):
            raise line
        if not blank(line):
            records = line_records(line, max_line)
            if leading and records and goes_on(line, records[0]):
                text, behind = _gathered(line, lines, max_line)
                records, end = _list_over_lines(text, line)
                yield from records
                if leading := end > 0 and not text[end:].strip(_WHITE_SPACE):
                    line = behind
                    continue
                lines = _again(text, end, line, behind, lines, max_line)
            else:
                yield from records if line.ending == "newline" else last_line(line, records, newest)
                leading = leading and (not records or records[0].in_list)
        line = next(lines, None)


def _chunks(stream: Readable) -> Iterator[bytes | OSError]:
    """The stream piece by piece; an error that stops it comes as the last piece."""
    try:
        while chunk := stream.read(_CHUNK):
            yield chunk
    except OSError as error:
        yield error


def _lines(
    chunks: Iterable[bytes | OSError], max_line: int, number: int = 1, offset: int = 0
) -> Iterator[Line | OSError]:
    """The lines; a failed read comes last, after the line it cut off."""
    parts: list[bytes] = []
    held = 0
    failure: OSError | None = None
    for chunk in chunks:
        if isinstance(chunk, OSError):
            failure = chunk
            break
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            length = held + len(end)
            data = None if length > max_line else b"".join((*parts, end)) if held else end
            yield Line(number, offset, length + 1, data)
            number, offset, held = number + 1, offset + length + 1, 0
            parts.clear()
        held += len(rest)
        if held > max_line:
            parts.clear()
        elif rest:
            parts.append(rest)
    if held:
        data = None if held > max_line else b"".join(parts)
        yield Line(number, offset, held, data, "failure" if failure else "end")
    if failure:
        yield failure


def blank(line: Line) -> bool:
    """Whether a line holds white space only: that is no record."""
    return line.data is not None and not line.data.strip(_WHITE_SPACE)


def goes_on(line: Line, record: Record) -> bool:
    """Whether a line may be the beginning of a JSON object that goes on behind it."""
    return record.code in ("torn", "glued") and line.data is not None and line.data.lstrip(_WHITE_SPACE)[:1] == b"{"


def _gathered(first: Line, lines: Iterator[Line | OSError], max_line: int) -> tuple[bytes, Line | OSError | None]:
    """The lines from first on as one text, as long as it may be one JSON value, and what comes behind it.

    No token reaches over a newline, so between two lines stands a comma, a colon, a bracket or a brace: of two
    events in a row, and of a list and what follows it, the second is always left. The text ends within max_line.
    """
    text = bytearray()
    line: Line | OSError | None = first
    inside = True  # the text ends where more must follow
    while isinstance(line, Line) and line.data is not None and len(text) + line.size <= max_line:
        if bare := line.data.strip(_WHITE_SPACE):
            if not inside and bare[0] not in b",:]}":
                break
            inside = bare[-1] in b"{[,:"
        text += line.data
        if line.ending == "newline":
            text += b"\n"
        line = next(lines, None)
    return bytes(text), line


def _list_over_lines(text: bytes, first: Line) -> tuple[list[Record], int]:
    """The records of the EventList that text begins with, and where it ends: 0 when text begins with something else."""
    end = len(text)
    try:
        try:
            value, facts = parse(text)
        except JsonError as error:
            if error.code != "extra-data":
                return [], 0
            end = error.offset
            value, facts = parse(text[:end])
    except JsonError:
        return [], 0
    if not isinstance(value, dict) or not looks_like_list(value):
        return [], 0
    return list_records(text[:end], Place(first.number, first.offset, end), value, facts), end


def _again(
    text: bytes,
    begin: int,
    first: Line,
    behind: Line | OSError | None,
    lines: Iterator[Line | OSError],
    max_line: int,
) -> Iterator[Line | OSError]:
    """The lines of a text that was gathered from first on, but for its beginning, and all lines behind it."""
    pieces: Iterable[bytes | OSError] = (text[at : at + _CHUNK] for at in range(begin, len(text), _CHUNK))
    if isinstance(behind, OSError):
        pieces, behind = chain(pieces, (behind,)), None  # the line that it cut off must know
    number = first.number + text.count(b"\n", 0, begin)
    return chain(_lines(pieces, max_line, number, first.offset + begin), () if behind is None else (behind,), lines)


def line_records(line: Line, max_line: int) -> list[Record]:
    """What one line holds: nothing (an empty list), a record, or the records of an EventList or an envelope."""
    place = Place(line.number, line.offset, line.size)
    if line.data is None:
        return [place.malformed(f"longer than {_size(max_line)}", "too-long")]
    try:
        value, facts = parse(line.data)
    except JsonError as error:
        return [place.malformed(*diagnosis(line.data, error), invalid_utf8=not is_utf8(line.data))]
    if isinstance(value, dict) and looks_like_list(value):
        return list_records(line.data, place, value, facts)
    if isinstance(value, dict) and (envelope := opened(value)):
        return enveloped_records(place, envelope, value, facts)
    return [value_record(place, value, facts, facts.invalid_utf8)]


def last_line(line: Line, records: list[Record], newest: bool) -> list[Record] | list[Tail]:
    """What an unterminated line is: a complete list of events is a saved HTTP body, anything else is not finished."""
    if not records or records[0].in_list:
        return records
    if newest and line.ending == "end":
        return [Tail(line.number, line.offset, line.size)]
    (record,) = records
    if record.code in _UNFINISHED:
        record.event, record.code = None, "torn"
        record.problem = "torn: the segment ends before the line does"
    return records


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count % 2**20 == 0 else f"{count} bytes"
