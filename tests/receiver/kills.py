"""Ends a process with SIGKILL at every operation of the disk in turn, and looks at what it left.

    python -m tests.receiver.kills DIRECTORY

Run as a process of its own that has one thread, because it forks. Prints one JSON object: how many processes were
killed, and what was wrong.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from kaudit_core.receiver.spool import Receipt, Spool
from tests.receiver.batches import commit, event, lines, misplaced, problems, settings
from tests.receiver.faults import Countdown, HookedDisk

BATCHES = [[event(10 * batch + item) for item in range(4)] for batch in range(6)]
SERVERS = ("master-1", "master-2")
UNREADABLE = b'{"level":"Loud"}'


def main() -> int:
    root = Path(sys.argv[1])
    killed, wrong = 0, []
    for at in range(1, 10_000):
        directory = root / str(at)
        was_killed, acknowledged = in_child(directory, at)
        killed += was_killed
        for again in (3, 9, 15) if was_killed and at % 4 == 0 else ():
            # The next process is killed too, most of the time amid its recovery.
            again_killed, more = in_child(directory, again)
            killed += again_killed
            acknowledged |= more
        wrong += [f"operation {at}: {one}" for one in problems_of(directory, acknowledged)]
        shutil.rmtree(directory)
        if not was_killed:
            break
    print(json.dumps({"killed": killed, "wrong": wrong}))
    return 0


def in_child(directory: Path, at: int) -> tuple[bool, set[tuple[int, int]]]:
    """Run a receiver's core that is killed at an operation; whether it was, and what it had acknowledged."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        receive(directory, at, writer)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"operation {at}: exit code {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status), {(told[at], told[at + 1]) for at in range(0, len(told) - 1, 2)}


def receive(directory: Path, at: int, writer: int) -> None:
    """Store every batch and tell each acknowledgement to the parent; SIGKILL at the nth operation."""
    disk = HookedDisk(Countdown(lambda: os.kill(os.getpid(), signal.SIGKILL), at))
    spool = Spool(settings(directory, segment_bytes=len(event(1)) * 9), disk)
    for batch, items in enumerate(BATCHES):
        for server, name in enumerate(SERVERS):
            sent = [*items[:2], UNREADABLE, *items[2:]] if batch == 2 else items
            if isinstance(commit(spool, sent, name), Receipt):
                os.write(writer, bytes((server, batch)))
    spool.close()


def problems_of(directory: Path, acknowledged: set[tuple[int, int]]) -> list[str]:
    """What is wrong after the next start, and after all batches were sent again."""
    spool = Spool(settings(directory))
    wrong = [
        f"{SERVERS[server]}: acknowledged batch {batch} is not stored"
        for server, batch in sorted(acknowledged)
        if not set(BATCHES[batch]) <= set(lines(directory, SERVERS[server]))
    ]
    for name in SERVERS:
        for items in BATCHES:
            commit(spool, items, name)
    spool.close()
    for name in SERVERS:
        held = lines(directory, name)
        wrong += [f"{name}: stored {held.count(one)} times" for one in sorted(set(held)) if held.count(one) > 1]
        wrong += [f"{name}: out of order" for _ in misplaced(held, BATCHES)]
        wrong += problems(directory, name)
        wrong += [f"{name}: {len(held)} events"] if len(held) != 24 else []
    return wrong


if __name__ == "__main__":
    sys.exit(main())
