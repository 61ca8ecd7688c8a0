"""Which engine re-decides a log: one place that chooses, for every caller.

KAUDIT_ENGINE names one; without it the best that is there is used. A named engine that can't be loaded is an
error, never silently another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from kaudit_core.events.records import MAX_LINE
from kaudit_core.events.segments import Segment
from kaudit_core.policy.types import Policy
from kaudit_core.verification.summary import DEFAULT_EXAMPLES, Summary

VARIABLE: Final = "KAUDIT_ENGINE"


class EngineError(RuntimeError):
    """The engine that was asked for can't be had."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to verify.

    examples: kept per finding. max_line: bytes of the longest line that is read.
    join: compare the stages of a request with each other; the reference engine does it, whichever is chosen.
    threads: that judge at the same time; 0 is one for each processor this process may use, at most 8.
    progress: called now and then with the bytes read of the segment at hand since the last call.
    """

    examples: int = DEFAULT_EXAMPLES
    max_line: int = MAX_LINE
    join: bool = False
    threads: int = 0
    progress: Callable[[str, int], None] | None = None


class Engine(Protocol):
    """Re-decides every record of some segments."""

    name: str

    def verify(self, policy: Policy, segments: Sequence[Segment], options: Options) -> Summary:
        """Return the summary of all segments, in their order. A segment that breaks off is in it with its error."""


def available() -> tuple[str, ...]:
    """The engines of this installation, best first."""
    try:
        import kaudit_core.matcher._native  # noqa: F401
    except ImportError:
        return ("reference",)
    return ("native", "reference")


def missing() -> str | None:
    """What to tell a user whose installation lacks the native engine though nobody asked for another; else None."""
    if os.environ.get(VARIABLE) or "native" in available():
        return None
    return (
        "the native engine was not built: this is the reference engine, 100 times slower; "
        "install kaudit again where there is a C++ compiler"
    )


def select(name: str | None = None) -> Engine:
    """Return the engine of that name, of KAUDIT_ENGINE, or the best one. Raises EngineError."""
    wanted = name or os.environ.get(VARIABLE) or available()[0]
    if wanted not in available():
        raise EngineError(f"engine {wanted!r} can't be loaded: this installation has {', '.join(available())}")
    if wanted == "native":
        from kaudit_core.matcher.native import NativeEngine

        return NativeEngine()
    from kaudit_core.matcher.reference import ReferenceEngine

    return ReferenceEngine()
