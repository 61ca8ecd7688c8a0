"""A progress bar on standard error, on a terminal only, and only for work that takes a while."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from kaudit_core.events.segments import Segment

_PATIENCE = 0.5
"""Seconds of work before a bar is worth its import."""


class Progress:
    """Counts bytes read; shows a bar once the work has lasted."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._wanted = sys.stderr.isatty()
        self._started = time.monotonic()
        self._done = 0
        self._total = _total(segments)
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, path: str, size: int) -> None:
        """Count bytes of a segment."""
        self._done += size
        if not self._wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._started < _PATIENCE:
                return
            self._show()
        self._bar.update(self._task, completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=self._total)
        self._bar.start()


def _total(segments: Sequence[Segment]) -> int | None:
    """Bytes to come; None when some are compressed or come from a pipe."""
    total = 0
    for segment in segments:
        if segment.compressed or not os.path.isfile(segment.path):
            return None
        total += os.path.getsize(segment.path)
    return total
