"""What a receiver does with the segments that it finds: closes what a crash left open, and lists what is not listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from kaudit_core.events.json_text import JsonError, parse
from kaudit_core.receiver.disk import Disk
from kaudit_core.receiver.event_list import REFUSED, Event, read_event
from kaudit_core.receiver.index import Entry, add_entry, read_index
from kaudit_core.receiver.series import Place, Tally

_BLOCK = 8 * 1024 * 1024


@dataclass(slots=True)
class Recovered:
    """What was found: the closed segments in their order, and what has to be said."""

    closed: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def recover(disk: Disk, place: Place, now: datetime) -> Recovered:
    """Bring a series back into order after any end of the process before. Raises OSError.

    A torn tail of the open segment is cut back to the end of its last whole record, the segment is closed, closed
    segments without an index entry get one, and deletions that were begun are finished.
    """
    found = Recovered()
    if not place.directory.is_dir():
        return found
    disk.make_directory(place.index.parent)
    index = read_index(disk, place.index)
    if index.cut:
        found.notes.append(f"{place.index}: cut back by {index.cut} bytes of a torn line")
    names = sorted(path.name for path in place.directory.iterdir() if place.closed_at(path.name) is not None)
    for name in index.deleted.intersection(names):
        disk.remove(place.directory / name)
        names.remove(name)
    for name in index.entries.keys() - index.deleted - set(names):
        found.notes.append(f"{place.directory / name}: is in the index and not there any more")
    if place.current.exists():
        names.extend(_close(disk, place, names[-1] if names else None, now, found))
    disk.sync_directory(place.directory)
    for name in names:
        found.closed.append(index.entries.get(name) or _list(disk, place, name, now, found))
    return found


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a segment with their newlines, the last one perhaps without."""
    rest = b""
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            lines = _split(rest + block)
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            yield from lines
    if rest:
        yield rest


def _split(data: bytes) -> list[bytes]:
    """Lines that end at a newline and nowhere else."""
    *ends, rest = data.split(b"\n")
    return [end + b"\n" for end in ends] + ([rest] if rest else [])


def _close(disk: Disk, place: Place, newest: str | None, now: datetime, found: Recovered) -> list[str]:
    """Close a segment that was open; its new name, or none where it held no record."""
    whole = measured(place.current).size
    tail = place.current.stat().st_size - whole
    descriptor = disk.open(place.current)
    try:
        if tail:
            disk.cut(descriptor, whole)
            found.notes.append(f"{place.current}: cut back by {tail} bytes behind the last whole record")
        disk.sync(descriptor)  # what was written and never synced is kept, so it must stay
    finally:
        disk.close(descriptor)
    if not whole:
        disk.remove(place.current)
        return []
    name = place.closed_name(newest, now)
    disk.rename(place.current, place.directory / name)
    return [name]


def _list(disk: Disk, place: Place, name: str, now: datetime, found: Recovered) -> Entry:
    entry = measured(place.directory / name).entry(name, place.server, now, "recovered")
    add_entry(disk, place.index, entry)
    found.notes.append(f"{place.directory / name}: closed after a crash, {entry.events} records")
    return entry


def measured(path: Path) -> Tally:
    """A segment up to the end of its last whole record; what is unreadable before that is kept, and counted."""
    tally = Tally()
    waiting: list[bytes] = []
    for line in lines_of(path):
        waiting.append(line)
        if line.endswith(b"\n") and (record := _record(line)) is not None:
            times: list[str | None] = [None] * (len(waiting) - 1)
            tally.add(b"".join(waiting), [*times, record.time])
            waiting.clear()
    return tally


def _record(line: bytes) -> Event | None:
    """A line that a receiver writes: an event, or a quarantined item; None for anything else."""
    read = read_event(line[:-1])
    if isinstance(read, Event):
        return read
    try:
        value = msgspec.json.decode(line)
    except REFUSED:
        try:
            value, _ = parse(line)
        except JsonError:
            return None
    return Event(line, b"", None) if isinstance(value, dict) else None
