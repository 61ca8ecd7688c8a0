"""What the plays take on three real masters, beside what the restarts alone take.

    python -m bench.plays [--rounds N] [--write]

The peer edits the three manifests one after the other by hand, and waits each time until the API server is ready again:
no backup, no proof, no settling. Rounds alternate peer and plays on freshly booted masters; needs root on Debian.
--write puts the table into bench/README.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.lab.deploying import SECRETS_ONLY, enable, succeed
from tests.lab.lab import MANIFEST, Lab

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "bench" / "README.md"
BEGIN, END = "<!-- plays: begin -->", "<!-- plays: end -->"
EDIT = ("    - --allow-privileged=true\n", "    - --allow-privileged=true\n    - --profiling=false\n")
PEER = "three manifests edited by hand (the peer)"
SETTLED = "enable, of which 3 x 3 s settling"
UNCHANGED = "enable again, nothing to do"
AWAY = "enable: one API server without an answer"
BY_HAND = "by hand: one API server without an answer"
Times = dict[str, list[float]]


def by_hand(lab: Lab, times: Times) -> None:
    """Edit the manifests one after the other."""
    with lab.poller() as poller:
        poller.wait_for(set(lab.hosts))
        start = time.monotonic()
        for host in lab.hosts:
            text = lab.read(host, MANIFEST)
            lab.write(host, MANIFEST, text.replace(*EDIT))
            poller.wait_for(set(lab.hosts) - {host})
            poller.wait_for(set(lab.hosts))
        times[PEER].append(time.monotonic() - start)
        times[BY_HAND] += [outage.end - outage.start for outage in poller.outages() if outage.end]


def by_play(lab: Lab, policy: Path, times: Times) -> None:
    """Enable, and enable again."""
    start = time.monotonic()
    run = succeed(enable(lab, policy))
    times[SETTLED].append(time.monotonic() - start)
    times[AWAY] += [outage.end - outage.start for outage in run.outages if outage.end]
    start = time.monotonic()
    succeed(enable(lab, policy))
    times[UNCHANGED].append(time.monotonic() - start)


def measure(rounds: int) -> Times:
    """Alternate peer and plays."""
    times: Times = {name: [] for name in (PEER, SETTLED, UNCHANGED, BY_HAND, AWAY)}
    with tempfile.TemporaryDirectory() as directory, Lab(hosts=3) as lab:
        policy = Path(directory) / "policy.yaml"
        policy.write_text(SECRETS_ONLY)
        for _ in range(rounds):
            by_hand(lab, times)
            lab.reset()
            by_play(lab, policy, times)
            lab.reset()
    return times


def table(times: Times, rounds: int) -> str:
    """The table in Markdown, with the commit and the machine."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    medians = {name: statistics.median(values) for name, values in times.items()}
    peers = {AWAY: BY_HAND, BY_HAND: BY_HAND}
    rows = [
        f"| {name} | {median:.1f} s | {median / medians[peers.get(name, PEER)]:.2f} |"
        for name, median in medians.items()
    ]
    head = f"Commit {commit.stdout.strip()}; {machine}. Medians of {rounds} alternating rounds, three masters."
    return "\n".join([head, "", "| what | median | x peer |", "|---|---|---|", *rows, ""])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = table(measure(arguments.rounds), arguments.rounds)
    print(text)
    if arguments.write:
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{text}{END}{rest.partition(END)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
