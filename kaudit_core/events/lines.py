"""Lines of a segment one by one, for readers that find lines themselves and want records only of some.

A segment may begin with EventLists that are spread over lines; where it does, only `records.read_records` can tell
where records end. `begins_with_list` says so from the first line; everywhere else a line is its own business.
"""

from __future__ import annotations

import io
from collections import deque
from typing import Any

from kaudit_core.events.records import Line, Readable, Record, Tail, blank, goes_on, last_line, line_records

_PIECE = 64 * 1024


def records_of_line(line: Line, *, newest: bool, max_line: int) -> list[Record] | list[Tail]:
    """What one line holds, whatever stands before and behind it; it is not blank."""
    records = line_records(line, max_line)
    return records if line.ending == "newline" else last_line(line, records, newest)


def begins_with_list(stream: Readable, max_line: int) -> tuple[bool, bytes]:
    """Whether a segment's first record is of an EventList or may be one's beginning, and all bytes read to know it.

    True also for a segment without a terminated record: it is short, whoever reads it. An error that comes this
    early is left to the next reader, who meets it again.
    """
    head = bytearray()
    begin = searched = 0
    while piece := _read(stream):
        head += piece
        while (end := head.find(b"\n", searched)) >= 0:
            line = Line(1, begin, end + 1 - begin, bytes(head[begin:end]) if end - begin <= max_line else None)
            if not blank(line):
                return _leads(line, max_line), bytes(head)
            begin = searched = end + 1
        searched = len(head)
        if searched - begin > max_line:
            return False, bytes(head)  # too long for a list, too
    return True, bytes(head)


def _read(stream: Readable) -> bytes | None:
    try:
        return stream.read(_PIECE)
    except OSError:
        return None


def _leads(line: Line, max_line: int) -> bool:
    records = line_records(line, max_line)
    return not records or records[0].in_list or goes_on(line, records[0])


class Replayed(io.RawIOBase):
    """Bytes that were read already, and then the rest of their stream."""

    def __init__(self, head: bytes, rest: Any) -> None:
        super().__init__()
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def read1(self, size: int, /) -> bytes:
        """The next piece as it comes."""
        if not self._head:
            return self._rest.read1(size)  # type: ignore[no-any-return]
        piece, self._head = bytes(self._head[:size]), self._head[size:]
        return piece

    def readinto(self, buffer: Any, /) -> int:
        if not self._head:
            return self._rest.readinto(buffer) or 0
        size = min(len(buffer), len(self._head))
        buffer[:size], self._head = self._head[:size], self._head[size:]
        return size


class Remembering:
    """A stream that still has what was read of it, but for what may be forgotten."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._pieces: deque[bytes] = deque()
        self._begin = 0  # of the first piece

    def read(self, size: int, /) -> bytes | None:
        piece = self._stream.read(size)
        if piece:
            self._pieces.append(piece)
        return piece

    def forget(self, offset: int) -> None:
        """Nothing before this place will be asked for."""
        while self._pieces and self._begin + len(self._pieces[0]) <= offset:
            self._begin += len(self._pieces.popleft())

    def since(self, offset: int) -> bytes:
        """What was read from this place on."""
        return b"".join(self._pieces)[offset - self._begin :]
