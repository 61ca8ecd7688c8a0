"""kaudit_core.receiver.retention and housekeeping."""

from __future__ import annotations

import errno
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.receiver.housekeeping import Housekeeping
from kaudit_core.receiver.settings import Retention
from kaudit_core.receiver.spool import Spool
from tests.receiver.batches import commit, event, lines, settings
from tests.receiver.faults import HookedDisk, failing

DAY = 86400.0


class Machine:
    """A spool of three closed segments, one a day, and its clocks."""

    def __init__(self, directory: Path, rules: Retention, disk: HookedDisk | None = None) -> None:
        self.directory, self.seconds, self.wall = directory, 0.0, datetime(2026, 11, 1, tzinfo=UTC)
        more: dict[str, Any] = {"segment_bytes": 1, "segment_seconds": 10 * DAY, "retention": rules}
        self.spool = Spool(settings(directory, **more), disk, lambda: self.seconds, lambda: self.wall)
        self.housekeeping = Housekeeping(self.spool)
        for number in range(4):
            commit(self.spool, [event(number)])
            self.pass_days(1)

    def pass_days(self, days: float) -> None:
        self.seconds += days * DAY
        self.wall += timedelta(days=days)

    def take(self, count: int, sink: str = "store", sha256: str | None = None) -> None:
        """A sink says that it holds the first segments."""
        path = self.directory / "taken" / "master-1.jsonl"
        path.parent.mkdir(exist_ok=True)
        entries = list(self.spool.lanes["master-1"].events.closed.values())[:count]
        said = [{"segment": one.segment, "sha256": sha256 or one.sha256, "sink": sink} for one in entries]
        with path.open("a") as file:
            file.write("".join(json.dumps(one) + "\n" for one in said) + "not json\n")

    def kept(self) -> list[int]:
        """Which events are still there after a deletion."""
        self.housekeeping.delete()
        return [int(json.loads(line)["auditID"][-12:]) for line in lines(self.directory)]


def test_nothing_is_deleted_unless_asked_for(tmp_path: Path) -> None:
    """Not even what a sink has taken."""
    machine = Machine(tmp_path, Retention(sinks=("store",)))
    machine.take(3)

    assert [0, 1, 2, 3] == machine.kept()


@pytest.mark.parametrize("rules", [Retention(seconds=1), Retention(bytes=0)], ids=["age", "size"])
def test_what_no_sink_has_taken_stays(tmp_path: Path, rules: Retention) -> None:
    """However old, and however large the spool."""
    machine = Machine(tmp_path, rules)
    machine.take(3)

    assert [0, 1, 2, 3] == machine.kept()


def test_old_segments_go_when_all_sinks_have_taken_them(tmp_path: Path) -> None:
    """The open segment never goes."""
    machine = Machine(tmp_path, Retention(seconds=DAY / 2, sinks=("store", "archive")))
    machine.take(3)
    machine.take(2, "archive")

    assert [2, 3] == machine.kept()
    assert len(event(0)) + 1 == machine.housekeeping.untaken


def test_the_oldest_go_until_the_rest_is_small_enough(tmp_path: Path) -> None:
    """By size, only as many as needed."""
    machine = Machine(tmp_path, Retention(bytes=2 * len(event(0)) + 2, untaken=True))

    assert [2, 3] == machine.kept()


def test_a_sink_that_holds_other_bytes_holds_nothing(tmp_path: Path) -> None:
    """The digest must be that of the segment."""
    machine = Machine(tmp_path, Retention(seconds=1, sinks=("store",)))
    machine.take(3, sha256="0" * 64)

    assert [0, 1, 2, 3] == machine.kept()


def test_a_clock_that_was_set_makes_nothing_old(tmp_path: Path) -> None:
    """A jump of ten years deletes no segment, and is said."""
    machine = Machine(tmp_path, Retention(seconds=30 * DAY, untaken=True))
    machine.wall += timedelta(days=3650)

    assert [0, 1, 2, 3] == machine.kept()
    assert any("the clock was set" in note for note in machine.spool.notes)


def test_the_index_says_what_was_deleted_and_why(tmp_path: Path) -> None:
    """Before the file goes, so that a missing segment is told from a stolen one."""
    machine = Machine(tmp_path, Retention(seconds=2.5 * DAY, untaken=True))
    machine.housekeeping.delete()
    text = (tmp_path / "index" / "segments" / "master-1.jsonl").read_text()
    deleted = [entry for entry in map(json.loads, text.splitlines()) if "deleted" in entry]

    assert ["age"] == [entry["why"] for entry in deleted]


def test_a_deletion_that_was_begun_is_finished(tmp_path: Path) -> None:
    """The index says deleted, and the file is still there: it goes at the next start."""
    disk = HookedDisk(lambda _: None)
    machine = Machine(tmp_path, Retention(seconds=2.5 * DAY, untaken=True), disk)
    disk.hook = lambda operation: failing(errno.EIO)() if operation == "before remove" else None
    machine.housekeeping.delete()
    disk.hook = lambda _: None
    machine.spool.close()
    Spool(settings(tmp_path)).close()

    assert [event(1), event(2), event(3)] == lines(tmp_path)


def test_a_stolen_segment_is_said_at_the_next_start(tmp_path: Path) -> None:
    """It is in the index, not deleted, and not there."""
    machine = Machine(tmp_path, Retention())
    machine.spool.close()
    stolen = min((tmp_path / "segments" / "master-1").iterdir())
    stolen.unlink()
    spool = Spool(settings(tmp_path))
    spool.close()

    assert [f"{stolen}: is in the index and not there any more"] == spool.notes


def test_a_segment_is_closed_when_its_time_comes_without_traffic(tmp_path: Path) -> None:
    """Nobody has to wait for the next batch."""
    machine = Machine(tmp_path, Retention())
    machine.pass_days(11)
    machine.housekeeping.close_old()

    assert not (tmp_path / "segments" / "master-1" / "audit.log").exists()
