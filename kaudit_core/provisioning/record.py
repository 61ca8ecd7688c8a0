"""The deployment record of a master: what was deployed when, oldest first, and how it ended.

A list of entries in JSON. Times are the host's, as those of its events: `from` is before a deployment touched the
API server, `since` when the server was started that runs now: with the new policy after a deployment, with what was
there before after a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kaudit_core.provisioning.intent import AuditIntent

DEPLOYMENT_ANNOTATION: Final = "kaudit.k8s/deployment"
"""Changes with every deployment: an edited policy restarts the server, even one that was put back to what it was."""

DEPLOYED: Final = "deployed"
ROLLED_BACK: Final = "rolled-back"
RESTORED_BY_TIMER: Final = "restored-by-timer"
DISABLED: Final = "disabled"
KEPT: Final = ("id", "started", "policy_sha256", "intent", "kubernetes_version", "kaudit_version")
Entry = Mapping[str, Any]


def in_force(entries: Sequence[Entry]) -> Entry | None:
    """The last deployment that stayed, unless auditing was disabled since."""
    last = next((entry for entry in reversed(entries) if entry["outcome"] in (DEPLOYED, DISABLED)), None)
    return last if last and last["outcome"] == DEPLOYED else None


def since_disabled(entries: Sequence[Entry]) -> list[Entry]:
    """The deployments that stayed since the manifest was last without auditing."""
    made: list[Entry] = []
    for entry in entries:
        made = [] if entry["outcome"] == DISABLED else [*made, entry] if entry["outcome"] == DEPLOYED else made
    return made


def to_go_back_to(entries: Sequence[Entry], at: str = "") -> Entry | None:
    """The deployment that was in force at a time (2026-11-21T04:30:00Z), or by default before the one in force.

    Before it: the last that stayed since auditing was enabled and had another policy or asked for something else.
    """
    if at:
        return in_force([entry for entry in entries if entry["finished"] <= at])
    made = since_disabled(entries)
    return next((entry for entry in reversed(made) if _asked(entry) != _asked(made[-1])), None)


def _asked(entry: Entry) -> Any:
    """What tells deployments apart: every one has a name of its own in an annotation."""
    intent = {**entry["intent"], "annotations": {**entry["intent"]["annotations"], DEPLOYMENT_ANNOTATION: ""}}
    # A record of an earlier version lacks the keys that came later, which is the same as empty ones.
    return entry["policy_sha256"], {key: value for key, value in intent.items() if value}


def intent_of(entry: Entry | None) -> AuditIntent | None:
    """What a deployment put into the manifest."""
    return AuditIntent.from_json(entry["intent"]) if entry else None


def combined(entries: Sequence[Entry]) -> AuditIntent:
    """Whatever these deployments wanted, the last one's values winning.

    absent_mounts: those whose container path a later deployment gave to a mount of another name.
    """
    intents = [AuditIntent.from_json(entry["intent"]) for entry in entries]
    named = {mount.name: mount for intent in intents for mount in intent.mounts}
    placed = {mount.container_path.rstrip("/"): mount.name for intent in intents for mount in intent.mounts}
    mounts = [mount for mount in named.values() if placed[mount.container_path.rstrip("/")] == mount.name]
    kept = {mount.name for mount in mounts}
    aliases = _last_aliases(intents)
    return AuditIntent(
        {name: value for intent in intents for name, value in intent.flags.items()},
        tuple(mounts),
        {name: value for intent in intents for name, value in intent.annotations.items()},
        tuple(name for name in named if name not in kept),
        {name: value for intent in intents for name, value in intent.env.items()},
        aliases,
        dns_policy=next((intent.dns_policy for intent in reversed(intents) if intent.dns_policy), ""),
    )


def _last_aliases(intents: Sequence[AuditIntent]) -> dict[str, tuple[str, ...]]:
    """Each name at the addresses that the last deployment which names it gave it."""
    addresses: dict[str, list[str]] = {}
    for intent in intents:
        named = {name for names in intent.host_aliases.values() for name in names}
        for name in sorted(named):
            addresses[name] = [at for at, names in intent.host_aliases.items() if name in names]
    made: dict[str, tuple[str, ...]] = {}
    for name, each in addresses.items():
        for at in each:
            made[at] = (*made.get(at, ()), name)
    return made


def pending_entry(pending: Mapping[str, Any], outcome: str, finished: str, **more: Any) -> dict[str, Any]:
    """The entry that a deployment under way becomes when it ends; `finished` as in 2026-11-21T04:30:00Z."""
    kept = {key: pending[key] for key in (*KEPT, "files", "hosts", "from") if key in pending}
    return {**kept, "finished": finished, "outcome": outcome, **more}
