"""Group commit: one thread writes; batches that arrive while it syncs go into its next group together.

No batch waits for company: a group begins as soon as the writer is free, so the delay that grouping adds is the
sync that is under way.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from kaudit_core.receiver.housekeeping import Housekeeping
from kaudit_core.receiver.metrics import Metrics, lag
from kaudit_core.receiver.settings import MIB
from kaudit_core.receiver.spool import Receipt, Refusal, Spool, Submission

Answered = Callable[[Receipt | Refusal], None]
_GROUP: Final = 32 * MIB
"""Bytes after which a group takes no further batch."""
_TICK: Final = 1.0
_DELETE: Final = 60.0


class Committer(threading.Thread):
    """Owns the spool from start to the end of stop. Answers are given on its thread, so they must not block."""

    def __init__(self, spool: Spool, metrics: Metrics, say: Callable[[str], None], failed: Callable[[], None]) -> None:
        """say: takes sentences for the log. failed: called once if the thread ends by a bug."""
        super().__init__(name="committer", daemon=True)
        self.housekeeping = Housekeeping(spool)
        self.failure: str | None = None
        self._spool, self._metrics, self._say, self._failed = spool, metrics, say, failed
        self._queue: queue.SimpleQueue[tuple[Submission, Answered] | None] = queue.SimpleQueue()

    def submit(self, submission: Submission, answered: Answered) -> None:
        """Store a batch; the answer comes when it is synced, or can't be."""
        if self.failure is not None:
            answered(Refusal("the receiver failed"))
        else:
            self._queue.put((submission, answered))

    def stop(self) -> None:
        """Store what was submitted, close all segments and wait for that."""
        self._queue.put(None)
        self.join()

    def run(self) -> None:
        """Commit groups until stopped."""
        try:
            self._work()
        except Exception as error:  # a bug: whoever waits must be told, and the service must end
            self.failure = f"{type(error).__name__}: {error}"
            self._say(f"the writer failed: {self.failure}")
            with suppress(queue.Empty):
                while True:
                    if one := self._queue.get_nowait():
                        one[1](Refusal("the receiver failed"))
            self._failed()

    def _work(self) -> None:
        going, tidied, deleted = True, float("-inf"), float("-inf")
        while going:
            group, going = self._next_group()
            if group:
                self._commit(group)
            now = time.monotonic()
            if now - tidied >= _TICK:
                self.housekeeping.close_old()
                tidied = now
            if now - deleted >= _DELETE:
                self.housekeeping.delete()
                deleted = now
            self._say_notes()
        try:
            self._spool.close()
        except OSError as error:
            self._say(f"a segment stays open until the next start: {error.strerror or error}")
        self._say_notes()

    def _next_group(self) -> tuple[list[tuple[Submission, Answered]], bool]:
        """What waits, or nothing after a second; whether to go on."""
        group: list[tuple[Submission, Answered]] = []
        size = 0
        try:
            one = self._queue.get(timeout=_TICK)
            while one is not None:
                group.append(one)
                size += one[0].batch.size
                if size >= _GROUP:
                    return group, True
                one = self._queue.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _commit(self, group: list[tuple[Submission, Answered]]) -> None:
        begin = time.perf_counter()
        try:
            answers = self._spool.commit([submission for submission, _ in group])
        except Exception:
            for _, answered in group:
                answered(Refusal("the receiver failed"))
            raise
        self._metrics.commit_seconds.add(time.perf_counter() - begin)
        for (submission, answered), answer in zip(group, answers, strict=True):
            self._count(submission, answer)
            answered(answer)

    def _count(self, submission: Submission, answer: Receipt | Refusal) -> None:
        if isinstance(answer, Refusal):
            self._metrics.commit_failures += 1
            return
        counts, batch = self._metrics.of(self._spool.lane_name(submission.server)), submission.batch
        counts.batches += 1
        counts.accepted += len(batch.events) + len(batch.unreadable)
        counts.stored += answer.stored
        counts.duplicates += answer.duplicates
        counts.quarantined += answer.quarantined
        counts.bytes += batch.size if answer.stored else 0
        if batch.events:
            counts.lag = lag(self._spool.now(), batch.events[-1].time)

    def _say_notes(self) -> None:
        notes, self._spool.notes = self._spool.notes, []
        for series in self._spool.series():
            notes += series.notes
            series.notes = []
        for note in notes:
            self._say(note)
