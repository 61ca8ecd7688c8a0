"""Log, webhook or both: which flags, mounts and annotations come of it, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from kaudit_core.policy.versions import KubernetesVersion
from kaudit_core.provisioning.backend_flags import WEBHOOK, seconds_of
from kaudit_core.provisioning.flags import BOOLEAN, VALUED
from kaudit_core.provisioning.refusal import SettingsError
from kaudit_core.provisioning.settings import WEBHOOK_ANNOTATION, Settings
from tests.provisioning.test_settings import VARIABLES

KUBECONFIG = "/etc/kubernetes/audit/webhook.yaml"
SENDING = {**VARIABLES, "backends": ["log", "webhook"], "webhook_config_file": KUBECONFIG}


def settings(**changes: Any) -> Settings:
    """Both backends, unless changed."""
    return Settings.from_variables({**SENDING, **changes})


def test_the_log_alone_is_the_default() -> None:
    made = Settings.from_variables(VARIABLES)

    assert (("log",), True, False) == (made.backends, made.logs, made.sends)
    assert WEBHOOK_ANNOTATION not in made.intent("", "").annotations


def test_both_backends() -> None:
    """The kubeconfig's sum is on the pod, and its directory is the policy's, mounted once."""
    intent = settings(webhook={"sha256": "0123"}).intent("4567", "now")

    assert KUBECONFIG == intent.flags["audit-webhook-config-file"]
    assert "/var/log/kubernetes/audit/audit.log" == intent.flags["audit-log-path"]
    assert "0123" == intent.annotations[WEBHOOK_ANNOTATION]
    assert ["kaudit-policy", "kaudit-log"] == [mount.name for mount in intent.mounts]


def test_pinned_addresses_are_aliases_of_the_name() -> None:
    """And a DNS policy is the pod's."""
    pinned = {"sha256": "0", "name": "receiver", "addresses": ["192.0.2.2", "192.0.2.1"]}
    aliases = settings(webhook=pinned).intent("", "").host_aliases

    assert [("192.0.2.2", ("receiver",)), ("192.0.2.1", ("receiver",))] == list(aliases.items())
    assert (
        "ClusterFirstWithHostNet"
        == settings(webhook={"dns_policy": "ClusterFirstWithHostNet"}).intent("", "").dns_policy
    )


def test_webhook_alone() -> None:
    """Nothing of the log: no flag, no mount, no size to be asked for."""
    made = settings(backends=["webhook"], log_max_size=0)
    intent = made.intent("", "")
    made.check_version(KubernetesVersion(1, 30))

    assert {"audit-policy-file", "audit-webhook-config-file"} == intent.flags.keys()
    assert ["kaudit-policy"] == [mount.name for mount in intent.mounts]


def test_kubeconfig_in_a_directory_of_its_own() -> None:
    mount = settings(webhook_config_file="/srv/webhook/w.yaml").intent("", "").mounts[-1]

    assert ("kaudit-webhook", "/srv/webhook", True) == (mount.name, mount.host_path, mount.read_only)


def test_backends_are_in_one_order() -> None:
    assert settings(backends=["webhook", "log", "log"]).intent("", "") == settings().intent("", "")


def test_flags_of_the_webhook_come_from_their_variables() -> None:
    """As the server reads them; the server's own defaults count where nothing is given."""
    made = settings(
        webhook_initial_backoff="2s",
        webhook_batch_max_size=200,
        webhook_batch_max_wait="1s",
        webhook_batch_throttle_qps=50,
        webhook_truncate_enabled=True,
        webhook_truncate_max_batch_size="5242880",
        webhook_mode=None,
    )

    assert {
        "audit-webhook-initial-backoff": "2s",
        "audit-webhook-batch-max-size": "200",
        "audit-webhook-batch-max-wait": "1s",
        "audit-webhook-batch-throttle-qps": "50",
        "audit-webhook-truncate-enabled": "true",
        "audit-webhook-truncate-max-batch-size": "5242880",
    } == made.webhook_flags


def test_every_live_flag_of_the_webhook_has_a_variable() -> None:
    upstream = {name for name in VALUED | BOOLEAN if name.startswith("audit-webhook-")}
    deprecated = {"audit-webhook-batch-initial-backoff"}
    own = {f"audit-webhook-{name.replace('_', '-')}" for name in WEBHOOK.options}

    assert upstream - deprecated == own | {"audit-webhook-config-file"}


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1m0.5s", 60.5), (".5h", 1800), ("10ms5us", 0.010005)])
def test_durations(text: str, seconds: float) -> None:
    assert pytest.approx(seconds) == seconds_of(text)


refused: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"backends": []}, "apiserver_audit_backends: a policy without a backend logs nothing"),
    "unknown": ({"backends": ["log", "file"]}, "is no list of log and webhook"),
    "text": ({"backends": "log"}, "apiserver_audit_backends: 'log' is no list"),
    "null": ({"backends": None}, "apiserver_audit_backends: None is no list"),
    "webhook-flag-without-webhook": (
        {"backends": ["log"], "webhook_batch_max_size": 5},
        "apiserver_audit_webhook_batch_max_size: does nothing unless apiserver_audit_backends has webhook",
    ),
    "url-without-webhook": (
        {"backends": ["log"], "webhook_url": "https://x"},
        "apiserver_audit_webhook_url: does noth",
    ),
    "log-flag-without-log": (
        {"backends": ["webhook"], "log_mode": "batch"},
        "apiserver_audit_log_mode: does nothing unless apiserver_audit_backends has log",
    ),
    "kubeconfig-beside-the-log": (
        {"webhook_config_file": "/var/log/kubernetes/audit/w.yaml"},
        "apiserver_audit_log_path: /var/log/kubernetes/audit holds the webhook's kubeconfig too",
    ),
    "kubeconfig-in-a-shared-directory": (
        {"webhook_config_file": "/etc/w.yaml"},
        "webhook_config_file: /etc holds other",
    ),
    "backoff-of-none": ({"webhook_initial_backoff": "0s"}, "all five attempts follow each other at once"),
    "no-backoff": ({"webhook_initial_backoff": "soon"}, "apiserver_audit_webhook_initial_backoff: 'soon' is no durat"),
    "waits-for-nothing": ({"webhook_batch_max_wait": "0s"}, "batch_max_wait: the server would look for events without"),
    "waits-too-long": ({"webhook_batch_max_wait": "31s"}, "an event would wait 31s for others"),
    "batch-over-the-servers-buffer": ({"webhook_batch_max_size": 10_001}, "never fits into a buffer of 10000"),
    "buffer-under-the-servers-batch": ({"webhook_batch_buffer_size": 399}, "a batch of 400 events never fits"),
    "batch-flag-without-batches": (
        {"webhook_mode": "blocking", "webhook_batch_max_size": 5},
        "does nothing unless apiserver_audit_webhook_mode is batch",
    ),
    "limit-without-throttle": (
        {"webhook_batch_throttle_enable": False, "webhook_batch_throttle_qps": 5},
        "does nothing unless apiserver_audit_webhook_batch_throttle_enable is true",
    ),
    "sizes-without-truncation": (
        {"webhook_truncate_max_event_size": 5},
        "does nothing unless apiserver_audit_webhook_t",
    ),
    "event-over-batch": (
        {"webhook_truncate_enabled": True, "webhook_truncate_max_event_size": 20_000_000},
        "events of 20000000 bytes never fit",
    ),
    "option-of-the-log": ({"webhook_mode": "sometimes"}, "'sometimes' is none of batch, blocking, blocking-strict"),
    "old-version": ({"webhook_version": "audit.k8s.io/v1beta1"}, "apiserver_audit_webhook_version: 'audit.k8s.io/v1b"),
}


@pytest.mark.parametrize(("changes", "message"), refused.values(), ids=refused)
def test_combination_is_refused(changes: dict[str, Any], message: str) -> None:
    """In one printable line that begins with the variable."""
    with pytest.raises(SettingsError) as caught:
        settings(**changes)

    assert message in str(caught.value)
    assert str(caught.value).startswith("apiserver_audit_") and str(caught.value).isprintable()
