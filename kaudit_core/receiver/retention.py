"""Which closed segments may be deleted: by age and size, and none that a sink still needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from kaudit_core.receiver.index import Entry
from kaudit_core.receiver.settings import Retention


class Closed(NamedTuple):
    """A closed segment, and whether every sink that matters holds it."""

    entry: Entry
    is_taken: bool


def deletable(
    segments: Iterable[Closed], rules: Retention, now: datetime | None, excess: int
) -> list[tuple[Entry, str]]:
    """The segments that may go, oldest first, each with the reason: "age" or "size".

    now: None when the clock can't be trusted, so that nothing is too old. excess: bytes to be freed because of the
    limit; what goes by age counts too.
    """
    chosen = []
    for entry, taken in sorted(segments, key=lambda one: one.entry.closed):
        old = now is not None and rules.seconds is not None and _age(entry, now) > timedelta(seconds=rules.seconds)
        if taken and (old or excess > 0):
            excess -= entry.bytes
            chosen.append((entry, "age" if old else "size"))
    return chosen


def is_taken(entry: Entry, taken: Mapping[str, set[str]], rules: Retention) -> bool:
    """Whether a segment is needed no more: every named sink holds it, or the rules don't ask for that."""
    if rules.untaken:
        return True
    return bool(rules.sinks) and set(rules.sinks) <= taken.get(entry.segment, set())


def read_taken(path: Path, closed: Mapping[str, Entry]) -> dict[str, set[str]]:
    """What sinks say they hold: lines {"segment", "sha256", "sink"}; one with another digest says nothing."""
    taken: dict[str, set[str]] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return taken
    for line in lines:
        try:
            said = json.loads(line)
            entry = closed.get(said["segment"])
            if entry is not None and entry.sha256 == said["sha256"]:
                taken.setdefault(entry.segment, set()).add(str(said["sink"]))
        except (ValueError, TypeError, KeyError):
            continue
    return taken


def _age(entry: Entry, now: datetime) -> timedelta:
    try:
        return now - datetime.fromisoformat(entry.closed)
    except ValueError:
        return timedelta(0)
