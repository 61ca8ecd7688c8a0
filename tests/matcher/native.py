"""The native engine with its knobs, for tests that turn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.events.segments import Segment
from kaudit_core.matcher.engine import Options, select
from kaudit_core.policy.types import Policy
from kaudit_core.verification.summary import Summary


def compact(line: bytes) -> bytes:
    """A line as Go writes it: no white space between tokens; the texts in it hold none of these pairs."""
    return line.replace(b'": ', b'":').replace(b", ", b",")


def both(policy: Policy, log: bytes, folder: Path, *, newest: bool = True, **options: Any) -> tuple[Summary, Summary]:
    """What the reference and the native engine make of a log."""
    path = folder / "audit.log"
    path.write_bytes(log)
    segments = [Segment(str(path), False, newest)]
    return (
        select("reference").verify(policy, segments, Options(**options)),
        select("native").verify(policy, segments, Options(**options)),
    )


def in_blocks(
    policy: Policy, paths: Sequence[Path], block: int, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> Summary:
    """The native engine's summary, reading blocks of a size of its own."""
    from kaudit_core.matcher import segment_run

    monkeypatch.setattr(segment_run, "BLOCK", block)
    segments = [Segment(str(path), path.suffix == ".gz", True) for path in paths]
    return select("native").verify(policy, segments, Options(**options))


def without_place(summary: Summary) -> dict[str, Any]:
    """A summary's JSON, whatever its segment's path was."""
    found = replace(summary).as_json()
    for part in (*found["segments"], *found["examples"]):
        part.pop("path", None)
        part.pop("segment", None)
    return found
