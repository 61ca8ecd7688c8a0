"""The engines under test: one suite runs over each of them, and a new one joins it here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaudit_core.events.segments import Segment
from kaudit_core.matcher.engine import Options, available, select
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Policy
from kaudit_core.verification.summary import Summary


@dataclass(frozen=True)
class EngineUnderTest:
    """One engine by name."""

    name: str

    def verify(self, policy: Policy, data: bytes, *, newest: bool = False, join: bool = False) -> Summary:
        """Verify bytes as one segment, called "log" in the summary whatever its file was."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "log"
            path.write_bytes(data)
            summary = self.verify_files(policy, [path], newest=newest, join=join)
        (segment,) = summary.segments.values()
        summary.segments = {"log": replace(segment, path="log")}
        for examples in summary.examples.values():
            examples[:] = [replace(example, segment="log") for example in examples]
        return summary

    def verify_files(
        self, policy: Policy, paths: Iterable[Path], *, newest: bool = False, join: bool = False
    ) -> Summary:
        """Verify files in order."""
        segments = [Segment(str(path), path.suffix == ".gz", newest) for path in paths]
        return select(self.name).verify(policy, segments, Options(examples=10_000, join=join))


ENGINES = [EngineUnderTest(name) for name in available()]


def policy_of(text: str) -> Policy:
    """Read a policy that is known to be good."""
    reading = read_policy(text.encode(), "test")
    assert reading.policy is not None, reading.findings
    return reading.policy


def log_of(*events: dict[str, Any]) -> bytes:
    """Events as a log."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)
