"""Start-up times of the whole command, and the time to read a large policy, against their bounds.

    python bench/startup.py [--rounds N] [--write]

Commands run in turn, round after round, with ``python -c pass`` among them as the peer: what the interpreter itself
costs on this machine. Reading a policy is the difference between a command with 10,000 rules and the same with 12.
Exit code 1 if a bound is missed. --write puts the table into bench/README.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import policies

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "bench" / "README.md"
BEGIN, END = "<!-- startup: begin -->", "<!-- startup: end -->"
PEER = "python -c pass"
Times = dict[str, list[float]]


@dataclass(frozen=True)
class Bound:
    """What a command, or the difference between two, may take."""

    what: str
    command: str
    seconds: float
    less: str | None = None


BOUNDS = (
    Bound("kaudit --help", "help", 0.15),
    Bound("kaudit verify, 10 lines", "verify", 0.25),
    Bound("reading 10,000 rules, YAML", "large YAML", 3.0, less="small YAML"),
    Bound("reading 10,000 rules, JSON", "large JSON", 0.2, less="small JSON"),
)


def commands(folder: Path) -> dict[str, list[str]]:
    """The commands to measure; writes what they read into a folder."""
    real = ROOT / "tests" / "corpus" / "real" / "ack"
    log, none = folder / "ten.log", folder / "none.jsonl"
    log.write_bytes(b"".join((real / "audit.log").read_bytes().splitlines(keepends=True)[:10]))
    none.write_bytes(b"")
    kaudit = str(Path(sys.executable).with_name("kaudit"))
    listed = {
        PEER: [sys.executable, "-c", "pass"],
        "help": [kaudit, "--help"],
        "verify": [kaudit, "verify", "--policy", str(real / "policy.yaml"), str(log)],
    }
    for size, rules in (("small", 12), ("large", 10_000)):
        for form, text in (("YAML", policies.as_yaml(rules)), ("JSON", policies.as_json(rules))):
            path = folder / f"{size}.{form.lower()}"
            path.write_text(text)
            listed[f"{size} {form}"] = [kaudit, "policy", "evaluate", "--policy", str(path), str(none)]
    return listed


def run(command: Sequence[str]) -> float:
    """Seconds that one run takes; a command that fails ends the measurement."""
    begin = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return seconds


def measure(listed: dict[str, list[str]], rounds: int) -> Times:
    """The times of every command, interleaved; the first round warms the caches and is not counted."""
    times: Times = {name: [] for name in listed}
    for number in range(rounds + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
        for name, command in listed.items():
            seconds = run(command)
            if number:
                times[name].append(seconds)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return times


def machine() -> str:
    """The commit and the kind of machine, in one line."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False).stdout
    commit = (head.stdout.strip() or "none") + (" with changes" if changed else "")
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = Path("/proc/cpuinfo").read_text().count("processor\t:")
    return f"Commit {commit}; {model}, {cores} cores, {platform.system()}, Python {platform.python_version()}."


def table(times: Times) -> tuple[list[str], bool]:
    """The result in lines, and whether every bound holds."""
    peer = statistics.median(times[PEER])
    rows = ["| what | median | bound | x peer | |", "|---|---|---|---|---|"]
    rows.append(f"| {PEER} (the peer) | {peer:.3f} s | | 1.0 | |")
    kept = True
    for bound in BOUNDS:
        seconds = statistics.median(times[bound.command])
        if bound.less:
            seconds = statistics.median(
                long - short for long, short in zip(times[bound.command], times[bound.less], strict=True)
            )
        holds = seconds < bound.seconds
        kept = kept and holds
        verdict = "ok" if holds else "MISSED"
        rows.append(f"| {bound.what} | {seconds:.3f} s | {bound.seconds} s | {seconds / peer:.1f} | {verdict} |")
    return rows, kept


def write(lines: Sequence[str], begin: str = BEGIN, end: str = END) -> None:
    """Replace what is between the markers in bench/README.md."""
    text = README.read_text()
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    README.write_text("\n".join([before + begin, *lines, end]) + after)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start-up times against their bounds")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = measure(commands(Path(folder)), arguments.rounds)
    rows, kept = table(times)
    lines = [f"{machine()} Medians of {arguments.rounds} interleaved rounds.", "", *rows]
    print("\n".join(lines))
    if arguments.write:
        write(lines)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
