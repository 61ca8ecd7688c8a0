"""What a deployment will do on one master, decided on the controller from what was read there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeVar

import kaudit_core
from kaudit_core.provisioning import manifest, record
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.observed import (
    ORIGINALS,
    PENDING,
    RECORD,
    RESTORED,
    HostFile,
    HostFiles,
    HostRefused,
    check_strays,
)
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.settings import POLICY_ANNOTATION, Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """One master's deployment.

    manifest: the text to be written; before_sha256: of the file it was computed from.
    keep_backup: the files on the host come from a deployment that was never proven, so they are no backup.
    unproven: its manifest does too, so the API server needn't be ready.
    resume: such a deployment wants what this one wants, and is finished instead of begun anew.
    restored: the timer has ended an earlier deployment, which goes into the record now.
    pending: written to the host before anything is changed there.
    ours: the intent that names whatever kaudit has put here so far, now or earlier.
    """

    changed: bool
    reasons: list[str]
    manifest: str
    before_sha256: str
    sha256: str
    entries: list[Any]
    pending: dict[str, Any]
    deployment: str
    policy_there: bool
    deployed_before: bool
    ours: dict[str, Any]
    deployed_ever: bool
    original_policy: bool
    kubeadm_original: str
    resume: bool = False
    unproven: bool = False
    keep_backup: bool = False
    restored: bool = False


@dataclass(frozen=True)
class Host:
    """What was read of one master."""

    manifest: HostFile
    policy: HostFile | None
    entries: list[Any]
    pending: dict[str, Any] | None
    restored: bool
    running_since: str = ""
    original: HostFile | None = None
    original_policy: HostFile | None = None
    kubeadm_original: HostFile | None = None

    @property
    def written(self) -> Mapping[str, Any] | None:
        """The deployment that wrote the manifest at hand and never proved it: the pending one, or one before it."""
        found = [self.pending, self.pending.get("replaces")] if self.pending else []
        return next((each for each in found if each and self.manifest.sha256 == each["manifest_sha256"]), None)

    @property
    def unproven(self) -> bool:
        """Whether the manifest is one that a deployment wrote and never proved."""
        return self.written is not None

    @property
    def backed_up(self) -> bool:
        """Whether the pending deployment's backup is what it shall be: perhaps only the policy was replaced since."""
        if self.pending is None or self.restored:
            return False
        return self.unproven or self.manifest.sha256 == self.pending.get("before_sha256")


def read_host(
    paths: Mapping[str, str],
    results: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    processes: Sequence[Mapping[str, Any]] = (),
) -> Host:
    """Read slurped files; `paths` names manifest, policy and state. Raises HostRefused."""
    files = HostFiles(results)
    file = files.get(paths["manifest"])
    if file is None:
        raise HostRefused(
            f"{paths['manifest']}: no such file, so this is no master set up by kubeadm; k3s and RKE2 are not supported"
            " yet, and a manifest elsewhere is named by apiserver_audit_manifest"
        )
    check_strays(file, others)
    state = paths["state"]
    return Host(
        file,
        files.get(paths["policy"]),
        files.json(f"{state}/{RECORD}", list, (*record.KEPT, "outcome")) or [],
        files.json(f"{state}/{PENDING}", dict, (*record.KEPT, "backup", "before")),
        files.get(f"{state}/{RESTORED}") is not None,
        max((str(process["started"]) for process in processes), default=""),
        *(files.get(f"{state}/{name}") for name in ORIGINALS),
    )


def plan_enable(
    host: Host, settings: Settings, policy_sha256: str, deployment: str, started: str, kubernetes_version: str
) -> Plan:
    """Bring an API server to audit by this policy; `deployment` is the name of a new one. Raises HostRefused."""
    return _deployed(host, partial(settings.intent, policy_sha256), deployment, started, kubernetes_version)


def plan_back(host: Host, entry: record.Entry, deployment: str, started: str, kubernetes_version: str) -> Plan:
    """Bring an API server back to what an earlier deployment asked for. Raises HostRefused."""
    before = AuditIntent.from_json(entry["intent"])

    def again(name: str) -> AuditIntent:
        return replace(before, annotations={**before.annotations, DEPLOYMENT_ANNOTATION: name})

    return _deployed(host, again, deployment, started, kubernetes_version)


def _deployed(
    host: Host, intent_as: Callable[[str], AuditIntent], deployment: str, started: str, kubernetes_version: str
) -> Plan:
    """intent_as: what is wanted, in a deployment of this name."""
    previous = record.intent_of(_writer(host))
    last = _last_deployment(host)
    same = intent_as(last or deployment)
    policy_sha256 = str(same.annotations[POLICY_ANNOTATION])
    reasons = _reasons(host, same, previous, policy_sha256)
    # With another policy on the host nobody knows which one the server has read.
    resume = host.unproven and host.written is host.pending and len(reasons) == 1 and not host.restored
    name = last if resume or not reasons else deployment
    intent = intent_as(name)
    text = _applied(host, intent, previous)
    return _plan(host, text, intent, reasons, name, started, policy_sha256, kubernetes_version, resume)


def plan_disable(host: Host, deployment: str, started: str, kubernetes_version: str) -> Plan:
    """Take auditing away: the original's bytes where nobody else has changed the manifest since. Raises HostRefused."""
    entry = _writer(host)
    if entry is None and (last := _last_deployment(host)):
        raise HostRefused(
            f"{host.manifest.path}: its annotation names kaudit's deployment {last!r}, which is not in the record; put"
            " the record back, or take auditing and this annotation out by hand"
        )
    text = _without(host, AuditIntent.from_json(entry["intent"])) if entry else host.manifest.text
    same = text == host.manifest.text
    reasons = [] if same and not host.unproven else ["auditing was enabled by kaudit"]
    resume = same and host.unproven and host.written is host.pending
    name = str(entry["id"]) if entry and resume else deployment
    return _plan(host, text, AuditIntent(), reasons, name, started, "", kubernetes_version, resume)


def _without(host: Host, intent: AuditIntent) -> str:
    """The manifest without auditing: the original, if only kaudit changed it since; else without what is kaudit's."""
    if host.original is not None:
        text, previous = host.original.text, AuditIntent()
        try:
            for made in [AuditIntent.from_json(entry["intent"]) for entry in record.since_disabled(host.entries)]:
                text, previous = manifest.apply(text, made, previous), made
            if host.unproven:
                text = manifest.apply(text, intent, previous)
        except EditRefused:
            text = ""
        if text == host.manifest.text:
            return host.original.text
    return _edited(host, lambda: manifest.remove(host.manifest.text, intent))


def _plan(
    host: Host,
    text: str,
    intent: AuditIntent,
    reasons: list[str],
    name: str,
    started: str,
    policy_sha256: str,
    kubernetes_version: str,
    resume: bool,
) -> Plan:
    entries = list(host.entries)
    if host.restored and host.pending:
        entries.append(record.pending_entry(host.pending, record.RESTORED_BY_TIMER, started, since=host.running_since))
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    pending = {
        "id": name,
        "started": started,
        "policy_sha256": policy_sha256,
        "manifest_sha256": sha256,
        "intent": intent.as_json(),
        "kubernetes_version": kubernetes_version,
        "kaudit_version": kaudit_core.__version__,
        **_way_back(host, name, resume),
    }
    return Plan(
        changed=bool(reasons),
        reasons=reasons,
        manifest=text,
        before_sha256=host.manifest.sha256,
        sha256=sha256,
        entries=entries,
        pending=pending,
        deployment=name,
        policy_there=host.policy is not None,
        deployed_before=record.in_force(host.entries) is not None,
        deployed_ever=bool(host.entries or host.pending),
        original_policy=host.original_policy is not None,
        kubeadm_original=host.kubeadm_original.text if host.kubeadm_original else "",
        ours=record.combined([*host.entries, *([host.pending] if host.pending else []), pending]).as_json(),
        resume=resume,
        unproven=host.unproven,
        keep_backup=host.backed_up,
        restored=host.restored,
    )


def _way_back(host: Host, name: str, resume: bool) -> dict[str, Any]:
    """What a rollback needs, from the first of several deployments that were not finished."""
    made: dict[str, Any] = {"backup": name, "before_sha256": host.manifest.sha256, "from": None}
    if host.pending and host.backed_up:
        made |= {key: host.pending[key] for key in made if key in host.pending}
    # Without a resume the unproven server is to be replaced too.
    before = host.pending["before"] if host.pending and resume else None
    return {**made, "before": before, "replaces": _short(host.written)}


def as_json(plan: Plan) -> dict[str, Any]:
    """For Ansible."""
    return asdict(plan)


def _reasons(host: Host, same: AuditIntent, previous: AuditIntent | None, policy_sha256: str) -> list[str]:
    """Why this master needs a deployment; none: it is as it should be."""
    made = []
    if host.pending is not None:
        made.append(f"deployment {host.pending['id']} was never finished")
    if host.policy is None or host.policy.sha256 != policy_sha256:
        made.append("the policy on the host is another one" if host.policy else "there is no policy on the host")
    if _applied(host, same, previous) != host.manifest.text:
        made.append("the manifest is not as it should be")
    return made


def _writer(host: Host) -> record.Entry | None:
    """The deployment that put into the manifest at hand what is there of kaudit, whoever edited it since."""
    if host.written is None and host.pending and host.pending["id"] == _last_deployment(host):
        return host.pending
    return host.written or record.in_force(host.entries)


def _short(written: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {key: written[key] for key in ("id", "manifest_sha256", "intent")} if written else None


def _last_deployment(host: Host) -> str:
    return _edited(host, lambda: manifest.inspect(host.manifest.text)).annotations.get(DEPLOYMENT_ANNOTATION, "")


def _applied(host: Host, intent: AuditIntent, previous: AuditIntent | None) -> str:
    return _edited(host, lambda: manifest.apply(host.manifest.text, intent, previous))


def _edited(host: Host, edit: Callable[[], T]) -> T:
    try:
        return edit()
    except EditRefused as error:
        raise HostRefused(f"{host.manifest.path}: {error}") from error
