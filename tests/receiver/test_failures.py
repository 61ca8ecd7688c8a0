"""The spool on a disk that fails at every operation in turn, and on one whose power is cut."""

from __future__ import annotations

import errno
import hashlib
import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.receiver.disk import Disk
from kaudit_core.receiver.spool import Receipt, Spool
from tests.receiver.batches import commit, event, lines, misplaced, problems, settings
from tests.receiver.faults import Countdown, ForgetfulDisk, HookedDisk, failing

BATCHES = [[event(10 * batch + item) for item in range(3)] for batch in range(5)]
SERVERS = ("master-1", "master-2")
SMALL = len(event(1)) * 7
"""Two batches a segment."""


@dataclass
class Client:
    """Sends batches until they are acknowledged, as an API server does within its attempts."""

    directory: Path
    acknowledged: dict[str, list[bytes]] = field(default_factory=dict)

    def send(self, spool: Spool, server: str, batch: list[bytes], attempts: int) -> bool:
        for _ in range(attempts):
            if isinstance(commit(spool, batch, server), Receipt):
                self.acknowledged.setdefault(server, []).extend(batch)
                return True
        return False

    def lost(self) -> list[bytes]:
        """Events that were acknowledged and are not stored."""
        return [
            one
            for server, events in self.acknowledged.items()
            for one in sorted(set(events) - set(lines(self.directory, server)))
        ]

    def broken(self) -> list[object]:
        """Whatever is wrong with what is stored."""
        found: list[object] = []
        for server in SERVERS:
            held = lines(self.directory, server)
            found += [one for one in set(held) if held.count(one) > 1]
            found += [*misplaced(held, BATCHES), *(problems(self.directory, server) if held else [])]
        return found


def wrong_index(directory: Path) -> list[str]:
    """Closed segments that the index does not describe as they are."""
    wrong = []
    for server in (directory / "segments").iterdir():
        text = (directory / "index" / "segments" / f"{server.name}.jsonl").read_text()
        said = {entry["segment"]: entry["sha256"] for entry in map(json.loads, text.splitlines())}
        held = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in server.iterdir()}
        wrong += [name for name in said.keys() | held.keys() if said.get(name) != held.get(name)]
    return wrong


def run(directory: Path, disk: Disk, attempts: int) -> tuple[Client, bool]:
    """Send every batch, stop; whether the spool could be opened and all were acknowledged."""
    client = Client(directory)
    try:
        spool = Spool(settings(directory, segment_bytes=SMALL), disk)
    except OSError:
        return client, False
    took = [client.send(spool, server, batch, attempts) for batch in BATCHES for server in SERVERS]
    with suppress(OSError):
        spool.close()
    return client, all(took)


def operations(directory: Path) -> int:
    """How many operations a run without a failure takes."""
    counter = Countdown(lambda: None, 0)
    run(directory, HookedDisk(counter), 1)
    return counter.count


def finish(client: Client) -> None:
    """Start again on a good disk, and send everything again: answers may have been lost."""
    spool = Spool(settings(client.directory, segment_bytes=SMALL))
    assert [] == client.lost()
    for server in SERVERS:
        for batch in BATCHES:
            assert client.send(spool, server, batch, 1)
    spool.close()


@pytest.mark.parametrize("lasting", [1, 4, 10**9])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_no_acknowledged_event_is_lost_to_a_failing_disk(tmp_path: Path, number: int, lasting: int) -> None:
    """Whichever operation fails, once or from then on: what was acknowledged is stored, once and in order."""
    for at in range(1, operations(tmp_path / "count") + 1):
        client, _ = run(tmp_path / str(at), HookedDisk(Countdown(failing(number), at, lasting)), attempts=6)

        assert [] == client.lost(), f"operation {at}"
        finish(client)
        assert [] == client.broken() + wrong_index(client.directory), f"operation {at}"


def test_a_disk_that_recovers_is_used_again_without_a_restart(tmp_path: Path) -> None:
    """Four failures in a row, anywhere behind the start, and a client that tries six times loses nothing."""
    for at in range(5, operations(tmp_path / "count") + 1):
        client, took = run(tmp_path / str(at), HookedDisk(Countdown(failing(errno.EIO), at, 4)), attempts=6)

        assert (True, []) == (took, client.lost()), f"operation {at}"


@given(st.integers(0, 2**32), st.integers(1, 250), st.integers(1, 250))
def test_no_acknowledged_event_is_lost_to_a_power_cut(
    tmp_path_factory: pytest.TempPathFactory, seed: int, first: int, second: int
) -> None:
    """Whatever was not synced may be gone, in two cuts one after the other, the second perhaps amid the recovery."""
    directory = tmp_path_factory.mktemp("spool")
    client = Client(directory)
    for at in (first, second):
        disk = CuttableDisk(random.Random(seed + at), tmp_path_factory.mktemp("stash"), at)
        try:
            spool = Spool(settings(directory, segment_bytes=SMALL), disk)
            for batch in BATCHES:
                for server in SERVERS:
                    client.send(spool, server, batch, 1)
            spool.close()
        except PowerCut:
            disk.lose_power()
            unlock(directory)
    finish(client)

    assert [] == client.broken() + wrong_index(directory)


class PowerCut(BaseException):
    """The machine is off."""


class CuttableDisk(ForgetfulDisk):
    """Its power is cut at the nth operation."""

    def __init__(self, rng: random.Random, stash: Path, at: int) -> None:
        super().__init__(rng, stash)
        self._left = at

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise PowerCut

    def open(self, path: Path) -> int:
        self._step()
        return super().open(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._step()
        super().write(descriptor, data)
        self._step()

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)
        self._step()

    def cut(self, descriptor: int, size: int) -> None:
        super().cut(descriptor, size)
        self._step()

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)
        self._step()

    def sync_directory(self, path: Path) -> None:
        self._step()
        super().sync_directory(path)
        self._step()


def unlock(directory: Path) -> None:
    """The lock of the process that the power cut ended; here it is this one, so the file is replaced."""
    (directory / "lock").unlink(missing_ok=True)


def test_a_torn_tail_is_cut_back_and_said(tmp_path: Path) -> None:
    """What a crash left of a line goes; whole lines stay, acknowledged or not."""
    place = tmp_path / "segments" / "master-1"
    place.mkdir(parents=True)
    (place / "audit.log").write_bytes(event(1) + b"\n" + event(2) + b"\n" + event(3)[:100])
    spool = Spool(settings(tmp_path))
    notes = spool.notes
    spool.close()

    assert [event(1), event(2)] == lines(tmp_path)
    assert "cut back by 100 bytes" in notes[0]


def test_a_line_that_rotted_amid_a_segment_costs_no_other_line(tmp_path: Path) -> None:
    """Only the tail is cut: what is unreadable in the middle stays, for the verifier to report."""
    place = tmp_path / "segments" / "master-1"
    place.mkdir(parents=True)
    (place / "audit.log").write_bytes(event(1) + b"\n\0\0\0\n" + event(2) + b"\n")
    Spool(settings(tmp_path)).close()

    assert [event(1), b"\0\0\0", event(2)] == lines(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"segment":1}\n', b"\0\0\n"], ids=["lost", "torn", "strange", "zeros"])
def test_a_damaged_index_is_made_good(tmp_path: Path, damage: bytes) -> None:
    """Segments that the index does not name are measured again."""
    spool = Spool(settings(tmp_path))
    commit(spool, BATCHES[0])
    spool.close()
    path = tmp_path / "index" / "segments" / "master-1.jsonl"
    path.write_bytes(damage)
    Spool(settings(tmp_path)).close()
    entries = [json.loads(line) for line in path.read_bytes().splitlines() if b"sha256" in line]

    assert [3] == [entry["events"] for entry in entries]


def test_a_failed_sync_ends_the_use_of_its_file(tmp_path: Path) -> None:
    """The kernel may call pages clean that it lost, so the next batch goes into another segment."""
    spool = Spool(settings(tmp_path), disk := HookedDisk(lambda _: None))
    commit(spool, BATCHES[0])
    disk.hook = fail_once("before sync", errno.EIO)
    commit(spool, BATCHES[1])
    commit(spool, BATCHES[1])
    spool.close()

    assert 2 == len(list((tmp_path / "segments" / "master-1").iterdir()))
    assert BATCHES[0] + BATCHES[1] == lines(tmp_path)


def fail_once(operation: str, number: int) -> Callable[[str], None]:
    """A hook that fails the next operation of a kind."""
    left = [operation]

    def hook(now: str) -> None:
        if now in left:
            left.remove(now)
            raise OSError(number, "injected")

    return hook
