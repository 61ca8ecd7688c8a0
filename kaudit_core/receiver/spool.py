"""All events on the disk: a series of segments for each API server, what is unreadable beside them, and their limits.

Under its directory:

    segments/<api-server>/audit.log, audit-<time>.log     events, one a line
    quarantine/<api-server>/quarantine.log, ...           what could not be read, with the reason
    index/segments/<api-server>.jsonl, index/quarantine/  what was closed, and deleted
    taken/<api-server>.jsonl                              which sink holds which closed segment, written by sinks
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from kaudit_core.receiver.disk import Disk
from kaudit_core.receiver.event_list import Batch, Event, Unreadable, digest
from kaudit_core.receiver.identity import directory_name, server_name
from kaudit_core.receiver.index import Entry
from kaudit_core.receiver.recovery import lines_of, recover
from kaudit_core.receiver.series import Place, Series, wall_clock
from kaudit_core.receiver.settings import UNNAMED, SpoolSettings
from kaudit_core.receiver.window import Window

_STEMS: Final = {"segments": "audit", "quarantine": "quarantine"}


class SpoolError(OSError):
    """The spool can't be used: its path, what is wrong and what to do, in one sentence."""


class Submission(NamedTuple):
    """One request: the API server's name, what it sent, and the address it came from."""

    server: str
    batch: Batch
    peer: str


class Receipt(NamedTuple):
    """Everything of a batch is on the disk. Numbers of records; stored ones without those known from before."""

    stored: int
    duplicates: int
    quarantined: int


class Refusal(NamedTuple):
    """Nothing of a batch may be called stored; why, in words."""

    reason: str


@dataclass(slots=True)
class Lane:
    """The two series of one API server, and the mark that tells its keys in the window from others'."""

    server: str
    mark: bytes
    events: Series
    quarantine: Series


class Spool:
    """Stores batches. Only one process may have it open, and only one thread may use it."""

    def __init__(
        self,
        settings: SpoolSettings,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        """Recover what is there. Raises SpoolError, or another OSError of the disk."""
        self.settings = settings
        self.disk = disk or Disk()
        self.notes: list[str] = []
        self.lanes: dict[str, Lane] = {}
        self.clock, self.now = clock, now
        self._window = Window(settings.window_events, settings.window_seconds, clock)
        self.disk.make_directory(settings.directory)
        self._lock = _locked(settings.directory / "lock")
        try:
            for server in self._known_servers():
                self._lane(server, is_known=True)
            self._remember()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def size(self) -> int:
        """Bytes in all segments, unreadable items included."""
        return sum(series.size for series in self.series())

    def commit(self, submissions: Sequence[Submission]) -> list[Receipt | Refusal]:
        """Store batches and sync; an answer for each. What fails for one API server does not fail the others."""
        answers: dict[int, Receipt | Refusal] = {}
        places: dict[str, list[int]] = {}
        for place, submission in enumerate(submissions):
            places.setdefault(submission.server, []).append(place)
        for server, mine in places.items():
            try:
                given = self._store(self._lane(server), [submissions[place] for place in mine])
            except OSError as error:
                given = [Refusal(f"the spool can't be written: {error.strerror or error}")] * len(mine)
            answers.update(zip(mine, given, strict=True))
        return [answers[place] for place in range(len(submissions))]

    def lane_name(self, server: str) -> str:
        """The name under which an API server's events are kept: its own, or UNNAMED."""
        return server if server in self.lanes else UNNAMED

    def refusal(self, size: int) -> Refusal | None:
        """Why so many bytes more can't be taken, or None."""
        limit, reserve = self.settings.limit, self.settings.reserve
        if limit is not None and self.size + size > limit:
            return Refusal("the spool is full")
        try:
            free = self.disk.free(self.settings.directory)
        except OSError as error:
            return Refusal(f"the spool's file system can't be asked: {error.strerror or error}")
        return Refusal("the disk is full") if free - size < reserve else None

    def close(self) -> None:
        """Close every open segment and let go of the directory. Raises OSError after having tried all."""
        failure: OSError | None = None
        for series in self.series():
            try:
                series.close_segment("stop")
            except OSError as error:
                failure = error
        os.close(self._lock)
        if failure:
            raise failure

    def series(self) -> list[Series]:
        """Every series, of events and of unreadable items; may be asked from any thread."""
        return [series for lane in list(self.lanes.values()) for series in (lane.events, lane.quarantine)]

    def _store(self, lane: Lane, submissions: Sequence[Submission]) -> list[Receipt | Refusal]:
        events: dict[bytes, Event] = {}
        unreadable: dict[bytes, Event] = {}
        receipts: list[Receipt | Refusal] = []
        for _, batch, peer in submissions:
            before, held = len(events), len(unreadable)
            for event in batch.events:
                key = lane.mark + event.digest
                if key not in events and key not in self._window:
                    events[key] = event
            for one in batch.unreadable:
                key = lane.mark + b"?" + digest(one.data)
                if key not in unreadable and key not in self._window:
                    unreadable[key] = self._quarantined(lane, one, peer)
            stored, quarantined = len(events) - before, len(unreadable) - held
            known = len(batch.events) + len(batch.unreadable) - stored - quarantined
            receipts.append(Receipt(stored, known, quarantined))
        size = sum(len(event.line) for events_of in (events, unreadable) for event in events_of.values())
        if size and (refusal := self.refusal(size)):
            return [refusal] * len(receipts)
        # Each sort is known again from the moment it is safe: a retry after a failure between the two stores the rest.
        for series, fresh in ((lane.quarantine, unreadable), (lane.events, events)):
            if fresh:
                series.commit(list(fresh.values()))
                self._window.add(fresh)
        return receipts

    def _quarantined(self, lane: Lane, one: Unreadable, peer: str) -> Event:
        said = {
            "quarantined": self.now().isoformat(),
            "server": lane.server,
            "peer": peer,
            "item": one.item,
            "reason": one.reason,
            "bytes": len(one.data),
            "base64": base64.b64encode(one.data).decode(),
        }
        return Event(json.dumps(said).encode() + b"\n", b"", None)

    def _lane(self, server: str, is_known: bool = False) -> Lane:
        """The lane of an API server; made, and its series recovered, when it is first met."""
        directory = directory_name(server)
        is_known = is_known or server in self.lanes
        if directory is None or not (is_known or len(self.lanes) < self.settings.servers):
            server = directory = UNNAMED
        if server not in self.lanes:
            made = {kind: self._series(kind, server, directory) for kind in _STEMS}
            mark = len(self.lanes).to_bytes(4)
            self.lanes[server] = Lane(server, mark, made["segments"], made["quarantine"])
        return self.lanes[server]

    def _series(self, kind: str, server: str, directory: str) -> Series:
        root, settings = self.settings.directory, self.settings
        index = root / "index" / kind / f"{directory}.jsonl"
        place = Place(root / kind / directory, index, _STEMS[kind], server)
        series = Series(self.disk, place, settings.segment_bytes, settings.segment_seconds, self.clock, self.now)
        found = recover(self.disk, place, self.now())
        series.adopt(found.closed)
        self.notes.extend(found.notes)
        return series

    def _known_servers(self) -> list[str]:
        names = {
            entry.name
            for kind in _STEMS
            if (self.settings.directory / kind).is_dir()
            for entry in os.scandir(self.settings.directory / kind)
            if entry.is_dir()
        }
        return sorted(server_name(name) for name in names)

    def _remember(self) -> None:
        """Fill the window with the newest records of the disk: their batches may be retried now."""
        found: list[tuple[float, Path, Entry, Lane, bool]] = []
        for lane in self.lanes.values():
            for series in (lane.events, lane.quarantine):
                for entry in series.closed.values():
                    path = series.place.directory / entry.segment
                    found.append((path.stat().st_mtime, path, entry, lane, series is lane.events))
        found.sort(key=lambda one: (one[0], one[1]))
        newest, wanted, chosen = found[-1][0] if found else 0.0, self.settings.window_events, []
        while found and wanted > 0 and found[-1][0] >= newest - self.settings.window_seconds:
            chosen.append(found.pop())
            wanted -= chosen[-1][2].events
        for _, path, _, lane, is_events in reversed(chosen):
            self._window.add(_keys(path, lane, is_events))


def _keys(path: Path, lane: Lane, is_events: bool) -> list[bytes]:
    if is_events:
        return [lane.mark + digest(line) for line in lines_of(path)]
    keys = []
    for line in lines_of(path):
        try:
            keys.append(lane.mark + b"?" + digest(base64.b64decode(json.loads(line)["base64"])))
        except (ValueError, KeyError, TypeError):
            continue  # the file was changed by someone; the item would be stored again
    return keys


def _locked(path: Path) -> int:
    """Hold a lock for as long as the process lives."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SpoolError(f"{path.parent}: another receiver uses this spool; give each its own --spool") from error
    return descriptor
