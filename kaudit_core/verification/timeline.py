"""Which policy was in force when on one master, and which records of its log belong to which.

A period begins shortly before the server that reads its policy starts. Between the last event of the server before and
that moment lie the seconds in which the kubelet starts nothing, so a line belongs to exactly one period.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from kaudit_core.events.records import MAX_LINE
from kaudit_core.events.segments import Segment, open_segment
from kaudit_core.provisioning.record import DEPLOYED, DISABLED, RESTORED_BY_TIMER, ROLLED_BACK

_STAMP: Final = b'"stageTimestamp":"'
_MARGIN: Final = timedelta(seconds=2)
"""ps knows to the second when a process was started, and may be off by one."""

ALWAYS: Final = ""
"""Before every moment."""


@dataclass(frozen=True)
class Period:
    """From `since` (an event's time, ALWAYS for the first) to the next one; policy: its sha256, None for none known."""

    since: str
    policy: str | None


def periods(entries: Sequence[Mapping[str, Any]]) -> list[Period]:
    """The periods of a deployment record, oldest first. What a deployment logged that was rolled back is nobody's."""
    made = [Period(ALWAYS, None)]
    policy: str | None = None  # after the last entry
    for entry in entries:
        if entry["outcome"] in (ROLLED_BACK, RESTORED_BY_TIMER) and entry.get("from"):
            made.append(Period(_before(entry["from"]), None))
        if entry["outcome"] == DEPLOYED:
            policy = entry["policy_sha256"]
        elif entry["outcome"] == DISABLED:
            policy = None
        if entry.get("since"):
            made.append(Period(_before(entry["since"]), policy))
    return _joined(sorted(made, key=lambda period: period.since))


def _before(moment: str) -> str:
    return (datetime.fromisoformat(moment) - _MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ")


def _joined(found: Sequence[Period]) -> list[Period]:
    made: list[Period] = []
    for period in found:
        if not made or made[-1].policy != period.policy:
            made.append(period)
    return made


def cut(segment: Segment, found: Sequence[Period], directory: Path) -> Iterator[tuple[Period, str, int]]:
    """The segment's parts as period, file and number of lines; a segment of one period stays the file it is.

    Parts are written below `directory`. A line without a time belongs to the one before it. Raises SegmentError.
    """
    parts = _parts(segment, [period.since.removesuffix("Z") for period in found])
    if len(parts) == 1:
        yield found[parts[0].period], segment.path, parts[0].lines
        return
    with open_segment(segment) as stream, BufferedReader(stream) as lines:
        for part in parts:
            place = directory / f"period-{part.period}"
            place.mkdir(parents=True, exist_ok=True)
            file = place / Path(segment.path).name.removesuffix(".gz")
            with file.open("wb") as output:
                _copy(cast(BinaryIO, lines), output, part.size)
            yield found[part.period], str(file), part.lines


@dataclass
class _Part:
    """Lines in a row that belong to one period, by its index."""

    period: int
    lines: int = 0
    size: int = 0


def _parts(segment: Segment, starts: Sequence[str]) -> list[_Part]:
    parts = [_Part(0)]
    with open_segment(segment) as stream, BufferedReader(stream) as lines:
        for line in iter(lambda: lines.readline(MAX_LINE), b""):
            at = line.rfind(_STAMP) + len(_STAMP)
            stamp = line[at : at + len("2026-11-21T04:30:00")].decode("latin-1") if at >= len(_STAMP) else ""
            period = max(parts[-1].period, bisect_right(starts, stamp) - 1)
            if period != parts[-1].period:
                parts = [part for part in parts if part.lines] + [_Part(period)]
            parts[-1].lines += 1
            parts[-1].size += len(line)
    return parts


def _copy(source: BinaryIO, output: BinaryIO, size: int) -> None:
    while size and (piece := source.read(min(size, 1 << 20))):
        output.write(piece)
        size -= len(piece)
