"""The role's variables: what can't be used is refused by name before any host is touched."""

from __future__ import annotations

from typing import Any

import pytest

from kaudit_core.provisioning.intent import Mount
from kaudit_core.provisioning.settings import DEPLOYMENT_ANNOTATION, POLICY_ANNOTATION, Settings, SettingsError

VARIABLES: dict[str, Any] = {
    "policy_path": "/etc/kubernetes/audit/policy.yaml",
    "log_path": "/var/log/kubernetes/audit/audit.log",
    "log_max_age": 30,
    "log_max_backup": "10",
    "log_max_size": 100,
    "extra_flags": {},
    "extra_mounts": [],
}
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
    flags = settings(extra_flags={"audit-log-compress": True, "audit-log-batch-buffer-size": 5, "audit-log-mode": "x"})

    assert {"audit-log-compress": "true", "audit-log-batch-buffer-size": "5", "audit-log-mode": "x"} == flags.flags


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
    "flag-with-a-variable": ({"extra_flags": {"audit-log-path": "/x"}}, "set apiserver_audit_log_path"),
    "policy-flag": ({"extra_flags": {"audit-policy-file": "/x"}}, "set audit_policy_path"),
    "flag-with-underscores": ({"extra_flags": {"audit-log_path": "/x"}}, "apiserver_audit_extra_flags: flag name"),
    "flag-without-value": ({"extra_flags": {"audit-log-mode": None}}, "audit-log-mode needs a text"),
    "flag-with-list": ({"extra_flags": {"audit-log-mode": ["batch"]}}, "audit-log-mode needs a text"),
    "flag-with-expansion": (
        {"extra_flags": {"audit-log-mode": "$(X)"}},
        "apiserver_audit_extra_flags: flag audit-log-m",
    ),
    "flag-with-line-break": ({"extra_flags": {"audit-log-mode": "a\nb"}}, "must be printable"),
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
