"""What the role's variables ask of an API server, checked before any host is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from posixpath import dirname, normpath
from typing import Any, Final

from kaudit_core.policy.versions import KubernetesVersion
from kaudit_core.provisioning.aliyun import aliyun_cluster, aliyun_env
from kaudit_core.provisioning.backend_flags import LOG, WEBHOOK, Backend, backend_flags, whole_number
from kaudit_core.provisioning.disk import budget
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from kaudit_core.provisioning.refusal import SettingsError

POLICY_ANNOTATION: Final = "kaudit.k8s/policy-sha256"
WEBHOOK_ANNOTATION: Final = "kaudit.k8s/webhook-sha256"
"""Of the kubeconfig: the server reads it only when it starts (pitfall P4)."""
ROTATION_CAN_BE_OFF: Final = KubernetesVersion(1, 36)

POLICY_MOUNT: Final = "kaudit-policy"
LOG_MOUNT: Final = "kaudit-log"
WEBHOOK_MOUNT: Final = "kaudit-webhook"

_TYPED: Final = {
    "audit-policy-file": "audit_policy_path",
    "audit-log-path": "apiserver_audit_log_path",
    "audit-log-maxage": "apiserver_audit_log_max_age",
    "audit-log-maxbackup": "apiserver_audit_log_max_backup",
    "audit-log-maxsize": "apiserver_audit_log_max_size",
    **{f"audit-log-{name.replace('_', '-')}": f"apiserver_audit_log_{name}" for name in LOG.options},
    "audit-webhook-config-file": "apiserver_audit_webhook_config_file",
    "audit-webhook-batch-initial-backoff": "apiserver_audit_webhook_initial_backoff",
    **{f"audit-webhook-{name.replace('_', '-')}": f"apiserver_audit_webhook_{name}" for name in WEBHOOK.options},
}
_WEBHOOK_ONLY: Final = (
    *WEBHOOK.options,
    *("url", "receiver_directory", "kubeconfig", "ca", "client_certificate", "client_key", "token", "address"),
    *("service", "dns_policy", "insecure_skip_tls_verify", "allow_http"),
)
_SHARED_DIRECTORIES: Final = frozenset(
    [
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root"),
        *("/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/usr/local", "/usr/share", "/var/tmp", "/etc/ssl"),
        *("/etc/ssl/certs", "/etc/kubernetes", "/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/var/lib"),
        *("/var/lib/etcd", "/var/lib/kubelet", "/var/log", "/var/log/containers", "/var/log/pods"),
    ]
)
"""Of a log's directory only root may read, and it is removed with the logs if that is asked for."""


@dataclass(frozen=True)
class Settings:
    """How an API server is to audit. Ages in days, sizes in MB, paths on the host and in its container alike.

    webhook_sha256: of the kubeconfig, "" where it isn't known yet; webhook_name and webhook_addresses: what is pinned.
    aliyun_logs: the id of the ACK cluster whose Logtail collects the log, "" for none.
    """

    policy_path: str
    log_path: str
    log_max_age: int
    log_max_backup: int
    log_max_size: int
    log_flags: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    backends: tuple[str, ...] = ("log",)
    webhook_path: str = ""
    webhook_flags: Mapping[str, str] = field(default_factory=dict)
    webhook_sha256: str = ""
    webhook_name: str = ""
    webhook_addresses: tuple[str, ...] = ()
    webhook_dns_policy: str = ""
    aliyun_logs: str = ""

    @classmethod
    def from_variables(cls, given: Mapping[str, Any]) -> Settings:
        """Read the role's variables, without their prefix; raises SettingsError."""
        backends, webhook = _backends(given), given.get("webhook") or {}
        made = cls(
            policy_path=_path(given, "policy_path"),
            log_path=_path(given, "log_path"),
            log_max_age=whole_number("apiserver_audit_log_max_age", given.get("log_max_age")),
            log_max_backup=whole_number("apiserver_audit_log_max_backup", given.get("log_max_backup")),
            log_max_size=whole_number("apiserver_audit_log_max_size", given.get("log_max_size")),
            log_flags=_flags_of(LOG, given, backends),
            flags=_flags(given.get("extra_flags") or {}, bool(given.get("allow_untested"))),
            mounts=_mounts(given.get("extra_mounts") or []),
            backends=backends,
            webhook_path=_path(given, "webhook_config_file") if WEBHOOK.name in backends else "",
            webhook_flags=_flags_of(WEBHOOK, given, backends),
            webhook_sha256=str(webhook.get("sha256") or ""),
            webhook_name=str(webhook.get("name") or ""),
            webhook_addresses=tuple(webhook.get("addresses") or ()),
            webhook_dns_policy=str(webhook.get("dns_policy") or ""),
            aliyun_logs=aliyun_cluster(given.get("aliyun_logs"), backends),
        )
        for path, what in ((made.policy_path, "policy"), (made.webhook_path, "webhook's kubeconfig")):
            if made.logs and dirname(path) == made.log_directory:
                raise SettingsError(
                    f"apiserver_audit_log_path: {made.log_directory} holds the {what} too;"
                    " give the log a directory of its own"
                )
        _intent(made, "", "")
        return made

    @property
    def policy_directory(self) -> str:
        """Mounted as a whole: a file that is replaced would stay the old one in the container (pitfall P9)."""
        return dirname(self.policy_path)

    @property
    def log_directory(self) -> str:
        """Mounted as a whole: a mounted file can't be rotated (pitfall P8)."""
        return dirname(self.log_path)

    @property
    def logs(self) -> bool:
        """Whether events go to a file."""
        return LOG.name in self.backends

    @property
    def sends(self) -> bool:
        """Whether events go to a receiver."""
        return WEBHOOK.name in self.backends

    def check_version(self, version: KubernetesVersion) -> None:
        """Refuse what this server's version understands otherwise than it reads; raises SettingsError."""
        if self.logs and self.log_max_size == 0 and version < ROTATION_CAN_BE_OFF:
            raise SettingsError(
                f"apiserver_audit_log_max_size: to Kubernetes {version} 0 means 100 MB, and only since"
                f" {ROTATION_CAN_BE_OFF} no rotation; write the size you want"
            )

    @property
    def disk_budget(self) -> int | None:
        """The most bytes that the log and its rotated segments take; None when nothing bounds them."""
        return budget(self.log_max_size, self.log_max_backup)

    def intent(self, policy_sha256: str, deployment: str) -> AuditIntent:
        """What the manifest shall hold for one policy, in one deployment."""
        return _intent(self, policy_sha256, deployment)


def _intent(settings: Settings, policy_sha256: str, deployment: str) -> AuditIntent:
    typed = {"audit-policy-file": settings.policy_path, **_log_flags(settings), **_webhook_flags(settings)}
    annotations = {POLICY_ANNOTATION: policy_sha256, DEPLOYMENT_ANNOTATION: deployment}
    if settings.sends:
        annotations[WEBHOOK_ANNOTATION] = settings.webhook_sha256
    try:
        return AuditIntent(
            {**typed, **settings.flags},
            (*_own_mounts(settings), *settings.mounts),
            annotations,
            env=aliyun_env(settings.aliyun_logs, settings.log_path),
            host_aliases={address: (settings.webhook_name,) for address in settings.webhook_addresses},
            dns_policy=settings.webhook_dns_policy,
        )
    except ValueError as error:
        raise SettingsError(f"apiserver_audit_extra_mounts or a path: {error}") from error


def _log_flags(settings: Settings) -> dict[str, str]:
    if not settings.logs:
        return {}
    return {
        "audit-log-path": settings.log_path,
        "audit-log-maxage": str(settings.log_max_age),
        "audit-log-maxbackup": str(settings.log_max_backup),
        "audit-log-maxsize": str(settings.log_max_size),
        **settings.log_flags,
    }


def _webhook_flags(settings: Settings) -> dict[str, str]:
    return {"audit-webhook-config-file": settings.webhook_path, **settings.webhook_flags} if settings.sends else {}


def _own_mounts(settings: Settings) -> tuple[Mount, ...]:
    """The directories of what the server reads and writes."""
    made = [Mount(POLICY_MOUNT, settings.policy_directory, settings.policy_directory, read_only=True)]
    if settings.logs:
        made.append(Mount(LOG_MOUNT, settings.log_directory, settings.log_directory, read_only=False))
    webhook = dirname(settings.webhook_path)
    if settings.sends and webhook != settings.policy_directory:
        made.append(Mount(WEBHOOK_MOUNT, webhook, webhook, read_only=True))
    return tuple(made)


def _backends(given: Mapping[str, Any]) -> tuple[str, ...]:
    variable, known = "apiserver_audit_backends", (LOG.name, WEBHOOK.name)
    wanted = given.get("backends", [LOG.name])
    if not isinstance(wanted, list) or any(name not in known for name in wanted):
        raise SettingsError(f"{variable}: {wanted!r} is no list of log and webhook; write [log], [webhook] or both")
    if not wanted:
        raise SettingsError(
            f"{variable}: a policy without a backend logs nothing, and the server says nothing; write [log], or run"
            " disable.yml"
        )
    return tuple(name for name in known if name in wanted)


def _flags_of(backend: Backend, given: Mapping[str, Any], backends: tuple[str, ...]) -> dict[str, str]:
    """A backend's flags; without the backend none may be asked for."""
    if backend.name in backends:
        return backend_flags(backend, given)
    for name in _WEBHOOK_ONLY if backend is WEBHOOK else backend.options:
        if given.get(f"{backend.name}_{name}") not in (None, "", [], False):
            raise SettingsError(
                f"apiserver_audit_{backend.name}_{name}: does nothing unless apiserver_audit_backends has"
                f" {backend.name}; take it out, or add {backend.name}"
            )
    return {}


def _path(given: Mapping[str, Any], key: str) -> str:
    variable = f"apiserver_audit_{key}"
    value = given.get(key)
    if not isinstance(value, str) or not value.startswith("/") or normpath(value) != value or value[1:2] in ("", "/"):
        raise SettingsError(f"{variable}: {value!r} is no absolute path without '..'; write one like /srv/audit/a.log")
    if dirname(value) in _SHARED_DIRECTORIES:
        raise SettingsError(
            f"{variable}: {dirname(value)} holds other things too, and its directory is mounted into the API server;"
            f" give it one of its own, for example {dirname(value).rstrip('/')}/audit"
        )
    if value.startswith("/var/log/audit/"):
        raise SettingsError(
            f"{variable}: /var/log/audit is auditd's, and SELinux lets no container write there (pitfall P33); use"
            " another directory, for example /var/log/kubernetes/audit"
        )
    return value


def _flags(given: Any, allow_untested: bool) -> dict[str, str]:
    variable = "apiserver_audit_extra_flags"
    if not isinstance(given, Mapping):
        raise SettingsError(f"{variable}: write a mapping like {{audit-log-mode: batch}}")
    made = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name.startswith("audit-"):
            raise SettingsError(f"{variable}: {name!r} is not about auditing; write names like audit-log-mode")
        if name in _TYPED:
            raise SettingsError(f"{variable}: {name} has a variable of its own; set {_TYPED[name]}")
        if not allow_untested:
            like = get_close_matches(name, _TYPED, 1)
            raise SettingsError(
                f"{variable}: no Kubernetes that kaudit was tested with has a flag {name}"
                + (f"; {like[0]} is set with {_TYPED[like[0]]}" if like else "")
                + "; for a newer server set apiserver_audit_allow_untested: true"
            )
        if isinstance(value, (dict, list)) or value is None:
            raise SettingsError(f"{variable}: {name} needs a text, a number or a truth value")
        made[name] = str(value).lower() if isinstance(value, bool) else str(value)
        try:
            AuditIntent({name: made[name]})
        except ValueError as error:
            raise SettingsError(f"{variable}: {error}") from error
    return made


def _mounts(given: Any) -> tuple[Mount, ...]:
    variable = "apiserver_audit_extra_mounts"
    if not isinstance(given, list):
        raise SettingsError(f"{variable}: write a list of mounts")
    made = []
    for mount in given:
        try:
            made.append(Mount(**mount))
            if not isinstance(made[-1].read_only, bool):
                raise ValueError(f"read_only is {made[-1].read_only!r}, neither true nor false")
        except (AttributeError, TypeError, ValueError) as error:
            raise SettingsError(f"{variable}: {error}; a mount has name, host_path, container_path, type") from error
    return tuple(made)
