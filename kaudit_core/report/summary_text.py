"""A verification's summary for people: totals, what each rule decided, examples, and a verdict in words."""

from __future__ import annotations

from collections.abc import Iterator

from kaudit_core.policy.types import Policy
from kaudit_core.report.escaping import visible
from kaudit_core.verification.findings import AGREES, BENIGN_REASONS, GRAVITY, UNDECIDABLE
from kaudit_core.verification.summary import Example, Summary

_MEANINGS = {
    "malformed": "not readable as audit events",
    "unexpected-event": "the policy says None",
    "level-above": "logged above the policy's level: a leak",
    "unexpected-body": "a body the level does not allow: a leak",
    "unexpected-managed-fields": "managedFields that the policy omits",
    "unexpected-stage": "a stage that the policy omits",
    "level-below": "logged below the policy's level",
    "inconsistent": "URI, verb and objectRef contradict each other",
    "stages-disagree": "stages of one request contradict each other",
    "undecidable": "not enough left to decide",
    "agrees": "as the policy promises",
}


def summary_text(summary: Summary, policy: Policy, strict: bool) -> str:
    """Return the report, ending with a newline."""
    lines = [
        *_totals(summary),
        "",
        *_findings(summary),
        *_rules(summary, policy),
        *_segments(summary),
        *_examples(summary),
        "",
        _verdict(summary, strict),
    ]
    return "\n".join(lines) + "\n"


def size_text(size: int) -> str:
    """Bytes for people: 999 B, 2.1 MB."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _totals(summary: Summary) -> Iterator[str]:
    segments = _counted(len(summary.segments), "segment")
    yield f"{_counted(summary.events, 'record')}, {size_text(summary.bytes)}, {segments}"
    for policy in summary.policies:
        yield f"policy {visible(policy.source)} (sha256 {policy.sha256[:12]})"


def _findings(summary: Summary) -> Iterator[str]:
    for name in GRAVITY:
        if not summary.findings[name]:
            continue
        meaning = _MEANINGS[name]
        if name == UNDECIDABLE:
            meaning += ": " + ", ".join(
                f"{reason} {count:,}{' (benign)' if reason in BENIGN_REASONS else ''}"
                for reason, count in sorted(summary.reasons.items())
            )
        yield f"  {name:<26} {summary.findings[name]:>12,}  {meaning}"


def _rules(summary: Summary, policy: Policy) -> Iterator[str]:
    if not summary.rules:
        return
    yield ""
    yield f"  {'rule':<6} {'line':>6}  {'level':<16} {'events':>12} {'bytes':>10}"
    for index, (events, size) in sorted(summary.rules.items(), key=lambda item: (item[0] is None, item[0])):
        if index is None:
            name, line, level = "none", "", "None"
        else:
            rule = policy.rules[index]
            name, line, level = str(index), str(rule.line or ""), rule.level
        yield f"  {name:<6} {line:>6}  {level:<16} {events:>12,} {size_text(size):>10}"


def _segments(summary: Summary) -> Iterator[str]:
    for segment in summary.segments.values():
        if segment.tail:
            offset, length = segment.tail
            yield ""
            where = f"{visible(segment.path)}: {_counted(length, 'byte')} from byte {offset:,}"
            yield f"  {where} still being written: not counted"
        if segment.error:
            yield ""
            yield f"  unreadable: {visible(segment.error, 400)}"


def _examples(summary: Summary) -> Iterator[str]:
    for name in GRAVITY:
        examples = summary.examples.get(name, [])
        if not examples or name == AGREES:
            continue
        yield ""
        more = summary.findings[name] - len(examples)
        yield f"{name}:" + (f" (the first {len(examples)} of {summary.findings[name]:,})" if more else "")
        for example in examples:
            yield from _example(example)


def _example(example: Example) -> Iterator[str]:
    yield f"  {visible(example.segment)}:{example.line} (byte {example.offset:,})" + "".join(
        f" {part}"
        for part in (example.stage, f"auditID {visible(example.audit_id, 64)}" if example.audit_id else "")
        if part
    )
    yield f"      {visible(example.why, 400)}"


def _verdict(summary: Summary, strict: bool) -> str:
    code = summary.exit_code(strict)
    if code == 3:
        return "NOT READABLE IN FULL: part of this log is malformed or could not be read."
    if code == 1:
        benign = 0 if strict else summary.outcomes[UNDECIDABLE]
        count = summary.events - summary.outcomes[AGREES] - benign
        return f"DISAGREES: {count:,} of {_counted(summary.events, 'record')} not as the policy promises."
    if not summary.events:
        return "NOTHING VERIFIED: there are no records."
    return "AGREES: every record that can be decided is as the policy promises."
