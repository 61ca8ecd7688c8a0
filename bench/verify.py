"""`kaudit verify` against plain tools and other ways to do the job: bytes a second, as slopes.

    python bench/verify.py [--megabytes N] [--rounds N] [--only WORKLOAD] [--write]

Every command reads a log and one eight times as large, both in the page cache, on one processor unless it says
otherwise. Its rate is the difference in bytes over the difference in time, so start-up does not count. Commands run in
turn, round after round; the medians of wall-clock and of processor time are given. Where other work shares the machine
only the latter counts. Commands that are known to be slow read logs of an eighth of the size. Peers that are missing
here are left out and named. --write puts the table into bench/README.md.
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
MOST, LEAST = 500, 32
"""Megabytes of the log that the slow read as their large one, and the others as their small one."""
WORKLOADS = ("metadata", "mixed", "everything")
BESIDE = {"wc -l": "wc -l", "go std + evaluator": "Go std", "go sonic + evaluator": "Go sonic"}
BESIDE |= {"python msgspec": "msgspec", "python json": "json"}
"""Whose rate is a column of the table."""
Command = Callable[[Path], list[str]]


class Took(NamedTuple):
    """Seconds of one run."""

    wall: float
    processor: float


class Task(NamedTuple):
    """One command. processors: it may use so many, and its wall-clock time is what counts when they are several."""

    name: str
    command: Command
    suffix: str = ""
    slow: bool = False
    processors: int = 1
    inflate: str = ""


def kaudit(policy: Path, *options: str) -> Command:
    """The whole command, as a user starts it."""
    program = str(Path(sys.executable).with_name("kaudit"))
    base = [program, "verify", "--kubernetes-version", "1.36", "--policy", str(policy), "--format", "json", *options]
    return lambda log: [*base, str(log)]


def plain_peers() -> list[Task]:
    """Tools that only look at lines or at JSON."""
    found = []
    for name, command, slow in (
        ("wc -l", ["wc", "-l"], False),
        ("rg -c", ["rg", "-c", "^"], False),
        ("jq", ["jq", "-c", "[.verb,.level]"], True),
    ):
        if shutil.which(command[0]):
            found.append(Task(name, lambda log, command=command: [*command, str(log)], slow=slow))  # type: ignore[misc]
        else:
            missing(name)
    return found


def judging_peers(policy: Path) -> list[Task]:
    """Programs that decode events and, but for the last two, ask an evaluator."""
    found = []
    for name in peers.NAMES:
        if find_spec(name):
            found.append(Task(f"python {name}", of_peers(name, policy), slow=True))
        else:
            missing(name)
    go = go_peer()
    for name in ("std", "sonic"):
        if go:
            command: Command = lambda log, name=name: [go, name, str(policy), str(log)]  # type: ignore[misc]  # noqa: E731
            found.append(Task(f"go {name} + evaluator", command, slow=True))
        else:
            missing(f"go {name}")
    return found


def of_peers(name: str, policy: Path) -> Command:
    """One of bench/peers.py."""
    return lambda log: [sys.executable, str(ROOT / "bench" / "peers.py"), name, str(policy), str(log)]


def missing(name: str) -> None:
    """Say loudly what the table will lack."""
    print(f"verify: NOT MEASURED, because it is not installed here: {name}", file=sys.stderr)


def inflating(policy: Path) -> list[Task]:
    """The .gz, verified and only inflated: with each library, on one processor and on two."""
    libraries = ["zlib", "isal"]
    if not find_spec("isal"):
        missing(libraries.pop())
    found = []
    for library in libraries:
        for processors in (1, 2):
            note = f".gz ({library}), {processors} processor{'s' * (processors > 1)}"
            for name, command in (
                ("inflating only", of_peers("inflate", policy)),
                ("kaudit verify", kaudit(policy, "--threads", "1")),
            ):
                found.append(Task(f"{name}, {note}", command, ".gz", library == "zlib", processors, library))
    return found


def go_peer() -> str | None:
    """The Go program, built once; None where there is no Go."""
    go = os.environ.get("KAUDIT_GO") or shutil.which("go")
    if not go:
        return None
    target = Path(tempfile.gettempdir()) / "kaudit-bench-peer"
    built = subprocess.run([go, "build", "-o", str(target), "."], cwd=ROOT / "bench" / "peer", check=False)
    return str(target) if built.returncode == 0 else None


def run(task: Task, log: Path) -> Took:
    """One run on as many processors as it may use."""
    command, cores = task.command(log), sorted(os.sched_getaffinity(0))
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        env=os.environ | {"KAUDIT_INFLATE": task.inflate},
        preexec_fn=lambda: os.sched_setaffinity(0, cores[-task.processors :]),
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in ((0, 1) if "verify" in command else (0,)):
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}")
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def write_logs(folder: Path, workload: str, size: int) -> list[Path]:
    """A log of an eighth of the size, one of the size, and one of eight times the size; with their .gz."""
    small = size // TIMES
    if workload == "everything":
        real = (ROOT / "tests" / "corpus" / "real" / "everything" / "audit.log").read_bytes()
        text = real * max(1, small // len(real))
    else:
        text = b"".join(logs.log(workload, small))
    packed = gzip.compress(text, 6)
    paths = []
    for power in range(3):
        paths.append(folder / f"{workload}-{power}.log")
        for path, piece in ((paths[-1], text), (Path(f"{paths[-1]}.gz"), packed)):
            with path.open("wb") as file:
                for _ in range(TIMES**power):
                    file.write(piece)
    return paths


def tasks(folder: Path, workload: str) -> list[Task]:
    """All that is measured on a workload."""
    by_size = {rules: folder / f"policy-{rules}.json" for rules in policies.SIZES}
    for rules, policy in by_size.items():
        policy.write_text(policies.as_json(rules, workload if workload in logs.LEVELS else "metadata"))
    found = plain_peers()
    for rules, policy in by_size.items():
        found.append(Task(f"kaudit verify, {rules:,} rules", kaudit(policy, "--threads", "1")))
    found.append(Task("kaudit verify, 12 rules, 2 threads", kaudit(by_size[12], "--threads", "2"), processors=2))
    return found + inflating(by_size[12]) + judging_peers(by_size[12])


def measure(listed: list[Task], paths: list[Path], rounds: int) -> dict[Task, list[Took]]:
    """The slopes of every task: seconds for each byte by which one log is larger than the other."""
    slopes: dict[Task, list[Took]] = {task: [] for task in listed}
    for path in paths:
        path.read_bytes() if path.stat().st_size < 1 << 30 else subprocess.run(
            ["cat", str(path)], stdout=subprocess.DEVNULL, check=True
        )
    for _ in range(rounds):
        for task in listed:
            # What the reference judges is slow, whoever reads the rest: one event in forty of `everything`.
            slow = task.slow or paths[0].name.startswith("everything")
            few, many = paths[:2] if slow else paths[1:]
            size = many.stat().st_size - few.stat().st_size
            short, long = (run(task, Path(f"{path}{task.suffix}")) for path in (few, many))
            slopes[task].append(Took((long.wall - short.wall) / size, (long.processor - short.processor) / size))
    return slopes


def table(workload: str, slopes: dict[Task, list[Took]]) -> list[str]:
    """Rates in MB/s, and how many times the rate of some peers that is."""
    rows, counted = [], {}
    rates = {}
    for task, taken in slopes.items():
        wall, processor = (1e-6 / max(1e-15, statistics.median(times)) for times in zip(*taken, strict=True))
        rates[task] = wall, processor
        counted[task.name] = processor if task.processors == 1 else wall
    for task, (wall, processor) in rates.items():
        ratios = [f"{counted[task.name] / counted[peer]:.2f}" if peer in counted else "" for peer in BESIDE]
        rows.append(f"| {workload} | {task.name} | {wall:,.0f} | {processor:,.0f} | {' | '.join(ratios)} |")
    return rows


def default_size() -> int:
    """Megabytes for which there is room: the logs of one workload, on disk and in the page cache."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    free = min(shutil.disk_usage(tempfile.gettempdir()).free, memory)
    return max(LEAST, min(MOST, free // (2 * (TIMES + 2)) // 10**6))


def write(lines: list[str]) -> None:
    """Replace what is between the markers in bench/README.md."""
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text("\n".join([before + BEGIN, *lines, END]) + rest.partition(END)[2])


def main() -> int:
    parser = argparse.ArgumentParser(description="The rate of kaudit verify against its peers")
    parser.add_argument(
        "--megabytes", type=int, help=f"of the smaller log, {MOST} where there is room; the larger is 8 times that"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=WORKLOADS, action="append", help="this workload")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    arguments = parser.parse_args()
    size = arguments.megabytes or default_size()
    lines = [f"{machine()} {size:,} MB against {size * TIMES:,} MB, medians of {arguments.rounds} rounds.", ""]
    lines.append(
        f"| workload | command | MB/s, wall | MB/s, processor | {' | '.join(f'x {name}' for name in BESIDE.values())} |"
    )
    lines.append("|---" * (4 + len(BESIDE)) + "|")
    for workload in arguments.only or WORKLOADS:
        with tempfile.TemporaryDirectory() as scratch:
            paths = write_logs(Path(scratch), workload, size * 1_000_000)
            lines += table(workload, measure(tasks(Path(scratch), workload), paths, arguments.rounds))
    print("\n".join(lines))
    if arguments.write:
        write(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
