"""The deployment record of a master: what was deployed when, oldest first, and how it ended.

A list of entries in JSON. `since` of a deployed entry is when the API server that reads its policy was started, so
that every event of the log belongs to one policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kaudit_core.provisioning.intent import AuditIntent

DEPLOYED: Final = "deployed"
ROLLED_BACK: Final = "rolled-back"
RESTORED_BY_TIMER: Final = "restored-by-timer"
Entry = Mapping[str, Any]


def in_force(entries: Sequence[Entry]) -> Entry | None:
    """The last deployment that stayed."""
    return next((entry for entry in reversed(entries) if entry["outcome"] == DEPLOYED), None)


def intent_of(entry: Entry | None) -> AuditIntent | None:
    """What a deployment put into the manifest."""
    return AuditIntent.from_json(entry["intent"]) if entry else None


def combined(entries: Sequence[Entry]) -> AuditIntent:
    """Whatever these deployments wanted, the last one's values winning."""
    intents = [AuditIntent.from_json(entry["intent"]) for entry in entries]
    return AuditIntent(
        {name: value for intent in intents for name, value in intent.flags.items()},
        tuple({mount.name: mount for intent in intents for mount in intent.mounts}.values()),
        {name: value for intent in intents for name, value in intent.annotations.items()},
    )


def pending_entry(pending: Mapping[str, Any], outcome: str, finished: str, **more: Any) -> dict[str, Any]:
    """The entry that a deployment under way becomes when it ends; `finished` as in 2026-11-21T04:30:00Z."""
    kept = ("id", "started", "policy_sha256", "manifest_sha256", "intent", "kubernetes_version", "kaudit_version")
    return {**{key: pending[key] for key in kept}, "finished": finished, "outcome": outcome, **more}


def timeline(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Which policy was in force since when, oldest first."""
    return [
        {"since": entry["since"], "policy_sha256": entry["policy_sha256"]}
        for entry in entries
        if entry["outcome"] == DEPLOYED
    ]
