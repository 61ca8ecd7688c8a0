"""What the role gets of the webhook: parameters of the probe, a line without secrets, a Service's address."""

from __future__ import annotations

from typing import Any

import pytest

from kaudit_core.provisioning.refusal import SettingsError
from kaudit_core.provisioning.webhook_connection import found, wanted
from tests.provisioning.test_webhook import CLIENT, NOW, TYPED, config, receiver_tree

SERVICE = {"spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"], "ports": [{"port": 8443}]}}


def connection(answer: Any = None, **changes: Any) -> dict[str, Any]:
    """Of master m1."""
    return wanted({**TYPED, **changes}, {}, "m1", answer, NOW)


def service(**spec: Any) -> dict[str, Any]:
    """What Ansible's uri returns for a Service."""
    return {"status": 200, "json": {"spec": {**SERVICE["spec"], **spec}}}


def test_probe_has_what_the_server_has() -> None:
    made = connection(address=["192.0.2.10"])

    assert {
        "host": "receiver.example",
        "port": 8443,
        "path": "/reportAuditEvent",
        "tls": True,
        "addresses": ["192.0.2.10"],
        "ca": TYPED["ca"],
        "certificate": CLIENT.certificate,
        "key": CLIENT.key,
        "token": "",
        "server_name": "",
        "insecure": False,
        "counted_as": ["m1"],
    } == made["probe"]


def test_what_is_shown_has_no_secrets() -> None:
    made = connection(address=["192.0.2.10", "::1"])
    with_token = connection(client_certificate="", client_key="", token="s3cret")

    assert "https://receiver.example:8443/reportAuditEvent at 192.0.2.10, ::1, as m1" == made["shown"]
    assert "https://receiver.example:8443/reportAuditEvent, with a token" == with_token["shown"]
    public = {name: value for name, value in made.items() if name not in ("kubeconfig", "probe")}
    assert CLIENT.key.splitlines()[1] not in repr(public)


def test_every_source_gives_the_same_kind() -> None:
    typed, own = connection(), wanted({"kubeconfig": config()}, {}, "m1", None, NOW)
    receivers = wanted({"receiver_directory": "d"}, receiver_tree(r1="192.0.2.1"), "m1", None, NOW)

    assert typed.keys() == own.keys() == receivers.keys()
    assert typed["probe"] == own["probe"]
    assert ["192.0.2.1"] == receivers["addresses"]
    assert 3 == len({each["sha256"] for each in (typed, own, receivers)})


def test_what_lies_on_a_master_can_be_probed() -> None:
    made = connection(address="192.0.2.10")

    assert made["probe"] == found(made["kubeconfig"], "/etc/x", {"192.0.2.10": ["receiver.example"]})["probe"]


def test_addresses_of_a_service_are_pinned() -> None:
    """Both of a dual-stack one; an older API server tells only one."""
    assert ["10.96.0.7", "fd00::7"] == connection(service(), service="kaudit/receiver")["addresses"]
    assert ["10.96.0.7"] == connection(service(clusterIPs=None), service="kaudit/receiver")["addresses"]


refused: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no-namespace": ({"service": "receiver"}, service(), "service: 'receiver' is no namespace and name"),
    "too-many-names": ({"service": "a/b/c"}, service(), "service: 'a/b/c' is no namespace and name"),
    "not-there": (
        {"service": "a/b"},
        {"status": 404},
        "service: a/b can't be read from the API server (there is none)",
    ),
    "no-answer": ({"service": "a/b"}, {"status": -1, "msg": "refused"}, "can't be read from the API server (refused)"),
    "not-asked": ({"service": "a/b"}, None, "service: a/b can't be read"),
    "headless": ({"service": "a/b"}, service(clusterIPs=["None"], clusterIP="None"), "a/b has no clusterIP (headless)"),
    "external": (
        {"service": "a/b"},
        service(clusterIPs=None, clusterIP=None, type="ExternalName"),
        "a/b has no clusterIP (ExternalName)",
    ),
    "another-port": ({"service": "a/b"}, service(ports=[{"port": 443}]), "a/b has no port 8443 (it has 443)"),
    "address-in-the-url": (
        {"service": "a/b", "url": "https://192.0.2.1:8443"},
        service(),
        "the receiver's address is set too",
    ),
    "unknown-dns-policy": ({"dns_policy": "None"}, None, "dns_policy: 'None' is no policy for a static pod"),
    "dns-policy-and-address": (
        {"dns_policy": "ClusterFirstWithHostNet", "address": "192.0.2.1"},
        None,
        "dns_policy: the receiver's name is pinned to an address too",
    ),
}


@pytest.mark.parametrize(("changes", "answer", "message"), refused.values(), ids=refused)
def test_refused(changes: dict[str, Any], answer: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connection(answer, **changes)

    assert message in str(caught.value)
    assert str(caught.value).startswith("apiserver_audit_webhook_") and "; " in str(caught.value)


def test_a_dns_policy_comes_with_its_history() -> None:
    made = connection(dns_policy="ClusterFirstWithHostNet")

    assert "ClusterFirstWithHostNet" == made["dns_policy"]
    assert "took that back twice" in made["notes"][0]
