"""What the roles ask of this package, in plain values: one function a filter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any, Final

from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.versions import NEWEST, OLDEST, KubernetesVersion
from kaudit_core.provisioning import drift, record
from kaudit_core.provisioning import kubeadm_config as cluster_configuration
from kaudit_core.provisioning import plan as planning
from kaudit_core.provisioning.access import api_access
from kaudit_core.provisioning.adoption import foreign_auditing
from kaudit_core.provisioning.backups import check_backups, old_backups
from kaudit_core.provisioning.disk import Room
from kaudit_core.provisioning.files import Content, files_of, paths_of
from kaudit_core.provisioning.host import Host, read_host, read_originals
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.k3s.starting import Server
from kaudit_core.provisioning.kubeadm_patch import kubeadm_patch_of
from kaudit_core.provisioning.observed import PENDING, RECORD, HostFiles, HostRefused
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.settings import Settings
from kaudit_core.provisioning.turns import serial_batches, turn_order
from kaudit_core.verification.probes import choose_probe

Plain = Mapping[str, Any]
KUBEADM: Final = {
    "distribution": "kubeadm",
    "unit": "",
    "policy_path": "/etc/kubernetes/audit/policy.yaml",
    "webhook_path": "/etc/kubernetes/audit/webhook.yaml",
}
"""What find_start says where kubeadm's manifest starts the API server."""


def check_settings(variables: Plain) -> dict[str, str]:
    """Directories on the host, by what they are for; raises SettingsError for variables that can't be used."""
    settings = Settings.from_variables(variables)
    check_backups(variables)
    times = {name: _seconds(variables, name) for name in ("settle_seconds", "ready_timeout", "restore_after")}
    if times["restore_after"] <= times["ready_timeout"] + times["settle_seconds"]:
        raise ValueError(
            f"apiserver_audit_restore_after: {times['restore_after']:.0f} s would end a deployment that may take"
            f" {times['ready_timeout'] + times['settle_seconds']:.0f} s (ready_timeout and settle_seconds); raise it"
        )
    state = str(variables.get("state_directory") or "/var/lib/kaudit").rstrip("/") + "/"
    paths = {"log_path": settings.log_path, "policy_path": settings.policy_path}
    for name, path in {**paths, "webhook_config_file": settings.webhook_path}.items():
        if path.startswith(state):
            raise ValueError(
                f"apiserver_audit_{name}: {path} is in apiserver_audit_state_directory, which disable.yml removes;"
                " give it another place"
            )
    return {"policy": settings.policy_directory, "log": settings.log_directory}


def _seconds(variables: Plain, name: str) -> float:
    try:
        value = float(variables[name])
    except (TypeError, ValueError):
        value = -1
    if not 0 <= value < inf:
        raise ValueError(f"apiserver_audit_{name}: {variables[name]!r} is no number of seconds")
    return value


def _host(files: Plain, others: Plain, servers: Plain, paths: Plain) -> Host:
    return read_host(paths, files["results"], others["results"], servers["processes"], files.get("start"))


def server_version(answer: Plain, files: Plain, paths: Plain, allow_untested: bool) -> str:
    """The running server's version; of one that an unfinished deployment keeps from answering, what that noted."""
    told = answer.get("json") if answer.get("status") == 200 else None
    found = told.get("gitVersion") if isinstance(told, dict) else None
    if found is None:
        pending = HostFiles(files["results"]).json(f"{paths['state']}/{PENDING}", dict, record.KEPT)
        if pending is None:
            said = answer.get("msg") or f"status {answer.get('status')}"
            raise HostRefused(
                f"{answer.get('url')}: the API server does not answer as it should ({said}); repair it first"
            )
        found = pending["kubernetes_version"]
    try:
        KubernetesVersion.parse(str(found))
    except ValueError as error:
        if not allow_untested:
            raise ValueError(f"{error}; to go on all the same set apiserver_audit_allow_untested: true") from error
    return str(found)


def enable_plan(
    files: Plain,
    others: Plain,
    servers: Plain,
    paths: Plain,
    variables: Plain,
    policy_sha256: str,
    now: str,
    version: str,
    contents: Sequence[Plain] = (),
) -> dict[str, Any]:
    """The plan for one master; contents: what its server reads beside the policy, as files.Content."""
    host = _host(files, others, servers, paths)
    settings = Settings.from_variables(variables)
    settings.check_version(policy_version(version))
    if isinstance(host.start, Server):
        host.start.check(settings, version)
    more = [Content(**content) for content in contents]
    plan = planning.plan_enable(host, settings, policy_sha256, _making(now, version), more)
    return {**planning.as_json(plan), "foreign": foreign_auditing(host, plan.files)}


def earlier_deployment(files: Plain, paths: Plain, variables: Plain, at: str) -> dict[str, Any]:
    """The deployment of a master to go back to, with the file that keeps its policy there."""
    settings = Settings.from_variables(variables)
    entries = HostFiles(files["results"]).json(f"{paths['state']}/{RECORD}", list, (*record.KEPT, "outcome")) or []
    entry = record.to_go_back_to(entries, _time(at))
    if entry is None:
        told = f"at {at} no deployment of kaudit was in force" if at else "there is no other deployment to go back to"
        raise HostRefused(
            f"{paths['state']}/{RECORD}: {told}; look there for what was, or take auditing away with disable.yml"
        )
    flags = entry["intent"]["flags"]
    for variable, flag, path in (
        ("audit_policy_path", "audit-policy-file", settings.policy_path),
        ("apiserver_audit_log_path", "audit-log-path", settings.log_path),
    ):
        if flags.get(flag, path) != path:
            raise HostRefused(f"{variable}: deployment {entry['id']} had {flags.get(flag)}; set the variable to that")
    return {**entry, "policy_file": f"{paths['state']}/policies/{entry['policy_sha256']}.yaml"}


def _time(at: str) -> str:
    if at and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at, re.ASCII):
        raise ValueError(f"apiserver_audit_back_to: {at!r} is no time; write one like 2026-11-21T04:30:00Z")
    return at


def rollback_plan(
    files: Plain, others: Plain, servers: Plain, paths: Plain, entry: Plain, policy_sha256: str, now: str, version: str
) -> dict[str, Any]:
    """The plan that brings one master back to an earlier deployment; policy_sha256: of the policy kept on the host."""
    if policy_sha256 != entry["policy_sha256"]:
        raise HostRefused(
            f"{entry['policy_file']}: changed since it was deployed; put it back, or run enable.yml with that policy"
        )
    host = _host(files, others, servers, paths)
    return planning.as_json(planning.plan_back(host, entry, _making(now, version)))


def disk_budget(variables: Plain, told: str) -> str:
    """What the log may take, in words; raises HostRefused where the file system that it is on can't hold it.

    told: what tasks/room.yml prints.
    """
    settings, room = Settings.from_variables(variables), Room.parse(told)
    wanted = settings.disk_budget
    if wanted is None:
        raise HostRefused(
            "apiserver_audit_log_max_size or apiserver_audit_log_max_backup is 0, so nothing bounds what the log takes"
            f" of {room.mounted}; set both, or apiserver_audit_check_disk: false"
        )
    if lack := room.lack(wanted):
        raise HostRefused(
            f"{settings.log_path}: {lack}; lower apiserver_audit_log_max_backup or apiserver_audit_log_max_size,"
            " make room, or set apiserver_audit_check_disk: false"
        )
    return f"{wanted / 1e6:,.0f} MB of {(room.free + room.taken) / 1e6:,.0f} MB on {room.mounted}"


def disable_plan(files: Plain, others: Plain, servers: Plain, paths: Plain, now: str, version: str) -> dict[str, Any]:
    """The plan that takes auditing away from one master."""
    host = _host(files, others, servers, paths)
    return planning.as_json(planning.plan_disable(host, _making(now, version)))


def status(
    master: str, files: Plain, others: Plain, servers: Plain, paths: Plain, look: Plain, wanted: Plain | None
) -> dict[str, Any]:
    """The state of one master; `look`: drift.Look's fields; `wanted`: variables and policy_sha256."""
    try:
        host = _host(files, others, servers, paths)
        asked = (Settings.from_variables(wanted["variables"]), wanted["policy_sha256"]) if wanted else None
        found = drift.status_of(master, host, servers["processes"], drift.Look(**look), asked)
    except HostRefused as error:
        return asdict(drift.Status(master, drift.UNKNOWN, drift=[str(error)]))
    return asdict(found)


def ours(files: Plain, paths: Plain) -> dict[str, Any] | None:
    """What the last deployment of a master put into its manifest, None where none is in force."""
    entry = record.in_force(HostFiles(files["results"]).json(f"{paths['state']}/{RECORD}", list) or [])
    return dict(entry["intent"]) if entry else None


def probe(text: str, source: str, version: str, name: str) -> dict[str, Any] | None:
    """The request whose event is expected in the log; None where the policy logs nothing that the play may ask."""
    policy = read_policy(text.encode(), source, policy_version(version)).policy
    chosen = choose_probe(policy, name) if policy else None
    return asdict(chosen) if chosen else None


def policy_version(version: str) -> KubernetesVersion:
    """The version that a policy is read for; of a server that nobody tested, the nearest one."""
    try:
        return KubernetesVersion.parse(version)
    except ValueError:
        minor = re.match(r"v?1\.(\d+)", version)
        return OLDEST if minor and int(minor[1]) < OLDEST.minor else NEWEST


def kubeadm_config(text: str, state: str, ours: Plain, wanted: Plain, original: str) -> str:
    """kubeadm's ClusterConfiguration with auditing in it, or (state absent) as it was before."""
    combined, intent = AuditIntent.from_json(ours), AuditIntent.from_json(wanted)
    gone = AuditIntent(absent_mounts=tuple(set(combined.absent_mounts) - {mount.name for mount in intent.mounts}))
    try:
        text = cluster_configuration.apply(text, gone)
        if state == "present":
            return cluster_configuration.apply(text, intent, combined)
        if original and cluster_configuration.apply(original, combined) == text:
            return original
        return cluster_configuration.remove(text, combined)
    except EditRefused as error:
        raise HostRefused(f"ConfigMap kube-system/kubeadm-config, {error}") from error


def _making(now: str, version: str) -> planning.Making:
    """A deployment's name is its time, fit for a file and an annotation."""
    return planning.Making(now.replace("-", "").replace(":", ""), now, version)


def named_files(files: Plain, paths: Plain) -> list[str]:
    """What else is to be read of a host: the files that its deployments named, and those kept from before them."""
    found, state = HostFiles(files["results"]), paths["state"]
    entries = found.json(f"{state}/{RECORD}", list, (*record.KEPT, "outcome")) or []
    pending = found.json(f"{state}/{PENDING}", dict, record.KEPT)
    originals = [f"{state}/{name}" for name in read_originals(found, paths).values() if name]
    written = paths_of([*record.since_disabled(entries), *([pending] if pending else [])], paths["manifest"])
    return [path for path in dict.fromkeys([*written, *originals]) if found.find(path) is None]


def secret_files(files: Plain, paths: Plain) -> list[str]:
    """Those of them whose content nobody may see: deployments say so, and what was there before is as secret."""
    found, state = HostFiles(files["results"]), paths["state"]
    entries = found.json(f"{state}/{RECORD}", list, (*record.KEPT, "outcome")) or []
    pending = found.json(f"{state}/{PENDING}", dict, record.KEPT)
    made = [
        each for entry in [*entries, *([pending] if pending else [])] for each in files_of(entry, paths["manifest"])
    ]
    secret = {each["path"] for each in made if each["secret"]}
    originals = read_originals(found, paths)
    return sorted(secret | {f"{state}/{originals[path]}" for path in secret if originals.get(path)})


def recorded(plan: Plain, outcome: str, now: str, more: Plain) -> list[Any]:
    """The deployment record with this deployment at its end."""
    return [*plan["entries"], record.pending_entry(plan["pending"], outcome, now, **more)]


DECISIONS: dict[str, Callable[..., Any]] = {
    "check_settings": check_settings,
    "api_access": api_access,
    "server_version": server_version,
    "enable_plan": enable_plan,
    "disk_budget": disk_budget,
    "earlier_deployment": earlier_deployment,
    "rollback_plan": rollback_plan,
    "disable_plan": disable_plan,
    "probe": probe,
    "status": status,
    "ours": ours,
    "kubeadm_patch": kubeadm_patch_of,
    "old_backups": old_backups,
}
"""What the action decide offers."""

__all__ = ["DECISIONS", "recorded", "serial_batches", "turn_order"]
