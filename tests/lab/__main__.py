"""A lab to look around in: `python -m tests.lab up`, `down`; `build` only fills the cache."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.cache import say
from tests.lab.lab import Lab, prepare
from tests.lab.masters import Profile
from tests.lab.packages import obstacle

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "build" / "lab"


class Holder:
    """The process that keeps a lab up: it holds a lock on a file that says who it is."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "holder"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Take the lock for as long as the lab is up."""
        with self.file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def announce(self) -> None:
        """Say that the lab is ready."""
        self.file.write_text(f"{os.getpid()}\n")

    def up(self) -> bool:
        """Whether a lab is held here."""
        if not self.file.exists():
            return False
        with self.file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def wait_until_announced(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the lab came up before its holder ended."""
        while process.poll() is None:
            if self.file.exists() and self.file.read_text():
                return True
            time.sleep(0.1)
        return False


def up(arguments: argparse.Namespace) -> int:
    """Boot a lab that stays, and say how to look around."""
    holder = Holder(arguments.directory)
    if not holder.up():
        prepare(arguments.hosts, profile_of(arguments))
        shutil.rmtree(holder.directory, ignore_errors=True)
        holder.directory.mkdir(parents=True)
        say(f"booting {arguments.hosts} masters")
        log = holder.directory / "holder.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "tests.lab", "hold", *sys.argv[2:]]
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        if not holder.wait_until_announced(process):
            say(f"the masters did not come up:\n{log.read_text(errors='replace')}")
            return 1
    else:
        say("already up")
    where = Path(os.path.relpath(holder.directory))
    print(f"ansible-playbook -i {where}/inventory.yml PLAYBOOK    # group masters")
    print(f"ssh -F {where}/ssh_config m1 kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes,pods -A")
    python = os.path.relpath(sys.executable)
    print(f"{python} -m tests.lab down" + ("" if holder.directory == DIRECTORY else f" --directory {where}"))
    return 0


def hold(arguments: argparse.Namespace) -> int:
    """Keep a lab up until a signal comes, or its directory is removed."""
    holder = Holder(arguments.directory)
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    with holder.hold(), Lab(arguments.hosts, profile_of(arguments), arguments.directory) as lab:
        # Blocked only now: the lab's processes must not inherit it, and until here a signal may simply kill.
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        holder.announce()
        while lab.tree.running() and holder.file.exists():
            if signal.sigtimedwait(ends, 0.5):
                break
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Take the lab down and remove its files."""
    holder = Holder(arguments.directory)
    if not holder.up():
        say("no lab is up here")
        return 0
    while holder.up() and not holder.file.read_text():
        time.sleep(0.1)
    descriptor = os.pidfd_open(int(holder.file.read_text()))
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    with holder.file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    shutil.rmtree(holder.directory)
    say("down")
    return 0


def build(arguments: argparse.Namespace) -> int:
    """Fill the cache."""
    prepare(arguments.hosts, profile_of(arguments))
    return 0


def profile_of(arguments: argparse.Namespace) -> Profile:
    """How the masters are set up."""
    return Profile(fast=not arguments.production, connected=not arguments.standalone)


def main() -> int:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "build", "hold"])
    parser.add_argument("--hosts", type=int, default=3, help="how many masters (3)")
    parser.add_argument(
        "--production", action="store_true", help="kubelet and API server as slow as kubeadm leaves them"
    )
    parser.add_argument("--standalone", action="store_true", help="kubelets without an API server")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where inventory and keys go (build/lab)")
    arguments = parser.parse_args()
    arguments.directory = arguments.directory.resolve()
    reason = obstacle()
    if reason:
        say(reason)
        return 2
    commands = {"up": up, "down": down, "build": build, "hold": hold}
    return commands[arguments.command](arguments)


if __name__ == "__main__":
    sys.exit(main())
