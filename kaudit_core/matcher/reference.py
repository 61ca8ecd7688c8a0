"""The reference engine: plain Python, one record at a time, for ever the readable definition of verify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kaudit_core.events.records import Record, Tail, read_records
from kaudit_core.events.segments import Segment, SegmentError, open_segment
from kaudit_core.matcher.engine import Options
from kaudit_core.policy.types import Policy
from kaudit_core.verification.findings import AGREES, RANK, UNDECIDABLE, Verdict
from kaudit_core.verification.judge import Judge
from kaudit_core.verification.redaction import redacted
from kaudit_core.verification.stages import StageJoin
from kaudit_core.verification.summary import Example, SegmentSummary, Summary

_PROGRESS_BYTES: Final = 1 << 20
_AUDIT_ID: Final = 256
"""Characters of an audit ID in an example: clients choose it, and may choose megabytes."""


class ReferenceEngine:
    """Re-decides with policy.evaluator, through verification.judge."""

    name = "reference"

    def verify(self, policy: Policy, segments: Sequence[Segment], options: Options) -> Summary:
        """Verify every segment in order; one that can't be read to its end is in the summary with its error."""
        summary = Summary(options.examples)
        judge = Judge(policy)
        join = StageJoin() if options.join else None
        for segment in segments:
            summary.add_segment(SegmentSummary(segment.path))
            try:
                with open_segment(segment) as stream:
                    records = read_records(stream, newest=segment.newest, max_line=options.max_line)
                    add_records(summary, judge, segment.path, records, join, options)
                    stream.check_size()
            except SegmentError as error:
                summary.add_segment(SegmentSummary(segment.path, error=str(error)))
        return summary


def add_records(
    summary: Summary,
    judge: Judge,
    path: str,
    records: Iterable[Record | Tail],
    join: StageJoin | None,
    options: Options,
) -> None:
    """Judge the records of one segment into the summary."""
    reported = position = 0
    for record in records:
        if isinstance(record, Tail):
            summary.add_segment(SegmentSummary(path, tail=(record.offset, record.length)))
            continue
        verdict = judge.judge(record)
        if join is not None and record.event is not None:
            verdict = _with(verdict, join, record)
        count_record(summary, path, record, verdict)
        for example in examples_of(path, record, verdict):
            summary.add_example(example)
        position = record.offset + record.size
        if options.progress and position - reported >= _PROGRESS_BYTES:
            options.progress(path, position - reported)
            reported = position
    if options.progress and position > reported:
        options.progress(path, position - reported)


def _with(verdict: Verdict, join: StageJoin, record: Record) -> Verdict:
    """Add what the other stages of the request say against this one."""
    more = join.compare(record.event or {})
    if not more:
        return verdict
    kept = [finding for finding in verdict.findings if finding.name != AGREES]
    return verdict._replace(findings=tuple(sorted([*kept, *more], key=lambda finding: RANK[finding.name])))


def count_record(summary: Summary, path: str, record: Record, verdict: Verdict) -> None:
    """Add a record to the totals; its examples are for examples_of."""
    summary.events += 1
    summary.bytes += record.size
    summary.add_segment(SegmentSummary(path, 1, record.size))
    summary.outcomes[verdict.outcome] += 1
    if record.event is not None:
        summary.levels[record.event["level"]] += 1
        summary.stages[record.event["stage"]] += 1
    if verdict.decided:
        summary.count_rule(verdict.rule, 1, record.size)
    for finding in verdict.findings:
        summary.findings[finding.name] += 1
        if finding.name == UNDECIDABLE:
            summary.reasons[finding.reason] += 1


def examples_of(path: str, record: Record, verdict: Verdict) -> Iterator[Example]:
    """One example for each finding but agreement."""
    event = record.event
    for finding in verdict.findings:
        if finding.name == AGREES:
            continue
        audit_id, stage = (event.get("auditID") or "", event["stage"]) if event else ("", "")
        rule = verdict.rule if verdict.decided else None
        place = (path, record.line, record.offset, redacted(audit_id[:_AUDIT_ID]), stage, rule)
        yield Example(finding.name, finding.reason, *place, redacted(finding.why))
