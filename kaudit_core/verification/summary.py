"""What a verification found: a monoid, so that segments, threads and hosts combine in one way.

`merge` concatenates: it is associative, the empty Summary is its identity, and the left side comes first in every
list. Verifying two halves of a log and merging equals verifying the whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kaudit_core.verification.findings import AGREES, BENIGN_REASONS, GRAVITY, MALFORMED, RANK, UNDECIDABLE

DEFAULT_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Example:
    """One finding about one record. line from 1; offset in bytes of the uncompressed segment."""

    finding: str
    reason: str
    segment: str
    line: int
    offset: int
    audit_id: str
    stage: str
    rule: int | None
    why: str


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """What was read of one segment.

    bytes: of its records. tail: (offset, length) of an unterminated last line that is still being written.
    error: why reading ended early; "" when it did not.
    """

    path: str
    events: int = 0
    bytes: int = 0
    tail: tuple[int, int] | None = None
    error: str = ""

    def merge(self, other: SegmentSummary) -> SegmentSummary:
        """Join two parts of the same segment, this one first."""
        return SegmentSummary(
            self.path,
            self.events + other.events,
            self.bytes + other.bytes,
            other.tail or self.tail,
            self.error or other.error,
        )


@dataclass(frozen=True, slots=True)
class PolicyIdentity:
    """Which policy a log was judged by."""

    sha256: str
    source: str


@dataclass(slots=True)
class Summary:
    """Totals are exact; examples are the first `kept` of each finding.

    outcomes: one per record, its gravest finding. findings: all of them. reasons: of undecidable records.
    rules: rule index (None: no rule matched) -> [events, bytes]; records without a known rule are in none.
    """

    kept: int = DEFAULT_EXAMPLES
    events: int = 0
    bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rules: dict[int | None, list[int]] = field(default_factory=dict)
    levels: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    segments: dict[str, SegmentSummary] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    policies: tuple[PolicyIdentity, ...] = ()

    def merge(self, other: Summary) -> Summary:
        """Return both together, this one first; neither is changed. Keeps the larger number of examples."""
        merged = Summary(max(self.kept, other.kept))
        for part in (self, other):
            merged.events += part.events
            merged.bytes += part.bytes
            for name in ("outcomes", "findings", "reasons", "levels", "stages"):
                getattr(merged, name).update(getattr(part, name))
            for rule, (events, size) in part.rules.items():
                merged.count_rule(rule, events, size)
            for segment in part.segments.values():
                merged.add_segment(segment)
            for examples in part.examples.values():
                for example in examples:
                    merged.add_example(example)
            merged.policies = tuple(dict.fromkeys((*merged.policies, *part.policies)))
        return merged

    def count_rule(self, rule: int | None, events: int, size: int) -> None:
        """Add records that this rule decided."""
        totals = self.rules.setdefault(rule, [0, 0])
        totals[0] += events
        totals[1] += size

    def add_segment(self, segment: SegmentSummary) -> None:
        """Add a segment, or the next part of one."""
        known = self.segments.get(segment.path)
        self.segments[segment.path] = known.merge(segment) if known else segment

    def add_example(self, example: Example) -> None:
        """Keep an example unless there are enough of its finding already."""
        examples = self.examples.setdefault(example.finding, [])
        if len(examples) < self.kept:
            examples.append(example)

    @property
    def unreadable(self) -> list[SegmentSummary]:
        """Segments that could not be read to their end."""
        return [segment for segment in self.segments.values() if segment.error]

    def exit_code(self, strict: bool = False) -> int:
        """Return 3 for anything malformed or unreadable, 1 for any finding that counts, else 0.

        strict: undecidable counts too, whatever the reason.
        """
        if self.findings[MALFORMED] or self.unreadable:
            return 3
        grave = any(count for name, count in self.findings.items() if name not in (AGREES, UNDECIDABLE))
        undecidable = any(count for reason, count in self.reasons.items() if strict or reason not in BENIGN_REASONS)
        return 1 if grave or undecidable else 0

    def as_json(self) -> dict[str, Any]:
        """Return the contract's object: plain values, findings by gravity, rules by index (no rule last)."""
        rules = sorted(self.rules.items(), key=lambda item: (item[0] is None, item[0]))
        return {
            "events": self.events,
            "bytes": self.bytes,
            "outcomes": _by_gravity(self.outcomes),
            "findings": _by_gravity(self.findings),
            "reasons": dict(sorted(self.reasons.items())),
            "rules": [{"index": index, "events": events, "bytes": size} for index, (events, size) in rules],
            "levels": dict(sorted(self.levels.items())),
            "stages": dict(sorted(self.stages.items())),
            "segments": [_segment_json(segment) for segment in self.segments.values()],
            "examples": [_example_json(example) for example in self.all_examples()],
            "policies": [{"sha256": policy.sha256, "source": policy.source} for policy in self.policies],
        }

    def all_examples(self) -> list[Example]:
        """The examples kept, gravest finding first, in the order of the log."""
        return [example for name in GRAVITY for example in self.examples.get(name, ())]


def _by_gravity(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts, key=RANK.__getitem__) if counts[name]}


def _segment_json(segment: SegmentSummary) -> dict[str, Any]:
    tail = {"offset": segment.tail[0], "length": segment.tail[1]} if segment.tail else None
    plain = {"path": segment.path, "events": segment.events, "bytes": segment.bytes, "tail": tail}
    return {**plain, "error": segment.error} if segment.error else plain


def _example_json(example: Example) -> dict[str, Any]:
    return {
        "finding": example.finding,
        "reason": example.reason,
        "segment": example.segment,
        "line": example.line,
        "offset": example.offset,
        "auditID": example.audit_id,
        "stage": example.stage,
        "rule": example.rule,
        "why": example.why,
    }
