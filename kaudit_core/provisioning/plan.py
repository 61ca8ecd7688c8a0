"""What a deployment will do on one master, decided on the controller from what was read there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from posixpath import dirname
from typing import Any

import kaudit_core
from kaudit_core.provisioning import record
from kaudit_core.provisioning.files import Content, FileChange, WayBack, files_of, originals_after, paths_of, way_back
from kaudit_core.provisioning.host import Host
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.observed import HostRefused
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from kaudit_core.provisioning.settings import POLICY_ANNOTATION, Settings
from kaudit_core.provisioning.starting import Edits, sum_of
from kaudit_core.provisioning.undoing import without_auditing


@dataclass(frozen=True)
class Plan:
    """One master's deployment.

    files: in the order in which they are written; way: how they come back; originals: where each file of before the
    first deployment is kept, and keep_originals: those that are to be copied there now.
    unproven: the files on the host come from a deployment that was never proven, so the server needn't be ready.
    resume: such a deployment wants what this one wants, and is finished instead of begun anew.
    restored: the timer has ended an earlier deployment, which goes into the record now.
    pending: written to the host before anything is changed there.
    ours: the intent that names whatever kaudit has put here so far, now or earlier.
    leftovers: files of ours that go once no master of the cluster needs them, and left_in: directories that they and
    others of ours were in. restart: whether a service has to be told to start anew; a resumed one may have been.
    """

    changed: bool
    reasons: list[str]
    files: list[FileChange]
    way: WayBack
    originals: dict[str, str]
    keep_originals: list[dict[str, str]]
    entries: list[Any]
    pending: dict[str, Any]
    deployment: str
    ours: dict[str, Any]
    deployed_ever: bool
    leftovers: list[str]
    left_in: list[str]
    audit_flags: dict[str, str]
    kubeadm_original: str
    notes: list[str]
    resume: bool = False
    unproven: bool = False
    restored: bool = False
    restart: bool = True


@dataclass(frozen=True)
class Making:
    """What every plan is made with: a new deployment's name, the time, and the API server's version."""

    deployment: str
    started: str
    kubernetes_version: str


@dataclass(frozen=True)
class Wanted:
    """What a plan is to bring about: an intent, the files that the server reads, and why anything has to be done."""

    intent: AuditIntent
    contents: Sequence[FileChange]
    edits: Edits
    reasons: list[str]
    name: str
    policy_sha256: str
    resume: bool


def policy_content(settings: Settings, policy_sha256: str) -> Content:
    """The policy as a file of a deployment."""
    return Content(settings.policy_path, policy_sha256, f"policies/{policy_sha256}.yaml", POLICY_ANNOTATION)


def plan_enable(
    host: Host, settings: Settings, policy_sha256: str, making: Making, more: Sequence[Content] = ()
) -> Plan:
    """Bring an API server to audit by this policy; more: what else it reads. Raises HostRefused."""
    contents = [policy_content(settings, policy_sha256), *more]

    def intent_as(name: str) -> AuditIntent:
        intent = settings.intent(policy_sha256, name)
        sums = {content.annotation: content.sha256 for content in more if content.annotation}
        return replace(intent, annotations={**intent.annotations, **sums})

    changes = [
        FileChange(each.path, host.sha256(each.path), each.sha256, mode="0600", keep=each.keep, secret=each.secret)
        for each in contents
    ]
    return _deployed(host, intent_as, changes, policy_sha256, making)


def plan_back(host: Host, entry: record.Entry, making: Making) -> Plan:
    """Bring an API server back to what an earlier deployment asked for. Raises HostRefused."""
    before = AuditIntent.from_json(entry["intent"])
    changes = [
        FileChange(
            path=each["path"],
            before_sha256=host.sha256(each["path"]),
            sha256=each["sha256"],
            source=f"{host.state}/{each['keep']}",
            mode="0600",
            keep=each["keep"],
            secret=each["secret"],
        )
        for each in files_of(entry, host.start.place)
        if each["keep"] and each["sha256"]
    ]

    def again(name: str) -> AuditIntent:
        return replace(before, annotations={**before.annotations, DEPLOYMENT_ANNOTATION: name})

    return _deployed(host, again, changes, str(entry["policy_sha256"]), making)


def _deployed(
    host: Host,
    intent_as: Callable[[str], AuditIntent],
    contents: list[FileChange],
    policy_sha256: str,
    making: Making,
) -> Plan:
    """intent_as: what is wanted, in a deployment of this name."""
    previous = record.intent_of(host.writer)
    last = host.last_deployment
    same = intent_as(last or making.deployment)
    reasons = _reasons(host, bool(host.start.apply(same, previous)), contents)
    if previous and reasons and dict(previous.host_aliases) != dict(same.host_aliases):
        reasons.append(f"the receiver's pinned address is {previous.pinned}, and is to be {same.pinned}")
    # With another policy on the host nobody knows which one the server has read.
    resume = host.unproven and host.written is host.pending and len(reasons) == 1 and not host.restored
    name = last if resume or not reasons else making.deployment
    intent = intent_as(name)
    contents = [*contents, *_no_longer_wanted(host, contents)]
    wanted = Wanted(intent, contents, host.start.apply(intent, previous), reasons, name, policy_sha256, resume)
    return _plan(host, wanted, making)


def _no_longer_wanted(host: Host, contents: Sequence[FileChange]) -> list[FileChange]:
    """What an earlier deployment let the server read and this one doesn't: as it was before kaudit."""
    kept = {change.path for change in contents}
    entries = [each for each in (record.in_force(host.entries), host.pending) if each]
    gone = {
        each["path"]: each["secret"]
        for entry in entries
        for each in files_of(entry, host.start.place)
        if not each["starts"] and each["path"] not in kept
    }
    return [_as_before(host, path, secret) for path, secret in gone.items()]


def _as_before(host: Host, path: str, secret: bool = False) -> FileChange:
    """A file as it was before the first deployment, gone if it was not there."""
    name, original = host.originals.get(path), host.kept(path)
    if name and original:
        return FileChange(
            path, host.sha256(path), original.sha256, source=f"{host.state}/{name}", mode="preserve", secret=secret
        )
    return FileChange(path, host.sha256(path), "", secret=secret)


def plan_disable(host: Host, making: Making) -> Plan:
    """Take auditing away: the original's bytes where nobody else has changed a file since. Raises HostRefused."""
    entry = host.writer
    if entry is None and (last := host.last_deployment):
        raise HostRefused(
            f"{host.start.place}: its annotation names kaudit's deployment {last!r}, which is not in the record; put"
            " the record back, or take auditing and this annotation out by hand"
        )
    edits = without_auditing(host, AuditIntent.from_json(entry["intent"])) if entry else {}
    same = not edits
    reasons = [] if same and not host.unproven else ["auditing was enabled by kaudit"]
    resume = same and host.unproven and host.written is host.pending
    name = str(entry["id"]) if entry and resume else making.deployment
    read = [each["path"] for each in _written_ever(host) if not each["starts"]] if reasons else []
    back = [_as_before(host, path) for path in read if host.kept(path)]
    return _plan(host, Wanted(AuditIntent(), back, edits, reasons, name, "", resume), making)


def _written_ever(host: Host) -> list[dict[str, Any]]:
    """The files that deployments wrote, by the last one that did."""
    entries = [*host.entries, *([host.pending] if host.pending else [])]
    return list({each["path"]: each for entry in entries for each in files_of(entry, host.start.place)}.values())


def _plan(host: Host, wanted: Wanted, making: Making) -> Plan:
    entries = list(host.entries)
    if host.restored and host.pending:
        entries.append(
            record.pending_entry(host.pending, record.RESTORED_BY_TIMER, making.started, since=host.running_since)
        )
    changes = [*wanted.contents, *_starts(host, wanted.edits)]
    way = way_back(wanted.name, changes, host.pending if host.backed_up else None)
    ours = paths_of(record.since_disabled(host.entries), host.start.place)
    known = {path: name for path, name in host.originals.items() if path in ours}
    originals, keep = originals_after(known, way)
    pending = {
        "id": wanted.name,
        "started": making.started,
        "policy_sha256": wanted.policy_sha256,
        "files": [change.as_recorded() for change in changes],
        "intent": wanted.intent.as_json(),
        "kubernetes_version": making.kubernetes_version,
        "kaudit_version": kaudit_core.__version__,
        "backup": way.backup,
        "backups": way.files,
        **_of_before(host, wanted.resume),
    }
    made = [*host.entries, *([host.pending] if host.pending else []), pending]
    new = [each for each in _written_ever(host) if not host.originals.get(each["path"])]
    return Plan(
        changed=bool(wanted.reasons),
        reasons=wanted.reasons,
        files=changes,
        way=way,
        originals=originals,
        keep_originals=keep,
        entries=entries,
        pending=pending,
        deployment=wanted.name,
        ours=record.combined(made).as_json(),
        deployed_ever=bool(host.entries or host.pending),
        leftovers=[each["path"] for each in new if not each["starts"]],
        left_in=list(dict.fromkeys(dirname(each["path"]) for each in new)),
        notes=host.notes,
        audit_flags=dict(host.start.changed(wanted.edits).view().audit_flags),
        kubeadm_original=host.kubeadm_original.text if host.kubeadm_original else "",
        resume=wanted.resume,
        unproven=host.unproven,
        restored=host.restored,
        restart=not wanted.resume or bool(host.pids & {*(pending["before"] or [])}),
    )


def _starts(host: Host, edits: Edits) -> list[FileChange]:
    """The files that start the server and change, or did so in a deployment whose backup is still the right one."""
    before = host.pending["backups"] if host.pending and host.backed_up else []
    paths = dict.fromkeys([*(each["path"] for each in before if each["starts"]), *edits])
    texts = {path: edits.get(path, host.start.texts.get(path)) for path in paths}
    return [FileChange(path, host.sha256(path), sum_of(text), text, starts=True) for path, text in texts.items()]


def _of_before(host: Host, resume: bool) -> dict[str, Any]:
    """What a rollback needs to know of the server of before, from the first deployment that was not finished."""
    since = host.pending.get("from") if host.pending and host.backed_up else None
    # Without a resume the unproven server is to be replaced too.
    before = host.pending["before"] if host.pending and resume else None
    flags = host.pending.get("flags_before") if host.pending and host.backed_up else None
    now = dict(host.start.view().audit_flags)
    return {"from": since, "before": before, "replaces": _short(host), "flags_before": now if flags is None else flags}


def as_json(plan: Plan) -> dict[str, Any]:
    """For Ansible."""
    return asdict(plan)


def _reasons(host: Host, edited: bool, contents: Sequence[FileChange]) -> list[str]:
    """Why this master needs a deployment; none: it is as it should be. edited: the start is not what it should be."""
    made = []
    if host.pending is not None:
        made.append(f"deployment {host.pending['id']} was never finished")
    for change in contents:
        if change.before_sha256 != change.sha256:
            what = "policy" if change.keep.startswith("policies/") else change.path
            made.append(
                f"the {what} on the host is another one" if change.before_sha256 else f"there is no {what} on the host"
            )
    if edited:
        made.append(f"{host.start.what} is not as it should be")
    return made


def _short(host: Host) -> dict[str, Any] | None:
    written = host.written
    if not written:
        return None
    short = {key: written[key] for key in ("id", "policy_sha256", "intent")}
    return {**short, "files": files_of(written, host.start.place)}
