"""The native engine: compiled code counts the records that agree for certain, the reference judges all others.

So the two engines can't differ in what they find, only in how fast they know that there is nothing to find. A log in
which every record is odd is read at the reference's speed (docs/decisions/0010).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import reduce
from typing import Final

from kaudit_core.events.segments import Segment
from kaudit_core.matcher._native import PolicyWorker
from kaudit_core.matcher.compiled_evaluator import CompiledEvaluator
from kaudit_core.matcher.compiler import compile_policy
from kaudit_core.matcher.engine import Options
from kaudit_core.matcher.reference import ReferenceEngine
from kaudit_core.matcher.segment_run import SegmentRun
from kaudit_core.policy.types import Policy
from kaudit_core.verification.judge import Judge
from kaudit_core.verification.summary import Summary

_MOST_THREADS: Final = 8
_BUDGET: Final = 64 * 1024 * 1024
"""Bytes between two looks at what else happens: progress, Ctrl-C."""


class NativeEngine:
    """Re-decides with the compiled matcher, several blocks and segments at a time."""

    name = "native"

    def verify(self, policy: Policy, segments: Sequence[Segment], options: Options) -> Summary:
        """Verify every segment; the summary is the reference engine's, whatever the number of threads."""
        try:
            compiled = compile_policy(policy)
        except UnicodeEncodeError:  # a name that no request can have; nothing to be fast about
            return ReferenceEngine().verify(policy, segments, options)
        if options.join:
            return ReferenceEngine().verify(policy, segments, options)
        judge = Judge(policy, CompiledEvaluator(policy, compiled))
        runs = [SegmentRun(segment, judge, options) for segment in segments]
        count = options.threads or min(_processors(), _MOST_THREADS)
        crew = _Crew(runs, options.examples)
        workers = [PolicyWorker(compiled) for _ in range(count)]
        threads = [threading.Thread(target=crew.work, args=(worker,), daemon=True) for worker in workers]
        try:
            # Ctrl-C arrives here and nowhere else: a thread that waits for standard input hears nothing.
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            crew.dismiss()
        if crew.failure is not None:
            raise crew.failure
        return reduce(Summary.merge, (run.summary for run in runs), Summary(options.examples))


def _processors() -> int:
    """How many this process may use; macOS only says how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Crew:
    """Gives each thread something to do: a segment that nobody has begun, else a share in one that is being read."""

    def __init__(self, runs: list[SegmentRun], examples: int) -> None:
        self._examples = examples
        self.failure: BaseException | None = None
        self._waiting = list(reversed(runs))
        self._running: list[SegmentRun] = []
        self._opening = 0
        self._changed = threading.Condition()
        self._stopped = False

    def work(self, worker: PolicyWorker) -> None:
        """Work until nothing is left."""
        try:
            while (run := self._next()) is not None:
                try:
                    worker.begin(self._examples)
                    while not self._stopped and run.advance(worker, _BUDGET):
                        pass
                    run.take_counts(worker)
                finally:
                    last = self._leave(run)
                if last and not self._stopped:
                    run.finish()
        except BaseException as error:
            self.failure = self.failure or error
            self._stop()

    def dismiss(self) -> None:
        """Return when nobody is in compiled code: who is, must not be there when Python ends.

        Who waits for the first bytes of a segment is left behind.
        """
        self._stop()
        with self._changed:
            while any(run.workers for run in self._running):
                self._changed.wait()

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for run in self._running:
                run.stop()

    def _next(self) -> SegmentRun | None:
        with self._changed:
            while not self._stopped:
                if run := next((run for run in self._running if run.shareable), None):
                    run.workers += 1
                    return run
                if self._waiting:
                    run = self._waiting.pop()
                    run.workers = 1
                    self._opening += 1
                    break
                if not self._opening:
                    return None
                self._changed.wait()
            else:
                return None
        run.open()
        with self._changed:
            self._opening -= 1
            self._changed.notify_all()
            if self._stopped:
                return None
            self._running.append(run)
        return run

    def _leave(self, run: SegmentRun) -> bool:
        """Whether nobody else is left there."""
        with self._changed:
            run.workers -= 1
            if not run.workers:
                self._running.remove(run)
            self._changed.notify_all()
            return not run.workers
