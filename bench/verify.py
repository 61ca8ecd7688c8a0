"""`kaudit verify` against plain tools and other ways to do the job: bytes a second, as slopes.

    python bench/verify.py [--megabytes N] [--rounds N] [--write]

Every command reads a small log and one eight times as large, both in the page cache, on one processor. Its rate is the
difference in bytes over the difference in time, so start-up does not count. Commands run in turn, round after round;
the medians of wall-clock and of processor time are given. Where other work shares the machine only the latter counts.
Peers that are missing here are left out and named. --write puts the table into bench/README.md.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import logs
import peers
import policies
from startup import README, ROOT, machine

BEGIN, END = "<!-- verify: begin -->", "<!-- verify: end -->"
TIMES = 8
Command = Callable[[Path], list[str]]


class Took(NamedTuple):
    """Seconds of one run."""

    wall: float
    processor: float


class Task(NamedTuple):
    """One command on one workload."""

    workload: str
    name: str
    command: Command
    suffix: str = ""


def kaudit(policy: Path, *options: str) -> Command:
    """The whole command, as a user starts it."""
    program = str(Path(sys.executable).with_name("kaudit"))
    base = [program, "verify", "--kubernetes-version", "1.36", "--policy", str(policy), "--format", "json", *options]
    return lambda log: [*base, str(log)]


def plain_peers() -> dict[str, Command]:
    """Tools that only look at lines or at JSON."""
    found: dict[str, Command] = {}
    for name, command in (
        ("wc -l", ["wc", "-l"]),
        ("rg -c", ["rg", "-c", "^"]),
        ("jq", ["jq", "-c", "[.verb,.level]"]),
    ):
        if shutil.which(command[0]):
            found[name] = lambda log, command=command: [*command, str(log)]  # type: ignore[misc]
    return found


def judging_peers(policy: Path) -> dict[str, Command]:
    """Programs that decode events and, but for the last two, ask an evaluator."""
    found: dict[str, Command] = {}
    script = str(ROOT / "bench" / "peers.py")
    for name in peers.NAMES:
        if find_spec(name):
            found[f"python {name}"] = lambda log, name=name: [  # type: ignore[misc]
                sys.executable, script, name, str(policy), str(log)
            ]  # fmt: skip
    if go := go_peer():
        for name in ("std", "sonic"):
            found[f"go {name} + evaluator"] = lambda log, name=name: [go, name, str(policy), str(log)]  # type: ignore[misc]
    return found


def go_peer() -> str | None:
    """The Go program, built once; None where there is no Go."""
    go = os.environ.get("KAUDIT_GO") or shutil.which("go")
    if not go:
        return None
    target = Path(tempfile.gettempdir()) / "kaudit-bench-peer"
    built = subprocess.run([go, "build", "-o", str(target), "."], cwd=ROOT / "bench" / "peer", check=False)
    return str(target) if built.returncode == 0 else None


def run(command: list[str]) -> Took:
    """One run, pinned to one processor unless it asks for more."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    several = "--threads" in command and command[command.index("--threads") + 1] != "1"
    cores = sorted(os.sched_getaffinity(0))
    done = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        preexec_fn=None if several else lambda: os.sched_setaffinity(0, cores[-1:]),
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in ((0, 1) if "verify" in command else (0,)):
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}")
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def write_logs(folder: Path, size: int) -> dict[str, tuple[Path, Path]]:
    """The workloads, small and large."""
    real = (ROOT / "tests" / "corpus" / "real" / "everything" / "audit.log").read_bytes()
    texts = {
        "metadata": b"".join(logs.log("metadata", size)),
        "mixed": b"".join(logs.log("mixed", size)),
        "everything": real * max(1, size // len(real)),
    }
    found = {}
    for name, text in texts.items():
        small, large = folder / f"{name}.log", folder / f"{name}-large.log"
        small.write_bytes(text)
        with large.open("wb") as file:
            for _ in range(TIMES):
                file.write(text)
        for path in (small, large):
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes(), 6))
        found[name] = (small, large)
    return found


def tasks(folder: Path, workloads: list[str]) -> list[Task]:
    """All that is measured."""
    found = []
    for workload in workloads:
        by_size = {rules: folder / f"{workload}-{rules}.json" for rules in policies.SIZES}
        for rules, policy in by_size.items():
            policy.write_text(policies.as_json(rules, workload if workload in logs.LEVELS else "metadata"))
        found += [Task(workload, name, command) for name, command in plain_peers().items()]
        for rules, policy in by_size.items():
            found.append(Task(workload, f"kaudit verify, {rules:,} rules", kaudit(policy, "--threads", "1")))
        found.append(Task(workload, "kaudit verify, 12 rules, 2 threads", kaudit(by_size[12], "--threads", "2")))
        found.append(Task(workload, "kaudit verify, 12 rules, .gz", kaudit(by_size[12], "--threads", "1"), ".gz"))
        found += [Task(workload, name, command) for name, command in judging_peers(by_size[12]).items()]
    return found


def measure(listed: list[Task], files: dict[str, tuple[Path, Path]], rounds: int) -> dict[Task, list[Took]]:
    """The slopes of every task: seconds for the bytes by which the large log is larger."""
    slopes: dict[Task, list[Took]] = {task: [] for task in listed}
    for _ in range(rounds):
        for task in listed:
            small, large = (Path(f"{path}{task.suffix}") for path in files[task.workload])
            short, long = run(task.command(small)), run(task.command(large))
            slopes[task].append(Took(long.wall - short.wall, long.processor - short.processor))
    return slopes


def table(slopes: dict[Task, list[Took]], files: dict[str, tuple[Path, Path]]) -> list[str]:
    """Rates and their ratio to `wc -l`, workload by workload."""
    rows = ["| workload | command | MB/s, wall | MB/s, processor | x wc -l (processor) |", "|---|---|---|---|---|"]
    reference: dict[str, float] = {}
    for task, taken in slopes.items():
        size = files[task.workload][0].stat().st_size * (TIMES - 1) / 1e6
        wall = size / max(1e-9, statistics.median(one.wall for one in taken))
        processor = size / max(1e-9, statistics.median(one.processor for one in taken))
        reference.setdefault(task.workload, processor)
        ratio = processor / reference[task.workload]
        rows.append(f"| {task.workload} | {task.name} | {wall:,.0f} | {processor:,.0f} | {ratio:.3f} |")
    return rows


def write(lines: list[str]) -> None:
    """Replace what is between the markers in bench/README.md."""
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text("\n".join([before + BEGIN, *lines, END]) + rest.partition(END)[2])


def main() -> int:
    parser = argparse.ArgumentParser(description="The rate of kaudit verify against its peers")
    parser.add_argument("--megabytes", type=int, default=32, help="of the small log; the large one has 8 times that")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = write_logs(folder, arguments.megabytes * 1_000_000)
        slopes = measure(tasks(folder, list(files)), files, arguments.rounds)
        sizes = f"{arguments.megabytes} MB against {arguments.megabytes * TIMES} MB"
        lines = [f"{machine()} {sizes}, medians of {arguments.rounds} rounds.", "", *table(slopes, files)]
    print("\n".join(lines))
    if arguments.write:
        write(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
