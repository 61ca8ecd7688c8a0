"""The role's variables: what can't be used is refused by name before any host is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaudit_core.policy.versions import KubernetesVersion
from kaudit_core.provisioning.backend_flags import LOG
from kaudit_core.provisioning.flags import BOOLEAN, VALUED
from kaudit_core.provisioning.intent import Mount
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from kaudit_core.provisioning.refusal import SettingsError
from kaudit_core.provisioning.settings import POLICY_ANNOTATION, Settings

VARIABLES: dict[str, Any] = {
    "policy_path": "/etc/kubernetes/audit/policy.yaml",
    "log_path": "/var/log/kubernetes/audit/audit.log",
    "log_max_age": 30,
    "log_max_backup": "10",
    "log_max_size": 100,
    "extra_flags": {},
    "extra_mounts": [],
}
BATCH = {"log_mode": "batch"}
ROLE = Path(__file__).parents[2] / "roles" / "apiserver_audit"
HOOK = {"name": "hook", "host_path": "/srv/hook", "container_path": "/srv/hook"}


def settings(**changes: Any) -> Settings:
    """Variables with some of them changed."""
    return Settings.from_variables({**VARIABLES, **changes})


def test_intent_has_flags_mounts_and_annotations() -> None:
    """Everything that the manifest shall hold."""
    intent = settings().intent("0123", "20261121T043000Z")

    assert {
        "audit-policy-file": "/etc/kubernetes/audit/policy.yaml",
        "audit-log-path": "/var/log/kubernetes/audit/audit.log",
        "audit-log-maxage": "30",
        "audit-log-maxbackup": "10",
        "audit-log-maxsize": "100",
    } == intent.flags
    assert (
        Mount("kaudit-policy", "/etc/kubernetes/audit", "/etc/kubernetes/audit", read_only=True),
        Mount("kaudit-log", "/var/log/kubernetes/audit", "/var/log/kubernetes/audit", read_only=False),
    ) == intent.mounts
    assert {POLICY_ANNOTATION: "0123", DEPLOYMENT_ANNOTATION: "20261121T043000Z"} == intent.annotations


def test_extra_flags_are_text_to_the_server() -> None:
    """Truth values and numbers as the server reads them."""
    found = settings(extra_flags={"audit-log-a": True, "audit-b": 5, "audit-c": "x"}, allow_untested=True)

    assert {"audit-log-a": "true", "audit-b": "5", "audit-c": "x"} == found.flags


def test_flags_of_the_log_come_from_their_variables() -> None:
    """What is given, as the server reads it; what is not given is not written."""
    made = settings(
        log_mode="batch",
        log_compress=True,
        log_batch_max_size=50,
        log_batch_max_wait="1s0.5s",
        log_batch_throttle_enable="yes",
        log_batch_throttle_qps=0.5,
        log_batch_throttle_burst="15",
        log_truncate_enabled=None,
        log_format="",
    )

    assert {
        "audit-log-mode": "batch",
        "audit-log-compress": "true",
        "audit-log-batch-max-size": "50",
        "audit-log-batch-max-wait": "1s0.5s",
        "audit-log-batch-throttle-enable": "true",
        "audit-log-batch-throttle-qps": "0.5",
        "audit-log-batch-throttle-burst": "15",
    } == made.log_flags
    assert made.log_flags.items() <= made.intent("", "").flags.items()


def test_every_live_flag_of_the_log_has_a_variable() -> None:
    """No flag is left to extra_flags, and each variable is a flag that upstream reads."""
    upstream = {name for name in VALUED | BOOLEAN if name.startswith("audit-log-")}
    own = {f"audit-log-{name}" for name in ("path", "maxage", "maxbackup", "maxsize")}

    assert upstream == own | {f"audit-log-{name.replace('_', '-')}" for name in LOG.options}


def test_defaults_pass_the_benchmark_of_cis() -> None:
    """1.2.16 to 1.2.19: a path, 30 days, 10 segments, 100 MB; 3.2.1: a policy."""
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    given = {name.removeprefix("apiserver_audit_"): value for name, value in defaults.items()}
    flags = Settings.from_variables(given | {"policy_path": "/etc/kubernetes/audit/policy.yaml"}).intent("", "").flags

    assert flags["audit-policy-file"]
    assert flags["audit-log-path"]
    assert ["30", "10", "100"] == [flags[f"audit-log-max{name}"] for name in ("age", "backup", "size")]


def test_size_0_is_refused_where_it_does_not_mean_no_rotation() -> None:
    """Its meaning changed with 1.36."""
    settings(log_max_size=0).check_version(KubernetesVersion(1, 36))
    settings(log_max_size=1).check_version(KubernetesVersion(1, 22))
    with pytest.raises(SettingsError, match=r"^apiserver_audit_log_max_size: to Kubernetes 1.35 0 means 100 MB"):
        settings(log_max_size=0).check_version(KubernetesVersion(1, 35))


@pytest.mark.parametrize(
    ("size", "backups", "budget"), [(100, 10, 1100 * 2**20), (1, 1, 2 * 2**20), (0, 10, None), (100, 0, None)]
)
def test_disk_budget_is_of_all_segments(size: int, backups: int, budget: int | None) -> None:
    """The segment that is written, and those that were rotated; 0 has no bound."""
    assert budget == settings(log_max_size=size, log_max_backup=backups).disk_budget


def test_extra_mounts_come_after_ours() -> None:
    """With the defaults of a mount."""
    made = settings(extra_mounts=[HOOK]).intent("", "").mounts

    assert ("kaudit-policy", "kaudit-log", "hook") == tuple(mount.name for mount in made)
    assert (True, "DirectoryOrCreate") == (made[2].read_only, made[2].type)


refused: dict[str, tuple[dict[str, Any], str]] = {
    "relative-path": ({"log_path": "audit.log"}, "apiserver_audit_log_path: 'audit.log' is no absolute path"),
    "path-upwards": ({"log_path": "/srv/../etc/a/a.log"}, "apiserver_audit_log_path: "),
    "path-with-two-slashes": ({"policy_path": "//etc/policy.yaml"}, "apiserver_audit_policy_path: "),
    "directory": ({"log_path": "/srv/audit/"}, "apiserver_audit_log_path: "),
    "root": ({"log_path": "/"}, "apiserver_audit_log_path: "),
    "no-path": ({"log_path": None}, "apiserver_audit_log_path: None is no absolute path"),
    "in-the-root": ({"log_path": "/audit.log"}, "for example /audit"),
    "in-a-shared-directory": ({"log_path": "/var/log/audit.log"}, "for example /var/log/audit"),
    "in-the-manifest-directory": ({"policy_path": "/etc/kubernetes/manifests/p.yaml"}, "holds other things too"),
    "in-a-top-directory": ({"log_path": "/opt/audit.log"}, "apiserver_audit_log_path: /opt holds other things too"),
    "in-the-pods-logs": ({"log_path": "/var/log/pods/audit.log"}, "holds other things too"),
    "colon-in-path": ({"log_path": "/srv/a:b/a.log"}, "without '..' and ':'"),
    "control-character-in-path": ({"log_path": "/srv/a\x1b/a.log"}, "printable"),
    "expansion-in-path": ({"log_path": "/srv/a/$(B).log"}, "without '$('"),
    "log-beside-the-policy": ({"log_path": "/etc/kubernetes/audit/audit.log"}, "give the log a directory of its own"),
    "negative-number": ({"log_max_age": -1}, "apiserver_audit_log_max_age: -1 is no whole number"),
    "truth-value-for-a-number": ({"log_max_size": True}, "apiserver_audit_log_max_size: True is no whole number"),
    "fraction": ({"log_max_backup": 1.5}, "apiserver_audit_log_max_backup: 1.5 is no whole number"),
    "other-digits": ({"log_max_age": "\u0663"}, "is no whole number"),
    "nothing-for-a-number": ({"log_max_age": None}, "is no whole number"),
    "flags-as-a-list": ({"extra_flags": ["audit-log-mode=batch"]}, "apiserver_audit_extra_flags: write a mapping"),
    "flag-of-another-kind": ({"extra_flags": {"anonymous-auth": False}}, "'anonymous-auth' is not about auditing"),
    "flag-with-dashes": ({"extra_flags": {"--audit-log-mode": "batch"}}, "is not about auditing"),
    "flag-name-is-a-number": ({"extra_flags": {1: "batch"}}, "1 is not about auditing"),
    "unknown-flag": ({"extra_flags": {"audit-log-shape": "x"}}, "no Kubernetes that kaudit was tested with has a flag"),
    "misspelt-flag": (
        {"extra_flags": {"audit-log-max-age": 3}},
        "audit-log-maxage is set with apiserver_audit_log_max",
    ),
    "webhook-flag": ({"extra_flags": {"audit-webhook-mode": "batch"}}, "set apiserver_audit_webhook_mode"),
    "deprecated-flag": (
        {"extra_flags": {"audit-webhook-batch-initial-backoff": "1s"}},
        "set apiserver_audit_webhook_initial_backoff",
    ),
    "typed-flag": ({"extra_flags": {"audit-log-mode": "batch"}}, "set apiserver_audit_log_mode"),
    "unknown-mode": ({"log_mode": "sometimes"}, "apiserver_audit_log_mode: 'sometimes' is none of batch, blocking, b"),
    "old-version": ({"log_version": "audit.k8s.io/v1beta1"}, "apiserver_audit_log_version: 'audit.k8s.io/v1beta1' is"),
    "legacy-lines": ({"log_format": "legacy"}, "apiserver_audit_log_format: legacy lines hold too little"),
    "unknown-format": ({"log_format": "yaml"}, "apiserver_audit_log_format: 'yaml' is none of json"),
    "no-truth": ({"log_compress": "perhaps"}, "apiserver_audit_log_compress: 'perhaps' is neither true nor false"),
    "batch-flag-without-batches": ({"log_batch_max_size": 5}, "does nothing unless apiserver_audit_log_mode is batch"),
    "wait-without-batches": (
        {"log_mode": "blocking", "log_batch_max_wait": "1s"},
        "apiserver_audit_log_batch_max_wait: does nothing",
    ),
    "batch-of-none": ({**BATCH, "log_batch_max_size": 0}, "apiserver_audit_log_batch_max_size: 0 is no whole number f"),
    "buffer-of-none": ({**BATCH, "log_batch_buffer_size": 0}, "batch_buffer_size: 0 is no whole number from 1"),
    "batch-over-buffer": (
        {**BATCH, "log_batch_max_size": 20, "log_batch_buffer_size": 10},
        "a batch of 20 events never fits into a buffer of 10",
    ),
    "batch-over-the-servers-buffer": ({**BATCH, "log_batch_max_size": 10_001}, "never fits into a buffer of 10000"),
    "no-duration": ({**BATCH, "log_batch_max_wait": "30"}, "batch_max_wait: '30' is no duration; write one like 500ms"),
    "long-wait": ({**BATCH, "log_batch_max_wait": "1m"}, "batch_max_wait: an event would wait 1m for others"),
    "throttle-without-limits": ({**BATCH, "log_batch_throttle_enable": True}, "batch_throttle_qps: throttling is enab"),
    "limits-without-throttle": (
        {**BATCH, "log_batch_throttle_qps": 5},
        "does nothing unless apiserver_audit_log_batch",
    ),
    "no-rate": ({**BATCH, "log_batch_throttle_qps": "many"}, "'many' is no number of batches a second above 0"),
    "rate-of-none": ({**BATCH, "log_batch_throttle_qps": 0}, "0 is no number of batches a second above 0"),
    "sizes-without-truncation": (
        {"log_truncate_max_event_size": 5},
        "does nothing unless apiserver_audit_log_truncate",
    ),
    "event-over-batch": (
        {"log_truncate_enabled": True, "log_truncate_max_event_size": 20_000_000},
        "events of 20000000 bytes never fit into batches of 10485760",
    ),
    "batch-under-event": (
        {"log_truncate_enabled": True, "log_truncate_max_batch_size": 102_399},
        "events of 102400 bytes never fit into batches of 102399",
    ),
    "log-in-auditds-directory": ({"log_path": "/var/log/audit/kube/a.log"}, "/var/log/audit is auditd's, and SELinux"),
    "flag-with-a-variable": ({"extra_flags": {"audit-log-path": "/x"}}, "set apiserver_audit_log_path"),
    "policy-flag": ({"extra_flags": {"audit-policy-file": "/x"}}, "set audit_policy_path"),
    "flag-with-underscores": (
        {"extra_flags": {"audit-log_path": "/x"}, "allow_untested": True},
        "apiserver_audit_extra_flags: flag name",
    ),
    "flag-without-value": (
        {"extra_flags": {"audit-log-shape": None}, "allow_untested": True},
        "audit-log-shape needs a text",
    ),
    "flag-with-list": (
        {"extra_flags": {"audit-log-shape": ["batch"]}, "allow_untested": True},
        "audit-log-shape needs a text",
    ),
    "flag-with-expansion": (
        {"extra_flags": {"audit-log-shape": "$(X)"}, "allow_untested": True},
        "apiserver_audit_extra_flags: flag audit-log-s",
    ),
    "flag-with-line-break": ({"extra_flags": {"audit-log-shape": "a\nb"}, "allow_untested": True}, "must be printable"),
    "mounts-as-a-mapping": ({"extra_mounts": {"name": "x"}}, "apiserver_audit_extra_mounts: write a list"),
    "mount-as-text": ({"extra_mounts": ["/srv"]}, "a mount has name, host_path, container_path, type"),
    "mount-without-path": ({"extra_mounts": [{"name": "x"}]}, "a mount has name"),
    "mount-with-unknown-key": ({"extra_mounts": [{**HOOK, "path": "/x"}]}, "a mount has name"),
    "mount-with-a-number": ({"extra_mounts": [{**HOOK, "host_path": 5}]}, "a mount has name"),
    "mount-upwards": ({"extra_mounts": [{**HOOK, "host_path": "/srv/../etc"}]}, "a mount has name"),
    "mount-read-only-as-text": ({"extra_mounts": [{**HOOK, "read_only": "false"}]}, "'false', neither true nor false"),
    "mount-with-our-name": ({"extra_mounts": [{**HOOK, "name": "kaudit-log"}]}, "share a name or a container path"),
    "mount-with-our-path": (
        {"extra_mounts": [{**HOOK, "container_path": "/var/log/kubernetes/audit/"}]},
        "share a name or a container path",
    ),
}


@pytest.mark.parametrize(("changes", "message"), refused.values(), ids=refused)
def test_variable_is_refused(changes: dict[str, Any], message: str) -> None:
    """In one printable line that begins with the variable."""
    with pytest.raises(SettingsError) as caught:
        settings(**changes)

    assert message in str(caught.value)
    assert str(caught.value).startswith("apiserver_audit_")
    assert str(caught.value).isprintable()
