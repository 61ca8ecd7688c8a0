"""Whether a k3s service really came back with what was written, and what it said where it did not.

k3s runs the API server in its own process, whose command line doesn't show the API server's flags: k3s writes them
into the journal as it starts. A server that ends is started again for ever (pitfall P25), so restarts are counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kaudit_core.provisioning.flags import audit_flags, effective, parse_flags
from kaudit_core.provisioning.restart import FAILED, PROVEN, WAITING

ENDED_OFTEN: Final = 2
_RUNNING: Final = re.compile(r'msg=("Running kube-apiserver (?:[^"\\]|\\.)*")')
_TELLING: Final = re.compile(r"^[EF]\d{4}|level=(error|fatal)|[Ee]rror:|panic:|apiserver exited", re.ASCII)


def running_flags(journal: str) -> dict[str, str] | None:
    """The audit flags in the last line in which k3s says how it starts the API server; None without one."""
    found = _RUNNING.findall(journal)
    if not found:
        return None
    words = re.split(r" (?=--)", json.loads(found[-1]))
    return audit_flags(effective(parse_flags(words[1:])))


@dataclass(frozen=True)
class Seen:
    """One look: when (seconds of any clock), the service's process and restarts, and what /readyz said (0: nothing).

    journal: of this process alone; an earlier one's would tell of other flags.
    """

    at: float
    pid: int
    restarts: int
    journal: str
    status: int


@dataclass
class ServiceWatch:
    """Waits for a process that isn't one of `before` with `flags`, ready for `settle` seconds without a break.

    One with other flags may be the last that systemd started before it was told to start anew: it fails the watch only
    if it stays for `settle` seconds.

    restarts_before: what systemd had counted; limit: seconds to get ready in, the settling not counted.
    kept: processes that may have gone on all the time, so long perhaps that the journal no longer has their start.
    """

    flags: Mapping[str, str]
    before: frozenset[int]
    restarts_before: int
    settle: float
    limit: float
    began: float
    kept: frozenset[int] = frozenset()
    pid: int = 0
    ready_since: float | None = None
    why: str = ""
    _base: int = field(default=-1, repr=False)
    _wrong_since: float | None = field(default=None, repr=False)

    def observe(self, seen: Seen) -> str:
        """What is proven after this look: waiting, proven, or failed (`why` says it)."""
        ended = self._ended(seen)
        if ended >= ENDED_OFTEN:
            return self._fail(f"the new server was started {ended + 1} times and ended each time")
        pid = seen.pid if seen.pid not in (0, *self.before) else 0
        if pid != self.pid:
            self.pid, self.ready_since = pid, None
        flags = running_flags(seen.journal) if pid else None
        if flags is None and pid in self.kept:
            flags = dict(self.flags)
        wrong = flags is not None and flags != dict(self.flags)
        if not wrong:
            self._wrong_since = None
        elif self._wrong_since is None:
            self._wrong_since = seen.at
        elif flags is not None and seen.at - self._wrong_since >= self.settle:
            return self._fail(_difference(flags, self.flags))
        if flags is None or wrong or seen.status != 200:
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = seen.at
        if self.ready_since is not None:
            return PROVEN if seen.at - self.ready_since >= self.settle else WAITING
        if seen.at - self.began <= self.limit or wrong:
            return WAITING
        return self._fail(self._overdue(seen, flags))

    def _ended(self, seen: Seen) -> int:
        """How often systemd started it again; a start by hand sets its count back."""
        if self._base < 0 or seen.restarts < self._base:
            self._base = min(self.restarts_before, seen.restarts)
        return seen.restarts - self._base

    def _fail(self, why: str) -> str:
        self.why = why
        return FAILED

    def _overdue(self, seen: Seen, flags: Mapping[str, str] | None) -> str:
        waited = f"after {self.limit:.0f} s"
        if seen.pid == 0:
            return f"{waited} no server runs"
        if seen.pid in self.before:
            return f"{waited} the old server still runs"
        if flags is None:
            return f"{waited} the new server has not started its API server"
        return f"{waited} the new API server runs and is not ready (/readyz: {seen.status or 'no answer'})"


def _difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    shown = ", ".join(
        f"--{name} is {found.get(name, 'absent')}, not {wanted.get(name, 'absent')}" for name in names[:3]
    )
    return f"the new API server runs with other flags than were written: {shown}"


def last_words(journal: str, most: int = 4) -> list[str]:
    """What a server that did not come up said last: the last different lines that tell something."""
    lines = [line.strip() for line in journal.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return list(dict.fromkeys(reversed(telling or lines)))[:most][::-1]
