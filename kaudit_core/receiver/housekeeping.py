"""What a spool needs from time to time: old segments closed, closed ones listed, and deleted when they may be."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from kaudit_core.receiver.index import Entry, add_deletions
from kaudit_core.receiver.retention import Closed, deletable, is_taken, read_taken
from kaudit_core.receiver.series import Series
from kaudit_core.receiver.spool import Lane, Spool

_JUMP: Final = timedelta(hours=1)
"""More than this between the wall clock and one that can't be set is a jump, not an adjustment."""


class Housekeeping:
    """Runs on the thread that uses the spool. Never raises OSError: what goes wrong becomes a note of the spool."""

    def __init__(self, spool: Spool) -> None:
        self.untaken = 0
        """Bytes in closed segments that not every sink has taken, as of the last look."""
        self._spool = spool
        self._began = spool.now(), spool.clock()
        self._jumped = False

    def close_old(self) -> None:
        """Close segments whose time has come, and list what could not be listed before."""
        for series in self._spool.series():
            try:
                series.close_if_old()
                series.list_closed()
            except OSError as error:
                self._note(series, error)

    def delete(self) -> None:
        """Delete what the retention rules let go; unreadable items never."""
        rules = self._spool.settings.retention
        segments: list[Closed] = []
        owners: dict[int, Lane] = {}
        for lane in list(self._spool.lanes.values()):
            for found in self._closed(lane):
                segments.append(found)
                owners[id(found.entry)] = lane
        excess = self._spool.size - rules.bytes if rules.bytes is not None else 0
        for entry, why in deletable(segments, rules, self._trusted_now(), excess):
            self._remove(owners[id(entry)].events, entry, why)
        self.untaken = sum(found.entry.bytes for found in segments if not found.is_taken)

    def _closed(self, lane: Lane) -> list[Closed]:
        """The closed segments of an API server; those that someone removed are forgotten."""
        series, directory = lane.events, lane.events.place.directory
        for name in [name for name in series.closed if not (directory / name).exists()]:
            series.forget(name)
        if not series.closed:
            return []
        path = self._spool.settings.directory / "taken" / f"{directory.name}.jsonl"
        try:
            taken = read_taken(path, series.closed)
        except OSError as error:
            self._note(series, error)
            taken = {}
        rules = self._spool.settings.retention
        return [Closed(entry, is_taken(entry, taken, rules)) for entry in series.closed.values()]

    def _remove(self, series: Series, entry: Entry, why: str) -> None:
        now = self._spool.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            # Said first: a file that is gone must not look like one that was stolen.
            add_deletions(self._spool.disk, series.place.index, [entry.segment], now, why)
            self._spool.disk.remove(series.place.directory / entry.segment)
        except OSError as error:
            self._note(series, error)
        else:
            series.forget(entry.segment)

    def _trusted_now(self) -> datetime | None:
        """Now; None once the clock was set, for nothing may grow old by that."""
        now = self._spool.now()
        passed = timedelta(seconds=self._spool.clock() - self._began[1])
        if abs(now - self._began[0] - passed) > _JUMP and not self._jumped:
            self._jumped = True
            self._spool.notes.append("the clock was set: nothing is deleted for its age until the next start")
        return None if self._jumped else now

    def _note(self, series: Series, error: OSError) -> None:
        self._spool.notes.append(f"{series.place.directory}: {error.strerror or error}")
