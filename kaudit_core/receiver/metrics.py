"""What a receiver counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from kaudit_core.receiver.identity import directory_name

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds."""
_PREFIX: Final = "kaudit_receiver_"


@dataclass(slots=True)
class Histogram:
    """Seconds, counted by upper bound."""

    counts: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))
    total: int = 0
    sum: float = 0.0

    def add(self, seconds: float) -> None:
        self.total += 1
        self.sum += seconds
        for place, bound in enumerate(BUCKETS):
            if seconds <= bound:
                self.counts[place] += 1


@dataclass(slots=True)
class ServerCounts:
    """Of one API server. Records, but for batches; lag in seconds: from an event's last stage to its being stored."""

    batches: int = 0
    accepted: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    bytes: int = 0
    lag: float | None = None


@dataclass(slots=True)
class Metrics:
    """All counters of a receiver; the gauges come from the spool when they are asked for."""

    servers: dict[str, ServerCounts] = field(default_factory=dict)
    responses: dict[int, int] = field(default_factory=dict)
    commit_seconds: Histogram = field(default_factory=Histogram)
    commit_failures: int = 0

    def of(self, server: str) -> ServerCounts:
        """The counters of an API server."""
        return self.servers.setdefault(server, ServerCounts())

    def text(self, gauges: Iterable[tuple[str, str, float]]) -> str:
        """Everything, with gauges given as name, help and value."""
        lines: list[str] = []
        # The writer may be adding one. Names are other people's words, and shown as on disk: quoted.
        servers = [(directory_name(server) or server, counts) for server, counts in list(self.servers.items())]
        for name, words in (
            ("batches", "Requests answered with 200."),
            ("accepted", "Records in requests answered with 200."),
            ("stored", "Events written to segments and synced."),
            ("duplicates", "Records that were stored before and not again."),
            ("quarantined", "Records that could not be read, kept apart."),
            ("bytes", "Bytes of stored lines."),
        ):
            samples = [({"server": server}, getattr(counts, name)) for server, counts in servers]
            lines += _family(f"{name}_total", words, "counter", samples)
        lags = [({"server": server}, counts.lag) for server, counts in servers if counts.lag is not None]
        lines += _family("lag_seconds", "From the newest event's stage to its being stored.", "gauge", lags)
        codes = (({"code": str(code)}, value) for code, value in sorted(self.responses.items()))
        lines += _family("responses_total", "Answers to event lists.", "counter", codes)
        lines += _family(
            "commit_failures_total", "Batches that could not be stored.", "counter", [({}, self.commit_failures)]
        )
        lines += self._commits()
        for name, words, value in gauges:
            lines += _family(name, words, "gauge", [({}, value)])
        return "\n".join(lines) + "\n"

    def _commits(self) -> list[str]:
        name, histogram = f"{_PREFIX}commit_seconds", self.commit_seconds
        lines = [f"# HELP {name} Time to write and sync a group of batches.", f"# TYPE {name} histogram"]
        for bound, count in zip(BUCKETS, histogram.counts, strict=True):
            lines.append(f'{name}_bucket{{le="{bound}"}} {count}')
        return [
            *lines,
            f'{name}_bucket{{le="+Inf"}} {histogram.total}',
            f"{name}_sum {histogram.sum}",
            f"{name}_count {histogram.total}",
        ]


def lag(now: datetime, time: str | None) -> float | None:
    """Seconds since a stageTimestamp; None for one that can't be read."""
    if time is None:
        return None
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return None
    return (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()


def _family(name: str, words: str, kind: str, samples: Iterable[tuple[dict[str, str], float]]) -> list[str]:
    lines = [f"# HELP {_PREFIX}{name} {words}", f"# TYPE {_PREFIX}{name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{_PREFIX}{name}{{{shown}}} {value}" if shown else f"{_PREFIX}{name} {value}")
    return lines
