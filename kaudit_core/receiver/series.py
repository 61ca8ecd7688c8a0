"""The segments of one API server: lines are appended to the open one, which is closed when it is large or old enough.

The open segment is `<stem>.log`, a closed one `<stem>-2026-11-21T05-44-13.123.log`: the names and the order of the
API server's own log backend, so that `kaudit verify` reads the directory like any log.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kaudit_core.receiver.disk import Disk
from kaudit_core.receiver.event_list import Event
from kaudit_core.receiver.index import Entry, add_entry

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_STAMP: Final = "%Y-%m-%dT%H-%M-%S.%f"


def wall_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a series lives: its directory, the stem of its files, its index, and whose events they are."""

    directory: Path
    index: Path
    stem: str
    server: str

    @property
    def current(self) -> Path:
        """The open segment."""
        return self.directory / f"{self.stem}.log"

    def closed_name(self, after: str | None, now: datetime) -> str:
        """A name that sorts behind `after`, the newest closed segment's, even if the clock was set back."""
        moment = now
        if after is not None and (previous := self.closed_at(after)) is not None:
            moment = max(now, previous + timedelta(milliseconds=1))
        return f"{self.stem}-{moment.strftime(_STAMP)[:-3]}.log"

    def closed_at(self, name: str) -> datetime | None:
        """The time in a closed segment's name; None for any other name."""
        try:
            return datetime.strptime(name, f"{self.stem}-{_STAMP}.log").replace(tzinfo=UTC)
        except ValueError:
            return None


@dataclass(slots=True)
class Tally:
    """What a segment holds: what its index entry will say."""

    size: int = 0
    events: int = 0
    first: str | None = None
    last: str | None = None
    sha256: Any = field(default_factory=hashlib.sha256)

    def add(self, data: bytes, times: Sequence[str | None]) -> None:
        """Count records, given as the bytes that hold them and one stageTimestamp for each."""
        self.size += len(data)
        self.events += len(times)
        self.sha256.update(data)
        known = [one for one in times if one and _TIME.fullmatch(one)]
        if known:
            self.first = min(self.first or known[0], min(known))
            self.last = max(self.last or known[0], max(known))

    def entry(self, segment: str, server: str, now: datetime, why: str) -> Entry:
        """The index entry of the segment once it is closed."""
        closed = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        digest = self.sha256.hexdigest()
        return Entry(segment, server, digest, self.size, self.events, self.first, self.last, closed, why)


class Series:
    """Appends to the open segment and closes it. Not safe for use by several threads at once.

    Nothing is held back in memory: when commit returns, its lines are on the disk; when it raises OSError, they are
    cut off again, and no later commit succeeds before that is done.
    """

    def __init__(
        self,
        disk: Disk,
        place: Place,
        segment_bytes: int,
        segment_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        self.place = place
        self.closed: dict[str, Entry] = {}
        self.notes: list[str] = []
        self._closed_bytes = 0
        self._disk, self._clock, self._now = disk, clock, now
        self._bytes, self._seconds = segment_bytes, segment_seconds
        self._descriptor: int | None = None
        self._tally = Tally()
        self._opened = 0.0
        self._unclean = False  # bytes behind the tally's size may be in the file
        self._suspect = False  # a sync failed: nothing is appended to this file any more
        self._unlisted: list[Entry] = []  # closed, and not in the index yet

    @property
    def size(self) -> int:
        """Bytes in all segments."""
        return self._tally.size + self._closed_bytes

    def adopt(self, entries: Sequence[Entry]) -> None:
        """Take over closed segments that were found on the disk, in their order."""
        for entry in entries:
            self.closed[entry.segment] = entry
            self._closed_bytes += entry.bytes

    def forget(self, segment: str) -> None:
        """A closed segment is not there any more."""
        self._closed_bytes -= self.closed.pop(segment).bytes

    def commit(self, events: Sequence[Event]) -> None:
        """Append lines, together and in their order, and sync them. Raises OSError, and then none is kept."""
        self._mend()
        self._make_room(sum(len(event.line) for event in events))
        descriptor = self._descriptor if self._descriptor is not None else self._open()
        data = b"".join([event.line for event in events])
        self._unclean = True
        try:
            self._disk.write(descriptor, data)
            self._suspect = True
            self._disk.sync(descriptor)
        except OSError:
            with suppress(OSError):  # else the next commit tries again
                self._mend()
            raise
        self._unclean = self._suspect = False
        self._tally.add(data, [event.time for event in events])

    def close_segment(self, why: str) -> None:
        """Close the open segment, if it holds anything, under its final name, and list it. Raises OSError."""
        if self._descriptor is None:
            return
        if self._unclean:
            self._cut_back()
        if self._tally.size:
            newest = next(reversed(self.closed), None)
            name = self.place.closed_name(newest, self._now())
            self._disk.rename(self.place.current, self.place.directory / name)
            entry = self._tally.entry(name, self.place.server, self._now(), why)
            self.adopt([entry])
            self._unlisted.append(entry)
        descriptor, self._descriptor = self._descriptor, None
        self._tally, self._suspect = Tally(), False
        self._disk.close(descriptor)
        self.list_closed()

    def close_if_old(self) -> None:
        """Close the open segment when its time has come. Raises OSError."""
        if self._tally.size and self._clock() - self._opened >= self._seconds:
            self.close_segment("age")

    def list_closed(self) -> None:
        """Put closed segments into the index that are not there yet. Raises OSError."""
        if self._unlisted:
            self._disk.sync_directory(self.place.directory)  # the names first: the index speaks of nothing else
        while self._unlisted:
            add_entry(self._disk, self.place.index, self._unlisted[0])
            del self._unlisted[0]

    def _open(self) -> int:
        self._disk.make_directory(self.place.directory)
        self._disk.make_directory(self.place.index.parent)
        descriptor = self._disk.open(self.place.current)
        try:
            self._disk.sync_directory(self.place.directory)
        except OSError:
            self._disk.close(descriptor)
            raise
        self._descriptor, self._opened = descriptor, self._clock()
        return descriptor

    def _make_room(self, size: int) -> None:
        """Close the open segment if so many bytes more would make it too large; never fails a commit by that."""
        try:
            if self._tally.size and self._tally.size + size > self._bytes:
                self.close_segment("size")
            else:
                self.close_if_old()
        except OSError as error:
            self.notes.append(f"{self.place.current}: can't be closed yet: {error.strerror or error}")

    def _mend(self) -> None:
        """Undo a commit that failed; raises OSError as long as that fails too."""
        if self._unclean:
            self._cut_back()
        if self._suspect:
            # After a failed sync the kernel may call lost pages clean. What was synced before is safe; the file isn't.
            self.close_segment("failure")

    def _cut_back(self) -> None:
        if self._descriptor is not None:
            self._disk.cut(self._descriptor, self._tally.size)
            self._disk.sync(self._descriptor)
        self._unclean = False
