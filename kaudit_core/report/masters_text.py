"""The verification of all masters, for people."""

from __future__ import annotations

from collections.abc import Iterator

from kaudit_core.report.summary_text import size_text, summary_text
from kaudit_core.report.table import table_text
from kaudit_core.verification.findings import AGREES, GRAVITY
from kaudit_core.verification.masters import Verification
from kaudit_core.verification.summary import Summary


def masters_text(verification: Verification, strict: bool) -> str:
    """Return the report, ending with a newline: a table of the masters, then each policy with what it decided."""
    return "\n".join(_blocks(verification, strict))


def _blocks(verification: Verification, strict: bool) -> Iterator[str]:
    rows = [
        (
            each.host,
            (each.period.policy or "")[:12],
            each.period.since.replace("T", " ").removesuffix("Z") or "as long as it goes back",
            f"{each.summary.events:,}",
            size_text(each.summary.bytes),
            findings_text(each.summary),
        )
        for each in verification.judged
    ]
    yield table_text(("MASTER", "POLICY", "SINCE (UTC)", "RECORDS", "SIZE", "FINDINGS"), rows, right=(3, 4))
    if verification.not_judged:
        counts = ", ".join(f"{host} {lines:,}" for host, lines in verification.not_judged.items())
        yield f"  not judged: lines from when no policy of kaudit's was in force, or one was rolled back: {counts}\n"
    for policy, summary in verification.by_policy().values():
        yield summary_text(summary, policy, strict)


def findings_text(summary: Summary) -> str:
    """Every finding with its count, gravest first."""
    found = [f"{summary.findings[name]:,} {name}" for name in GRAVITY if name != AGREES and summary.findings[name]]
    unreadable = [f"{len(summary.unreadable)} unreadable"] if summary.unreadable else []
    return ", ".join([*unreadable, *found]) or ("none" if summary.events else "no records")
