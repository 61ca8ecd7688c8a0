"""What a deployment will do on one master, decided on the controller from what was read there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """One master's deployment.

    manifest: the text to be written; before_sha256: of the file it was computed from.
    keep_backup: the files on the host come from a deployment that was never proven, so they are no backup.
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
    def unproven(self) -> bool:
        """Whether the manifest is one that a deployment wrote and never proved."""
        return self.pending is not None and self.manifest.sha256 == self.pending["manifest_sha256"]


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
        files.json(f"{state}/{RECORD}", list) or [],
        files.json(f"{state}/{PENDING}", dict),
        files.get(f"{state}/{RESTORED}") is not None,
        max((str(process["started"]) for process in processes), default=""),
        *(files.get(f"{state}/{name}") for name in ORIGINALS),
    )


def plan_enable(
    host: Host, settings: Settings, policy_sha256: str, deployment: str, started: str, kubernetes_version: str
) -> Plan:
    """Bring an API server to audit by this policy; `deployment` is the name of a new one. Raises HostRefused."""
    previous = _previous(host)
    last = _annotations(host).get("kaudit.k8s/deployment", "")
    same = settings.intent(policy_sha256, last or deployment)
    reasons = _reasons(host, same, previous, policy_sha256)
    resume = host.unproven and _applied(host, same, previous) == host.manifest.text and not host.restored
    name = last if resume or not reasons else deployment
    intent = settings.intent(policy_sha256, name)
    text = _applied(host, intent, previous)
    return _plan(host, text, intent, reasons, name, started, policy_sha256, kubernetes_version, resume)


def plan_disable(host: Host, deployment: str, started: str, kubernetes_version: str) -> Plan:
    """Take auditing away: the original's bytes where nobody else has changed the manifest since. Raises HostRefused."""
    entry = host.pending if host.unproven else record.in_force(host.entries)
    if entry is None:
        return _plan(host, host.manifest.text, AuditIntent(), [], "", started, "", kubernetes_version, False)
    if host.original is not None and host.manifest.sha256 in (entry["manifest_sha256"], host.original.sha256):
        text = host.original.text
    else:
        text = _edited(host, lambda: manifest.remove(host.manifest.text, AuditIntent.from_json(entry["intent"])))
    reasons = ["auditing was enabled by kaudit"]
    return _plan(host, text, AuditIntent(), reasons, deployment, started, "", kubernetes_version, False)


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
        "backup": host.pending["backup"] if host.unproven and host.pending else name,
        "before": host.pending["before"] if host.unproven and host.pending else None,
        "from": host.pending["from"] if host.unproven and host.pending else None,
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
        keep_backup=host.unproven,
        restored=host.restored,
    )


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


def _previous(host: Host) -> AuditIntent | None:
    """What kaudit put into the manifest at hand."""
    return record.intent_of(host.pending if host.unproven else record.in_force(host.entries))


def _annotations(host: Host) -> dict[str, str]:
    return _edited(host, lambda: manifest.inspect(host.manifest.text)).annotations


def _applied(host: Host, intent: AuditIntent, previous: AuditIntent | None) -> str:
    return _edited(host, lambda: manifest.apply(host.manifest.text, intent, previous))


def _edited(host: Host, edit: Callable[[], T]) -> T:
    try:
        return edit()
    except EditRefused as error:
        raise HostRefused(f"{host.manifest.path}: {error}") from error
