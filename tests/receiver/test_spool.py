"""kaudit_core.receiver.spool and series: what is stored, where, and how it is closed."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.receiver.identity import directory_name, server_name
from kaudit_core.receiver.spool import Receipt, Refusal, Spool, SpoolError
from tests.receiver.batches import HOSTILE, commit, event, lines, misplaced, problems, settings


def index(directory: Path, server: str = "master-1") -> list[dict[str, Any]]:
    """An API server's index."""
    text = (directory / "index" / "segments" / f"{server}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def quarantine(directory: Path, server: str = "master-1") -> list[dict[str, Any]]:
    """What could not be read."""
    files = sorted((directory / "quarantine" / server).iterdir())
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def numbered(*numbers: int) -> list[bytes]:
    return [event(number) for number in numbers]


class Clocks:
    """Two clocks that tests move: one that only goes on, and one that anyone may set."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)

    def spool(self, directory: Path, **more: Any) -> Spool:
        return Spool(settings(directory, **more), clock=lambda: self.seconds, now=lambda: self.wall)

    def go(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)


def test_a_batch_is_stored_in_its_order(tmp_path: Path) -> None:
    """Lines are the items' bytes, in the order of the batch, and events for the verifier."""
    spool = Spool(settings(tmp_path))
    answer = commit(spool, numbered(3, 1, 2))

    assert Receipt(3, 0, 0) == answer
    assert numbered(3, 1, 2) == lines(tmp_path)
    assert [] == problems(tmp_path)
    spool.close()


def test_a_retried_batch_is_stored_once(tmp_path: Path) -> None:
    """Even with other events among the old ones."""
    spool = Spool(settings(tmp_path))
    commit(spool, numbered(1, 2))

    assert Receipt(1, 2, 0) == commit(spool, numbered(1, 2, 3))
    assert numbered(1, 2, 3) == lines(tmp_path)
    spool.close()


def test_a_batch_is_known_again_after_a_restart(tmp_path: Path) -> None:
    """The window is filled from the segments, whether they were closed or not."""
    first = Spool(settings(tmp_path, segment_bytes=1))
    commit(first, numbered(1))
    commit(first, [b"unreadable"])
    commit(first, numbered(2))
    first.close()
    second = Spool(settings(tmp_path))

    assert Receipt(0, 2, 0) == commit(second, numbered(1, 2))
    assert Receipt(0, 1, 0) == commit(second, [b"unreadable"])
    second.close()


def test_equal_audit_ids_with_other_content_are_kept(tmp_path: Path) -> None:
    """An Audit-ID is the client's word: no event displaces another one by it."""
    forged = event(1, userAgent="forged")
    spool = Spool(settings(tmp_path))
    commit(spool, [event(1)])

    assert Receipt(1, 0, 0) == commit(spool, [forged])
    assert [event(1), forged] == lines(tmp_path)
    spool.close()


def test_api_servers_are_kept_apart(tmp_path: Path) -> None:
    """The same event of two API servers is two events, each in its directory."""
    spool = Spool(settings(tmp_path))
    commit(spool, numbered(1), "master-1")

    assert Receipt(1, 0, 0) == commit(spool, numbered(1), "master-2")
    assert numbered(1) == lines(tmp_path, "master-2")
    spool.close()


def test_one_api_server_too_many_is_kept_without_a_name(tmp_path: Path) -> None:
    """Names are not refused and can't fill the memory."""
    spool = Spool(settings(tmp_path, servers=1))
    for number, server in enumerate(["a", "b", "c", ""]):
        commit(spool, numbered(number), server)
    spool.close()

    assert numbered(0) == lines(tmp_path, "a")
    assert numbered(1, 2, 3) == lines(tmp_path, "unnamed")


def test_unreadable_items_are_kept_beside_the_events(tmp_path: Path) -> None:
    """With the reason, the peer and their bytes, once."""
    spool = Spool(settings(tmp_path))
    first = commit(spool, [event(1), b"{}", event(2)])
    second = commit(spool, [event(1), b"{}", event(2)])
    (kept,) = quarantine(tmp_path)
    spool.close()

    assert [Receipt(2, 0, 1), Receipt(0, 3, 0)] == [first, second]
    assert (1, "not an audit event: level is missing", "e30=", "127.0.0.1") == (
        kept["item"], kept["reason"], kept["base64"], kept["peer"],
    )  # fmt: skip


def test_a_segment_is_closed_by_its_size(tmp_path: Path) -> None:
    """Batches are not split: the one that would make a segment too large begins the next."""
    spool = Spool(settings(tmp_path, segment_bytes=len(event(1)) * 5))
    for number in range(0, 9, 3):
        commit(spool, numbered(number, number + 1, number + 2))
    spool.close()

    assert [3, 3, 3] == [entry["events"] for entry in index(tmp_path)]
    assert numbered(*range(9)) == lines(tmp_path)


def test_a_segment_is_closed_by_its_age(tmp_path: Path) -> None:
    """Age is measured by a clock that nobody sets."""
    clocks = Clocks()
    spool = clocks.spool(tmp_path, segment_seconds=60)
    commit(spool, numbered(1))
    clocks.wall += timedelta(days=400)
    commit(spool, numbered(2))
    clocks.go(61)
    commit(spool, numbered(3))
    spool.close()

    assert [("age", 2), ("stop", 1)] == [(entry["why"], entry["events"]) for entry in index(tmp_path)]


def test_the_index_says_what_a_closed_segment_holds(tmp_path: Path) -> None:
    """Digest, counts, first and last time, and whose events they are."""
    spool = Spool(settings(tmp_path))
    commit(spool, numbered(7, 5, 6))
    spool.close()
    (entry,) = index(tmp_path)
    data = (tmp_path / "segments" / "master-1" / entry["segment"]).read_bytes()

    assert (hashlib.sha256(data).hexdigest(), len(data), 3, "master-1") == (
        entry["sha256"], entry["bytes"], entry["events"], entry["server"],
    )  # fmt: skip
    assert ("2026-11-21T05:00:01.000005Z", "2026-11-21T05:00:01.000007Z") == (entry["first"], entry["last"])


@given(st.lists(st.integers(-(10**9), 10**9), max_size=6), st.booleans())
def test_segments_keep_their_order_when_the_clock_jumps(
    tmp_path_factory: pytest.TempPathFactory, jumps: list[int], restart: bool
) -> None:
    """The verifier reads the events in the order in which they came, whatever the wall clock said."""
    directory, clocks = tmp_path_factory.mktemp("spool"), Clocks()
    spool = clocks.spool(directory, segment_bytes=1)
    for number, jump in enumerate(jumps):
        commit(spool, numbered(number))
        clocks.wall += timedelta(seconds=jump)
        if restart:
            spool.close()
            spool = clocks.spool(directory, segment_bytes=1)
    spool.close()

    assert numbered(*range(len(jumps))) == lines(directory)


def test_a_full_spool_refuses_and_takes_again(tmp_path: Path) -> None:
    """Nothing of a refused batch is stored."""
    spool = Spool(settings(tmp_path, limit=len(event(1)) + 10))
    commit(spool, numbered(1))

    assert Refusal("the spool is full") == commit(spool, numbered(2))
    assert Receipt(0, 1, 0) == commit(spool, numbered(1))
    assert numbered(1) == lines(tmp_path)
    spool.close()


def test_a_disk_near_its_end_refuses(tmp_path: Path) -> None:
    """The reserve is left to others."""
    spool = Spool(settings(tmp_path, reserve=2**62))

    assert Refusal("the disk is full") == commit(spool, numbered(1))
    spool.close()


def test_a_spool_has_one_receiver(tmp_path: Path) -> None:
    """A second one is refused in one sentence."""
    spool = Spool(settings(tmp_path))

    with pytest.raises(SpoolError, match="another receiver uses this spool"):
        Spool(settings(tmp_path))
    spool.close()


@given(st.text(max_size=80) | st.sampled_from(["..", ".", "a/b", "../../etc", "\0", HOSTILE[:-1], "x" * 300]))
def test_a_name_is_one_safe_directory_or_none(name: str) -> None:
    """No name leaves its directory, hides or is taken for another one."""
    try:
        found = directory_name(name)
    except UnicodeEncodeError:
        return  # a lone surrogate: no name in a URL or a certificate has one
    if found is not None:
        assert name == server_name(found)
        assert not found.startswith(".") and "/" not in found and found.isprintable()


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=6), max_size=12))
def test_any_batches_are_stored_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    """Every event once, in the order of its first batch, for any overlap of batches in one group."""
    directory = tmp_path_factory.mktemp("spool")
    spool = Spool(settings(directory, segment_bytes=2000))
    for batch in batches:
        commit(spool, numbered(*batch))
    spool.close()
    firsts = list(dict.fromkeys(number for batch in batches for number in batch))

    assert numbered(*firsts) == lines(directory)
    assert [] == misplaced(lines(directory), [])
