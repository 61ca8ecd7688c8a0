"""What a master's status says of the receiver: whether it answers, and whether what is deployed is what is wanted."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.drift import Look, Status, receiver_drift, status_of
from kaudit_core.provisioning.host import Host
from kaudit_core.provisioning.observed import HostFile
from kaudit_core.provisioning.settings import Settings
from kaudit_core.provisioning.starting import StaticPod
from kaudit_core.report.status_text import status_text
from tests.provisioning.a_master import Master
from tests.provisioning.test_drift import ENTRY, KUBEADM, MANIFEST, POLICY, SETTINGS, policy_of

SENDING = replace(
    SETTINGS,
    backends=("log", "webhook"),
    webhook_path="/etc/kubernetes/audit/webhook.yaml",
    webhook_sha256="0123",
    webhook_name="receiver",
    webhook_addresses=("10.96.0.7",),
)


def deployed(settings: Settings, **changes: Any) -> Host:
    """A host on which these were deployed."""
    intent = settings.intent(POLICY.sha256, "20261121T043000Z")
    file = HostFile(MANIFEST.path, manifest.apply(KUBEADM, intent).encode())
    entry = {**ENTRY, "intent": intent.as_json(), "manifest_sha256": file.sha256, **changes}
    return Host(StaticPod(file), policy_of("policy"), [entry], None, False)


def drift(host: Host, wanted: Settings, log_bytes: int = 5) -> list[str]:
    """Against the inventory's settings, with the server that the manifest asks for."""
    servers = [{"audit_flags": dict(host.start.view().audit_flags)}]
    return status_of("m1", host, servers, Look(True, log_bytes), (wanted, POLICY.sha256)).drift


def test_a_receiver_as_deployed_is_no_drift() -> None:
    assert [] == drift(deployed(SENDING), SENDING)


def test_a_service_with_another_address_is_drift() -> None:
    """Its clusterIP is read again at each run."""
    found = drift(deployed(SENDING), replace(SENDING, webhook_addresses=("10.96.0.9",)))

    assert ["the receiver receiver is pinned to 10.96.0.7, and its address is 10.96.0.9; run enable.yml"] == found


def test_another_kubeconfig_is_drift() -> None:
    found = drift(deployed(SENDING), replace(SENDING, webhook_sha256="4567"))

    assert ["the webhook's kubeconfig is not the inventory's; run enable.yml"] == found


def test_what_could_not_be_put_together_is_not_compared() -> None:
    """A variable that can't be used is told by itself."""
    assert [] == drift(deployed(SENDING), replace(SENDING, webhook_sha256="", webhook_addresses=()))


def test_without_a_log_none_is_missed() -> None:
    alone = replace(SENDING, backends=("webhook",))

    assert [] == drift(deployed(alone), alone, log_bytes=-1)
    assert ["/var/log/kubernetes/audit/audit.log is missing"] == drift(deployed(SENDING), SENDING, log_bytes=-1)


@pytest.mark.parametrize(
    ("look", "found"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"addresses": [{"address": "a", "problem": ""}], "msg": ""}, [], id="answers"),
        pytest.param({"problem": "x: y; z"}, ["x: y; z"], id="variable"),
        pytest.param({"msg": "step TCP: x"}, ["the receiver does not take events: step TCP: x"], id="down"),
        pytest.param(
            {"msg": "", "addresses": [{"problem": ""}, {"problem": "a port 1 can't be connected to (x)"}]},
            ["the receiver does not answer at every address: a port 1 can't be connected to (x)"],
            id="one-of-two-down",
        ),
    ],
)
def test_whether_it_answers(look: dict[str, Any], found: list[str]) -> None:
    assert found == list(receiver_drift(look))


def test_the_table_shows_where_events_go() -> None:
    statuses = [Status("m1", "on", receiver="https://r:1/x at 10.96.0.7"), Status("m2", "on")]
    text = status_text([asdict(each) for each in statuses])

    assert "RECEIVER" in text and "https://r:1/x at 10.96.0.7" in text


def test_a_moved_receiver_is_a_reason_to_deploy() -> None:
    """With both addresses; a run that finds the same one has none."""
    master = Master()
    master.deploy(settings=SENDING)
    moved = master.plan(settings=replace(SENDING, webhook_addresses=("10.96.0.9",)))

    assert [] == master.plan(settings=SENDING).reasons
    assert "the receiver's pinned address is 10.96.0.7, and is to be 10.96.0.9" == moved.reasons[-1]
    assert moved.changed and not moved.resume
