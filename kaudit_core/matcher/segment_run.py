"""One segment on its way through the native engine: shared by the threads that judge its blocks.

Totals may be added in any order; examples are kept by their place in the log, so that the first ones remain.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kaudit_core.events.lines import Remembering, Replayed, begins_with_list, records_of_line
from kaudit_core.events.records import Line, Record, Tail, read_records
from kaudit_core.events.segments import Segment, SegmentError, SegmentStream, open_segment, unreadable
from kaudit_core.matcher._native import OpenSegment, PolicyWorker
from kaudit_core.matcher.engine import Options
from kaudit_core.matcher.read_ahead import ReadAhead
from kaudit_core.matcher.reference import add_records, count_record, examples_of
from kaudit_core.policy.types import LEVELS, STAGES
from kaudit_core.verification.findings import (
    AGREES,
    LEVEL_ABOVE,
    LEVEL_BELOW,
    UNEXPECTED_BODY,
    UNEXPECTED_EVENT,
    UNEXPECTED_STAGE,
)
from kaudit_core.verification.judge import Judge
from kaudit_core.verification.summary import Example, SegmentSummary, Summary

BLOCK: Final = 512 * 1024
"""Bytes that a worker takes at a time: they stay in a processor's cache until they are judged."""

_DECIDED: Final = (UNEXPECTED_EVENT, LEVEL_ABOVE, UNEXPECTED_BODY, UNEXPECTED_STAGE, LEVEL_BELOW)
"""What the compiled code finds by itself, in the order of its bits: that of gravity."""

_report: Final = threading.Lock()


class SegmentRun:
    """A segment's summary in the making. workers: threads that have a share in it, counted by those who give them."""

    def __init__(self, segment: Segment, judge: Judge, options: Options) -> None:
        self.summary = Summary(options.examples)
        self.workers = 0
        self.shareable = False
        self._segment, self._judge, self._options = segment, judge, options
        self._stream: SegmentStream | None = None
        self._ahead: ReadAhead | None = None
        self._native: OpenSegment | None = None
        self._line = self._offset = 0  # what the reference has read before the native part
        self._lock = threading.Lock()
        self._first: dict[str, list[tuple[int, int, Example]]] = {}  # finding -> (offset, block, example)

    def open(self) -> None:
        """Open the segment; EventLists with which it begins are read by the reference at once."""
        self.summary.add_segment(SegmentSummary(self._segment.path))
        try:
            self._stream = open_segment(self._segment)
        except SegmentError as error:
            self._fail(str(error))
            return
        listed, head = begins_with_list(self._stream, self._options.max_line)
        rest = self._behind_lists(Replayed(head, self._stream)) if listed else Replayed(head, self._stream)
        if rest is None:
            return
        source: int | ReadAhead | None = None if listed else self._stream.plain_file()
        if source is None:
            source = self._ahead = ReadAhead(rest)
        self._native = OpenSegment(source, BLOCK, self._options.max_line)
        self.shareable = True

    def advance(self, worker: PolicyWorker, budget: int) -> bool:
        """Judge some blocks; false when there are no more."""
        if self._native is None:
            return False
        more, size = worker.advance(self._native, budget)
        for block, line, offset, length, data, unfinished in worker.odd():
            ending = ("failure" if self._native.failed else "end") if unfinished else "newline"
            self._add_line(block, Line(line + 1, self._offset + offset, length, data, ending))  # type: ignore[arg-type]
        if size and self._options.progress:
            with _report:
                self._options.progress(self._segment.path, size)
        self.shareable = self.shareable and more
        return more

    def take_counts(self, worker: PolicyWorker) -> None:
        """Add what a worker has counted to the summary."""
        rules, levels_and_stages, sets = worker.tally()
        with self._lock:
            for rule, events, size in rules:
                self.summary.events += events
                self.summary.bytes += size
                self.summary.add_segment(SegmentSummary(self._segment.path, events, size))
                self.summary.count_rule(rule, events, size)
            for place, events in enumerate(levels_and_stages):
                if events:
                    self.summary.levels[LEVELS[place // len(STAGES)]] += events
                    self.summary.stages[STAGES[place % len(STAGES)]] += events
            for bits, records in enumerate(sets):
                if records:
                    names = [name for bit, name in enumerate(_DECIDED) if bits >> bit & 1] or [AGREES]
                    self.summary.outcomes[names[0]] += records
                    self.summary.findings.update(dict.fromkeys(names, records))

    def stop(self) -> None:
        """Wake whoever waits for bytes: there are no more."""
        if self._ahead is not None:
            self._ahead.stop()

    def finish(self) -> None:
        """Put the examples in, each with its line, and let the file go."""
        if self._native is not None:
            before = self._native.lines_before() if self._first else []
            for found in self._first.values():
                for _, block, example in sorted(found, key=lambda one: one[0]):
                    line = self._line + before[block] + example.line
                    self.summary.add_example(replace(example, line=line))
            self._raise_failure(self._native)
        self._native = None
        self.stop()
        if self._stream is not None:
            self._stream.close()

    def _raise_failure(self, native: OpenSegment) -> None:
        """What ended reading early belongs into the summary, unless it is no matter of the segment."""
        error = native.failure
        if native.errno:
            error = unreadable(self._segment.path, OSError(native.errno, os.strerror(native.errno)))
        if isinstance(error, OSError):
            self._fail(str(error))
        elif error is not None:
            raise error
        elif self._stream is not None:
            try:
                self._stream.check_size()
            except SegmentError as shorter:
                self._fail(str(shorter))

    def _fail(self, error: str) -> None:
        self.summary.add_segment(SegmentSummary(self._segment.path, error=error))

    def _behind_lists(self, stream: Replayed) -> Replayed | None:
        """Judge the EventLists at the beginning; return what stands behind them, if anything does."""
        read, path = Remembering(stream), self._segment.path
        records = read_records(read, newest=self._segment.newest, max_line=self._options.max_line)
        behind: list[Record | Tail] = []

        def listed() -> Iterator[Record]:
            for record in records:
                if isinstance(record, Tail) or not record.in_list:
                    behind.append(record)
                    break
                read.forget(record.offset)
                yield record

        try:
            add_records(self.summary, self._judge, path, listed(), None, self._options)
        except SegmentError as error:
            self._fail(str(error))
        if not behind:
            return None
        self._line, self._offset = behind[0].line - 1, behind[0].offset
        return Replayed(read.since(self._offset), stream)

    def _add_line(self, block: int, line: Line) -> None:
        """Judge a line that is odd in some way."""
        records = records_of_line(line, newest=self._segment.newest, max_line=self._options.max_line)
        for record in records:
            if isinstance(record, Tail):
                with self._lock:
                    self.summary.add_segment(SegmentSummary(self._segment.path, tail=(record.offset, record.length)))
            else:
                self._add_record(block, record)

    def _add_record(self, block: int, record: Record) -> None:
        verdict = self._judge.judge(record)
        with self._lock:
            count_record(self.summary, self._segment.path, record, verdict)
            wanted = [finding.name for finding in verdict.findings if self._wants(finding.name, record.offset)]
        if not wanted:
            return
        for example in examples_of(self._segment.path, record, verdict):
            with self._lock:
                self._keep(block, example)

    def _wants(self, finding: str, offset: int) -> bool:
        """Whether an example at this place would be among the first."""
        found = self._first.get(finding, [])
        return finding != AGREES and (len(found) < self._options.examples or offset < found[-1][0])

    def _keep(self, block: int, example: Example) -> None:
        found = self._first.setdefault(example.finding, [])
        found.append((example.offset, block, example))
        if len(found) > 1 and found[-2][0] > example.offset:
            found.sort(key=lambda one: one[0])
        del found[self._options.examples :]
