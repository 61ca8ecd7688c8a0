"""The index of an API server's closed segments: one JSON line when a segment is closed, one when it is deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kaudit_core.receiver.disk import Disk


@dataclass(frozen=True, slots=True)
class Entry:
    """A closed segment: its file's name, the digest of its bytes, its records, and when they happened.

    first, last: the smallest and largest stageTimestamp of its records, None where they have none. closed: when, by
    the clock of the receiver. why: "size", "age", "stop", "recovered" or "failure".
    """

    segment: str
    server: str
    sha256: str
    bytes: int
    events: int
    first: str | None
    last: str | None
    closed: str
    why: str


@dataclass(slots=True)
class IndexReading:
    """What an index says. entries: by segment name. cut: bytes of a torn last line, which are gone."""

    entries: dict[str, Entry]
    deleted: set[str]
    cut: int = 0


def read_index(disk: Disk, path: Path) -> IndexReading:
    """Read an index and cut back a torn tail; a missing file is an empty index. Raises OSError."""
    reading = IndexReading({}, set())
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return reading
    good = at = 0
    for line in data.splitlines(keepends=True):
        at += len(line)
        value = _object(line)
        if value is not None and line.endswith(b"\n"):
            good = at
            _take(value, reading)
    if good < len(data):
        reading.cut = len(data) - good
        _cut(disk, path, good)
    return reading


def add_entry(disk: Disk, path: Path, entry: Entry) -> None:
    """Append an entry, durably. Raises OSError."""
    _append(disk, path, [asdict(entry)])


def add_deletions(disk: Disk, path: Path, segments: Iterable[str], when: str, why: str) -> None:
    """Append that segments are deleted, durably, before they are. Raises OSError."""
    _append(disk, path, [{"segment": segment, "deleted": when, "why": why} for segment in segments])


def _take(value: dict[str, Any], reading: IndexReading) -> None:
    if isinstance(value.get("deleted"), str):
        reading.deleted.add(str(value.get("segment")))
        return
    try:
        entry = Entry(**value)
    except TypeError:
        return  # written by a later version
    reading.entries[entry.segment] = entry


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _append(disk: Disk, path: Path, values: list[dict[str, Any]]) -> None:
    before = path.stat().st_size if path.exists() else None
    descriptor = disk.open(path)
    try:
        if before and os.pread(descriptor, 1, before - 1) != b"\n":
            # An earlier append failed, and so did cutting it back.
            before = path.read_bytes().rfind(b"\n") + 1
            disk.cut(descriptor, before)
        disk.write(descriptor, b"".join(json.dumps(value).encode() + b"\n" for value in values))
        disk.sync(descriptor)
    except OSError:
        with suppress(OSError):  # what stays unfinished is cut back when the index is read
            disk.cut(descriptor, before or 0)
        raise
    finally:
        disk.close(descriptor)
    if before is None:
        disk.sync_directory(path.parent)


def _cut(disk: Disk, path: Path, size: int) -> None:
    descriptor = disk.open(path)
    try:
        disk.cut(descriptor, size)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
