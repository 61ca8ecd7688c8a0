"""The variables by which Logtail finds the audit log, as the guide for clusters registered with ACK sets them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kaudit_core.provisioning.k3s import edit
from kaudit_core.provisioning.manifest import apply, remove
from kaudit_core.provisioning.refusal import EditRefused, SettingsError
from tests.provisioning.manifests import kubeadm
from tests.provisioning.test_settings import settings
from tests.provisioning.units import PLAIN, k3s

CLUSTER = "c12ba20aa0f1e4b8b9c5d3e2f1a0b9f0b"
GUIDE = f"""\
- name: aliyun_logs_audit-{CLUSTER}
  value: /var/log/kubernetes/kubernetes.audit
- name: aliyun_logs_audit-{CLUSTER}_tags
  value: audit=apiserver
- name: aliyun_logs_audit-{CLUSTER}_product
  value: k8s-audit
- name: aliyun_logs_audit-{CLUSTER}_jsonfile
  value: "true"
"""
PATHS = {"policy_path": "/etc/kubernetes/audit/policy.yaml", "log_path": "/var/log/kubernetes/kubernetes.audit"}


def test_manifest_has_the_variables_of_the_guide() -> None:
    """Name for name and value for value, in the guide's order and writing."""
    intent = settings(**PATHS, aliyun_logs=CLUSTER).intent("0", "1")
    text = apply(kubeadm(31), intent)

    assert "    env:\n" + "".join(f"    {line}\n" for line in GUIDE.splitlines()) in text
    assert yaml.safe_load(GUIDE) == yaml.safe_load(text)["spec"]["containers"][0]["env"]
    assert kubeadm(31) == remove(text, intent)


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_cluster_there_are_none(value: Any) -> None:
    """Nobody else gets variables."""
    assert {} == settings(aliyun_logs=value).intent("0", "1").env


def test_another_cluster_takes_the_variables_of_the_first_away() -> None:
    """The id was wrong and is mended: nothing of it stays."""
    first, second = (settings(aliyun_logs=each).intent("0", "1") for each in ("c1", "c2"))
    text = apply(apply(kubeadm(31), first), second, previous=first)

    assert "audit-c1" not in text
    assert 4 == text.count("aliyun_logs_audit-c2")


refused: dict[str, tuple[dict[str, Any], str]] = {
    "suffix": ({"aliyun_logs": "c1_tags"}, "'c1_tags' is no cluster id"),
    "truth-value": ({"aliyun_logs": True}, "True is no cluster id; write the one that the ACK console shows"),
    "no-log": (
        {"aliyun_logs": "c1", "backends": ["webhook"], "webhook_config_file": "/etc/kubernetes/audit/w.yaml"},
        "Logtail reads the log file, and there is none; add log to apiserver_audit_backends",
    ),
}


@pytest.mark.parametrize(("change", "message"), refused.values(), ids=refused)
def test_cluster_is_refused(change: dict[str, Any], message: str) -> None:
    """By the variable's name, before any host is touched."""
    with pytest.raises(SettingsError) as caught:
        settings(**change)

    assert str(caught.value).startswith("apiserver_audit_aliyun_logs: ")
    assert message in str(caught.value)


def test_k3s_has_no_place_for_them() -> None:
    """Silently left out, they would leave Logtail without a log."""
    intent = settings(aliyun_logs="c1").intent("0", "1")

    with pytest.raises(EditRefused, match=r"99-kaudit.yaml: k3s has no place for the variable aliyun_logs_audit-c1 of"):
        edit.apply(k3s(PLAIN), intent)
