"""Whether a master still is what was deployed there: what differs, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kaudit_core.provisioning import record
from kaudit_core.provisioning.disk import Room, budget
from kaudit_core.provisioning.files import files_of
from kaudit_core.provisioning.host import Host
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.mounts import provides
from kaudit_core.provisioning.settings import WEBHOOK_ANNOTATION, Settings

ON: Final = "on"
OFF: Final = "off"
UNFINISHED: Final = "unfinished"
FOREIGN: Final = "not by kaudit"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Look:
    """What was seen of a master beside its files.

    ready: whether its API server is. log_bytes: of the log's file, -1 where there is none.
    event: of a request that was just made: "came" into the log, "missing", or "" where no request was made.
    room: what tasks/room.yml prints of the log's file system, "" where nobody looked.
    kubeadm_changed: whether kubeadm's ConfigMap is another one than deployed.
    receiver: shown, problem, and the probe's msg and addresses.
    """

    ready: bool
    log_bytes: int = -1
    event: str = ""
    room: str = ""
    kubeadm_changed: bool = False
    receiver: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Status:
    """One master.

    policy: sha256 of what is in force, "" for none; since: by the host's clock; flags: as deployed; drift: sentences.
    log_bytes: of the log's file without rotated segments, None where there is none; receiver: where its events go, ""
    for nowhere.
    """

    master: str
    auditing: str
    policy: str = ""
    since: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    log_bytes: int | None = None
    receiver: str = ""
    drift: list[str] = field(default_factory=list)


def status_of(
    master: str,
    host: Host,
    servers: Sequence[Mapping[str, Any]],
    look: Look,
    wanted: tuple[Settings, str] | None,
) -> Status:
    """Compare a host with its record; `wanted`: also with the inventory's settings and its policy's sha256."""
    entry = record.in_force(host.entries)
    made = Status(master, _auditing(host, entry))
    if entry is not None:
        made.policy, made.since = entry["policy_sha256"], entry["since"]
        intent = AuditIntent.from_json(entry["intent"])
        made.flags = {name: value for name, value in intent.flags.items() if value is not None}
        made.log_bytes = None if look.log_bytes < 0 else look.log_bytes
        made.drift += _host_drift(host, intent, entry)
        made.drift += _log_drift(made.flags, look)
    if host.pending is not None:
        how = "the timer has restored what was before" if host.restored else "its timer may still restore"
        made.drift.append(f"deployment {host.pending['id']} was never finished ({how}); run enable.yml again")
    made.receiver = str(look.receiver.get("shown") or "")
    made.drift += [*host.notes, *receiver_drift(look.receiver), *_server_drift(host, servers, look.ready)]
    if look.kubeadm_changed:
        made.drift.append("ConfigMap kubeadm-config differs: kubeadm upgrade would undo auditing; run enable.yml")
    if wanted is not None:
        made.drift += _wanted_drift(entry, *wanted)
    return made


def _auditing(host: Host, entry: record.Entry | None) -> str:
    if host.pending is not None:
        return UNFINISHED
    if entry is not None:
        return ON
    return FOREIGN if host.start.view().audit_flags else OFF


def _host_drift(host: Host, intent: AuditIntent, entry: record.Entry) -> Iterator[str]:
    """The files against what was deployed."""
    files = files_of(entry, host.start.place)
    for each in files:
        found = host.sha256(each["path"])
        if not each["starts"] and found != each["sha256"]:
            yield f"{each['path']} was changed since it was deployed" if found else _gone(each)
    if all(host.sha256(each["path"]) == each["sha256"] for each in files if each["starts"]):
        return
    view, what = host.start.view(), host.start.what
    yield from _flag_drift(what, view.flags, intent)
    for mount in intent.mounts if view.mounts is not None else ():
        if not provides(view.mounts or (), mount.host_path, mount.container_path, mount.read_only):
            yield f"{what} lacks the mount {mount.name}"
    for name, value in intent.annotations.items() if view.annotations is not None else ():
        if view.annotations is not None and view.annotations.get(name) != value:
            yield f"{what}'s annotation {name} is {view.annotations.get(name, 'gone')}: it was written anew"
            break


def _gone(each: Mapping[str, Any]) -> str:
    return "the policy is gone" if each["keep"].startswith("policies/") else f"{each['path']} is gone"


def _log_drift(flags: Mapping[str, str], look: Look) -> Iterator[str]:
    """The log as it is against what was deployed."""
    path = flags.get("audit-log-path", "-")
    if path == "-":
        return
    if look.log_bytes < 0:
        yield f"{path} is missing"
    elif look.event == "missing":
        yield f"{path} does not grow: it has no event of a request that was just made"
    if look.room:
        wanted = budget(*(int(flags.get(f"audit-log-{name}", 0)) for name in ("maxsize", "maxbackup")))
        if wanted and (lack := Room.parse(look.room).lack(wanted)):
            yield lack


def _flag_drift(what: str, found: Mapping[str, str], intent: AuditIntent) -> Iterator[str]:
    for name, value in intent.flags.items():
        if found.get(name) != value:
            yield f"{what} has --{name} {found.get(name, 'not at all')}, deployed was {value}"


def _server_drift(host: Host, servers: Sequence[Mapping[str, Any]], ready: bool) -> Iterator[str]:
    """What runs against the manifest."""
    if not ready:
        yield "the API server is not ready"
    view, its = host.start.view(), host.start.what.removeprefix("the ")
    flags = view.audit_flags
    for server in servers:
        running = server["audit_flags"]
        if running is None:
            yield "the journal no longer says with which flags the API server runs"
            continue
        for name in {**flags, **running} if view.complete else flags:
            if flags.get(name) != running.get(name):
                said = f"{running.get(name, 'not at all')}, its {its} {flags.get(name, 'not at all')}"
                yield f"the running API server has --{name} {said}"


def _wanted_drift(entry: record.Entry | None, settings: Settings, policy_sha256: str) -> Iterator[str]:
    """The inventory against what was deployed."""
    if entry is None:
        yield "not deployed as the inventory wants it; run enable.yml"
        return
    if entry["policy_sha256"] != policy_sha256:
        yield f"the policy in force is not the inventory's ({policy_sha256[:12]}); run enable.yml"
    intent = settings.intent(policy_sha256, "")
    for name, value in intent.flags.items():
        if entry["intent"]["flags"].get(name) != value:
            yield f"deployed --{name} is {entry['intent']['flags'].get(name, 'none')}, the inventory wants {value}"
    yield from _webhook_drift(AuditIntent.from_json(entry["intent"]), intent, settings)


def _webhook_drift(deployed: AuditIntent, intent: AuditIntent, settings: Settings) -> Iterator[str]:
    """What is known of the receiver now against what was deployed: a Service may have another address."""
    if not settings.webhook_sha256:
        return
    if dict(deployed.host_aliases) != dict(intent.host_aliases):
        name, pinned, now = settings.webhook_name, deployed.pinned, intent.pinned
        yield f"the receiver {name} is pinned to {pinned}, and its address is {now}; run enable.yml"
    if deployed.annotations.get(WEBHOOK_ANNOTATION) != settings.webhook_sha256:
        yield "the webhook's kubeconfig is not the inventory's; run enable.yml"


def receiver_drift(look: Mapping[str, Any]) -> Iterator[str]:
    """Whether the receiver answers this master; look: `problem` of a variable, and of the probe its `msg`."""
    if look.get("problem"):
        yield str(look["problem"])
    if look.get("msg"):
        yield f"the receiver does not take events: {look['msg']}"
    for each in look.get("addresses") or []:
        if each["problem"] and not look.get("msg"):
            yield f"the receiver does not answer at every address: {each['problem']}"
