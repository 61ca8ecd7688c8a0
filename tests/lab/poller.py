"""Which API servers answered, at every moment, as seen from outside."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.lab.namespaces import DIE_WITH_ME

PROBE = Path(__file__).resolve().parent / "probe.py"
READY = "200"


@dataclass(frozen=True)
class Sample:
    """One answer to /readyz, or none."""

    sent: float
    answered: float
    host: str
    status: str

    @property
    def ready(self) -> bool:
        """Whether the API server said that it is ready."""
        return self.status == READY


@dataclass(frozen=True)
class Outage:
    """An API server did not answer from the first failed probe to the end of the first good one; None: still out."""

    host: str
    start: float
    end: float | None

    def covers(self, moment: float) -> bool:
        """Whether the API server was out at that moment."""
        return self.start <= moment and (self.end is None or moment < self.end)


def outages_in(samples: Sequence[Sample]) -> list[Outage]:
    """The outages that samples show, in the order in which they began."""
    started: dict[str, float] = {}
    found = []
    for sample in sorted(samples, key=lambda each: each.answered):
        if not sample.ready:
            started.setdefault(sample.host, sample.sent)
        elif sample.host in started:
            found.append(Outage(sample.host, started.pop(sample.host), sample.answered))
    found += [Outage(host, start, None) for host, start in started.items()]
    return sorted(found, key=lambda outage: outage.start)


def most_down(outages: Sequence[Outage]) -> int:
    """How many API servers were out at once, at the worst moment: some outage begins there."""
    return max((sum(other.covers(each.start) for other in outages) for each in outages), default=0)


class Poller:
    """Asks all masters for /readyz every 0.25 s, from outside, while it is open."""

    def __init__(
        self, hosts: Mapping[str, str], enter: Sequence[str], init: int, file: Path, interval: float = 0.25
    ) -> None:
        self._hosts = set(hosts)
        self._samples: list[Sample] = []
        self._latest: dict[str, Sample] = {}
        file.write_text("")
        self._lines = file.open()
        self._partial = ""
        entries = [f"{host}={address}" for host, address in hosts.items()]
        self._process = subprocess.Popen(
            [*DIE_WITH_ME, *enter, sys.executable, "-I", str(PROBE), str(file), str(init), str(interval), *entries]
        )

    def __enter__(self) -> Poller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop asking; what was seen stays."""
        self._process.kill()
        self._process.wait()
        self.samples()
        self._lines.close()

    def samples(self) -> list[Sample]:
        """Everything seen so far."""
        if not self._lines.closed:
            *lines, self._partial = (self._partial + self._lines.read()).split("\n")
            for line in lines:
                sent, answered, host, status = line.split(" ", 3)
                self._latest[host] = Sample(float(sent), float(answered), host, status)
                self._samples.append(self._latest[host])
        return self._samples

    def outages(self, since: float = 0.0) -> list[Outage]:
        """The outages seen so far, from a moment on."""
        return outages_in([sample for sample in self.samples() if sample.sent >= since])

    def most_down(self, since: float = 0.0) -> int:
        """How many API servers were out at once, at the worst moment since then."""
        return most_down(self.outages(since))

    def answering(self, moment: float | None = None) -> set[str]:
        """The API servers that were ready at a moment; without one, now."""
        samples = self.samples()
        if moment is None:
            return {host for host, sample in self._latest.items() if sample.ready}
        seen = {sample.host for sample in samples if sample.answered <= moment}
        return seen - {outage.host for outage in outages_in(samples) if outage.covers(moment)}

    def wait_for(self, answering: set[str], limit: float = 60) -> float:
        """Wait until exactly these API servers answer; return how many seconds that took."""
        start = time.monotonic()
        while self.answering() != answering or set(self._latest) != self._hosts:
            if time.monotonic() - start > limit:
                raise TimeoutError(f"after {limit} s {sorted(self.answering())} answer, not {sorted(answering)}")
            time.sleep(0.02)
        return time.monotonic() - start
