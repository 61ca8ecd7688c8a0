"""The proof that a new API server runs with the manifest's flags, and goes on running (pitfalls P5, P6).

A state machine without clock and network: it is fed with what was seen, and says what that proves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kaudit_core.provisioning.flags import audit_flags, effective, parse_flags

WAITING: Final = "waiting"
PROVEN: Final = "proven"
FAILED: Final = "failed"
MISSED: Final = "missed"
STOP: Final = "stop the container"
RESTART: Final = "restart the kubelet"
RESCAN: Final = 25.0
"""Seconds in which a kubelet that works sees a manifest: it looks through them all every 20 (fileCheckFrequency)."""
PATIENCE: Final = 60.0
"""Seconds that the last step has at least: a new server is ready in 15, or 45 where the old one ends slowly."""
ENDED_OFTEN: Final = 2
"""So many containers that started and ended are a crash loop: the kubelet only waits longer each time."""

_LSTART: Final = re.compile(r"\s*(\d+)\s+\w{3} (\w{3})\s+(\d+) (\d\d:\d\d:\d\d) (\d{4})\s*")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Process:
    """A running kube-apiserver. started: by the host's clock, as in 2026-11-21T04:30:00Z."""

    pid: int
    started: str


def parse_processes(text: str) -> list[Process]:
    """Read `ps -o pid=,lstart=` of LC_ALL=C and TZ=UTC; raises ValueError for anything else."""
    made = []
    for line in filter(str.strip, text.splitlines()):
        match = _LSTART.fullmatch(line)
        if match is None or match[2] not in _MONTHS:
            raise ValueError(f"ps printed {line!r}, not a process and when it started")
        month = _MONTHS.index(match[2]) + 1
        made.append(Process(int(match[1]), f"{match[5]}-{month:02}-{int(match[3]):02}T{match[4]}Z"))
    return made


def server_flags(cmdline: bytes) -> dict[str, str]:
    """The audit flags of a process, from its /proc/PID/cmdline."""
    words = cmdline.decode(errors="surrogateescape").rstrip("\0").split("\0")
    return audit_flags(effective(parse_flags(words[1:])))


@dataclass(frozen=True)
class Seen:
    """One look at a host: when (seconds of any clock), who runs, what /readyz said (0: nothing), container logs."""

    at: float
    processes: Mapping[Process, Mapping[str, str]]
    status: int
    logs: frozenset[str] = frozenset()


@dataclass
class RestartWatch:
    """Waits for a server that isn't one of `before` and has `flags`, ready for `settle` seconds without a break.

    One with other flags may be the last that the kubelet started before it saw the manifest: it fails the watch only
    if it stays for `settle` seconds.

    exactly: no other audit flags; else those that the server's distribution gives it itself may be there too.
    before: process ids that don't count. logs_before: container logs that were there before. limit: seconds to get
    ready in, the settling not counted.
    escalate: whether a kubelet that has missed the manifest is helped on: observe says so (missed), and the caller
    takes the step that next_step names. steps: those that were taken.
    """

    flags: Mapping[str, str]
    before: frozenset[int]
    logs_before: frozenset[str]
    settle: float
    limit: float
    began: float
    escalate: bool = False
    steps: list[str] = field(default_factory=list)
    exactly: bool = True
    process: Process | None = None
    ready_since: float | None = None
    why: str = ""
    _ended: int = field(default=0, repr=False)
    _wrong_since: float | None = field(default=None, repr=False)
    _step_at: float | None = field(default=None, repr=False)

    def observe(self, seen: Seen) -> str:
        """What is proven after this look: waiting, proven, failed (`why` says it), or missed."""
        if self._missed(seen):
            return MISSED
        found = [process for process in seen.processes if process.pid not in self.before]
        process = next((process for process in found if self._as_wanted(seen.processes[process])), None)
        if process is not None or not found:
            self._wrong_since = None
        elif self._wrong_since is None:
            self._wrong_since = seen.at
        elif seen.at - self._wrong_since >= self.settle:
            return self._fail(_difference(seen.processes[found[0]], self.flags))
        if process != self.process:
            self.process, self.ready_since = process, None
        started = len(seen.logs - self.logs_before)
        # Twice in a row: between the two questions of one look a container may just have started.
        self._ended = self._ended + 1 if not found and started >= ENDED_OFTEN else 0
        if self._ended > 1:
            return self._fail(f"the new API server was started {started} times and ended each time")
        # Of several servers it isn't known which one answered (pitfall P6).
        if process is None or seen.status != 200 or len(seen.processes) > 1:
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = seen.at
        if self.ready_since is not None:
            return PROVEN if seen.at - self.ready_since >= self.settle else WAITING
        deadline = max(self.began + self.limit, (self._step_at or self.began) + PATIENCE if self.steps else 0)
        if seen.at <= deadline or self._wrong_since is not None:
            return WAITING
        return self._fail(self._overdue(seen))

    def asks_the_old(self, at: float) -> bool:
        """Whether it matters by now if the old server still serves."""
        return self.escalate and at - self.began >= RESCAN

    def next_step(self, kubelet_runs: bool, at: float) -> str:
        """The step to take now: without a kubelet nobody would start the container again that is stopped."""
        self.steps.append(STOP if kubelet_runs and not self.steps else RESTART)
        self._step_at, self._wrong_since = at, None
        return self.steps[-1]

    def _missed(self, seen: Seen) -> bool:
        """Whether the kubelet has not acted on the manifest, long after it should have.

        Then the old server runs and serves: one that is being stopped says that it is not ready. After a step, either
        nothing was started since, or what was started has other flags.
        """
        since = self._step_at if self._step_at is not None else self.began
        if not self.escalate or RESTART in self.steps or seen.at - since < RESCAN:
            return False
        found = [flags for process, flags in seen.processes.items() if process.pid not in self.before]
        if any(dict(flags) == dict(self.flags) for flags in found):
            return False
        if self.steps:
            return bool(found) or not seen.logs - self.logs_before
        return not found and bool(seen.processes) and seen.status == 200

    def _as_wanted(self, flags: Mapping[str, str]) -> bool:
        if self.exactly:
            return dict(flags) == dict(self.flags)
        return all(flags.get(name) == value for name, value in self.flags.items())

    def _fail(self, why: str) -> str:
        self.why = why
        return FAILED

    def _overdue(self, seen: Seen) -> str:
        waited = f"after {self.limit:.0f} s"
        old = any(process.pid in self.before for process in seen.processes)
        if self.process is not None and len(seen.processes) > 1:
            return f"{waited} {'the old' if old else 'another'} API server still runs beside the new one"
        if self.process is not None:
            return f"{waited} the new API server runs and is not ready (/readyz: {seen.status or 'no answer'})"
        if old:
            return f"{waited} the old API server still runs: the kubelet has not taken the manifest up"
        return f"{waited} no API server runs"


def _difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    shown = ", ".join(
        f"--{_shown(name)} is {_shown(found.get(name, 'absent'))}, not {_shown(wanted.get(name, 'absent'))}"
        for name in names[:3]
    )
    return f"a new API server runs with other flags than the manifest's: {shown}; look for a second manifest"


def _shown(text: str) -> str:
    """What a process calls itself is not to be trusted on a terminal."""
    return text if text.isprintable() else ascii(text)


def last_words(container: str, kubelet: str, most: int = 4) -> list[str]:
    """What a server that didn't come up said last, else what the kubelet said about its pod."""
    own = [_without_cri_prefix(line) for line in container.splitlines() if line.strip()]
    telling = [line for line in own if _TELLING.search(line)]
    if own:
        return _last(telling or own, most)
    about = [line for line in kubelet.splitlines() if "kube-apiserver" in line and _TELLING.search(line)]
    # While its API server is away, the kubelet can't write down its events, and says each of them once more.
    causes = [line.rpartition(". Error: ")[2] for line in about if "Unable to write event" not in line]
    return _last(causes, most)


_TELLING: Final = re.compile(r"^[EF]\d{4}|err=|[Ee]rror|panic|fatal", re.ASCII)
_CRI: Final = re.compile(r"\S+ (?:stdout|stderr) [FP] (.*)")


def _without_cri_prefix(line: str) -> str:
    match = _CRI.fullmatch(line)
    return match[1] if match else line


def _last(lines: Sequence[str], most: int) -> list[str]:
    """The last different lines, each where it was said last."""
    return list(dict.fromkeys(reversed(lines)))[:most][::-1]
