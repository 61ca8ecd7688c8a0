"""The one process tree that is a lab: starting it, entering its network, and what it must not leave behind."""

from __future__ import annotations

import os
import re
import secrets
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "kaudit-lab"
INIT = Path(__file__).resolve().parent / "init.sh"
# Everything the lab starts ends with the thread that started it.
DIE_WITH_ME = ("setpriv", "--pdeathsig", "KILL", "--")
APART = ("unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child=SIGKILL", "--mount-proc")
START_SECONDS = 10


class ProcessTree:
    """A lab's processes.

    Start it from a thread that lives as long as the lab: the end of that thread, however it comes, ends the lab.
    """

    def __init__(
        self, base: str, masters: Path, gateway: str, hosts: Mapping[str, str], log: Path, litter: Path | None = None
    ) -> None:
        """Start the lab; gateway: the bridge's address and prefix; litter: a directory to remove when it has ended."""
        sweep_dead_labs()
        # The process is named in the tag, so that others can tell whose cgroups may go.
        self.tag = f"{PREFIX}-{os.getpid()}-{secrets.token_hex(3)}"
        entries = [f"{host}={address}" for host, address in hosts.items()]
        with log.open("wb") as output:
            self._outside = subprocess.Popen(
                [*DIE_WITH_ME, *APART, "bash", str(INIT), self.tag, base, str(masters), gateway, *entries],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._janitor = subprocess.Popen(
            [sys.executable, "-I", __file__, str(self._outside.pid), self.tag, *([str(litter)] if litter else [])],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.init = self._find_init(log)

    def _find_init(self, log: Path) -> int:
        """The process id of the lab's PID 1, as seen from outside."""
        children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._outside.poll() is None:
            found = children.read_text().split()
            if found:
                return int(found[0])
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"the lab did not start:\n{log.read_text(errors='replace')}")

    def enter(self) -> list[str]:
        """What to put before a command so that it runs in the lab's network."""
        return ["nsenter", f"--net=/proc/{self.init}/ns/net", "--"]

    def running(self) -> bool:
        """Whether the lab is still there."""
        return self._outside.poll() is None

    def stop(self) -> None:
        """End every process of the lab, and with them its mounts and namespaces; then remove its cgroups."""
        self._outside.kill()
        self._outside.wait()
        self._janitor.wait(timeout=30)
        sweep(self.tag)


def cgroups_of(tag: str) -> list[Path]:
    """The topmost cgroups of the labs whose tags begin so."""
    found = []
    for directory, children, _ in os.walk(CGROUPS):
        ours = [child for child in children if child.startswith(f"{tag}-")]
        found += [Path(directory) / child for child in ours]
        children[:] = [child for child in children if child not in ours]
    return found


def sweep(tag: str, limit: float = 10) -> None:
    """Remove a dead lab's cgroups: they are empty as soon as its last process is gone."""
    deadline = time.monotonic() + limit
    remaining = cgroups_of(tag)
    while remaining and time.monotonic() < deadline:
        for top in remaining:
            for directory, _, _ in os.walk(top, topdown=False):
                _remove(directory)
        remaining = [top for top in remaining if top.exists()]
        if remaining:
            time.sleep(0.02)


def _remove(cgroup: str) -> None:
    """Remove one cgroup, unless a process is still in it."""
    with suppress(OSError):
        os.rmdir(cgroup)


def sweep_dead_labs() -> None:
    """Remove the cgroups of labs that were killed together with their janitor."""
    owners = {re.match(rf"({PREFIX}-(\d+))-", group.name) for group in cgroups_of(PREFIX)}
    for owner in owners:
        if owner and not Path(f"/proc/{owner[2]}").exists():
            sweep(owner[1], limit=1)


def watch_and_sweep(arguments: Sequence[str]) -> None:
    """Be the janitor: wait until the lab's process is gone, however it ended, and remove what it left."""
    outside, tag = int(arguments[0]), arguments[1]
    try:
        descriptor = os.pidfd_open(outside)
    except ProcessLookupError:
        pass
    else:
        select.select([descriptor], [], [])
    for litter in arguments[2:]:
        shutil.rmtree(litter, ignore_errors=True)
    sweep(tag)


if __name__ == "__main__":
    watch_and_sweep(sys.argv[1:])
