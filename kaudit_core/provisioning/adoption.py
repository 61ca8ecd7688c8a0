"""Auditing that somebody else configured, by hand or with another tool: shown, and taken over only on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from difflib import unified_diff
from typing import Any

from kaudit_core.provisioning import record
from kaudit_core.provisioning.files import FileChange
from kaudit_core.provisioning.host import Host
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION


@dataclass(frozen=True)
class Foreign:
    """What a deployment would take over. refusal: a sentence, "" where there is nothing; diff: lines."""

    refusal: str = ""
    diff: list[str] = field(default_factory=list)


def foreign_auditing(host: Host, changes: Sequence[FileChange]) -> dict[str, Any]:
    """Foreign, for Ansible; changes: what a deployment would do to the files that start the server."""
    view = host.start.view()
    ours = host.written or record.in_force(host.entries) or DEPLOYMENT_ANNOTATION in (view.annotations or {})
    if ours or not view.audit_flags:
        return asdict(Foreign())
    shown = " ".join(f"--{name}={value}" for name, value in view.audit_flags.items())
    refusal = (
        f"{host.start.place}: audits already, and not by kaudit ({shown}); take this out, or let kaudit take it over as"
        " the difference above shows with apiserver_audit_adopt: true (disable.yml puts it back)"
    )
    return asdict(Foreign(refusal, list(_diff(host, changes))))


def _diff(host: Host, changes: Sequence[FileChange]) -> Iterator[str]:
    texts = host.start.texts
    for change in changes:
        if change.starts:
            before, after = (text.splitlines() for text in (texts.get(change.path, ""), change.text or ""))
            yield from unified_diff(before, after, change.path, f"{change.path} (by kaudit)", lineterm="")
