"""After enabling, what kubeadm itself writes from its stored configuration audits the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.lab.deploying import SECRETS_ONLY, Run, ask, audit_flags, enable, events_about, mounted, server, succeed
from tests.lab.lab import MANIFEST, Lab
from tests.lab.masters import CONFIGURATION

pytestmark = pytest.mark.lab
OURS = "kaudit.k8s/"


@dataclass(frozen=True)
class Regenerated:
    """m2 before and after kubeadm wrote its manifest again, and what enabling did then."""

    lab: Lab
    enabled: str
    written: str
    flags: list[str]
    about: list[str]
    again: Run


def stored_configuration(lab: Lab, host: str) -> str:
    """What a kubeadm upgrade uses: the cluster's configuration as stored, with the host's own."""
    own = next(
        each for each in yaml.safe_load_all(lab.read(host, f"/{CONFIGURATION}")) if each["kind"] == "InitConfiguration"
    )
    query = ["get", "configmap", "-n", "kube-system", "kubeadm-config", "-o", "jsonpath={.data.ClusterConfiguration}"]
    return yaml.safe_dump(own) + "---\n" + lab.kubectl(host, query).stdout


# Flags of every type go through kubeadm's configuration.
MORE: dict[str, Any] = {
    "apiserver_audit_log_mode": "blocking-strict",
    "apiserver_audit_log_truncate_enabled": True,
    "apiserver_audit_log_truncate_max_event_size": 50_000,
}


@pytest.fixture(scope="module")
def regenerated(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Regenerated]:
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    with Lab(hosts=2) as lab:
        succeed(enable(lab, policy, **MORE))
        enabled, before = lab.read("m2", MANIFEST), server(lab, "m2")
        lab.ssh("m2", ["sh", "-c", "cat >/etc/stored.yaml"], input=stored_configuration(lab, "m2"))
        with lab.poller() as poller:
            poller.wait_for(set(lab.hosts))
            lab.ssh("m2", ["kubeadm", "init", "phase", "control-plane", "apiserver", "--config", "/etc/stored.yaml"])
            poller.wait_for({"m1"})
            poller.wait_for(set(lab.hosts))
        assert before != server(lab, "m2")
        written, flags = lab.read("m2", MANIFEST), audit_flags(lab, "m2")
        about = events_about(lab, "m2", ask(lab, "m2", "secret"))
        yield Regenerated(lab, enabled, written, flags, about, succeed(enable(lab, policy, **MORE)))


def audit_flags_in(manifest: str) -> list[str]:
    """The audit flags of a manifest."""
    command: list[str] = yaml.safe_load(manifest)["spec"]["containers"][0]["command"]
    return [word for word in command if word.startswith("--audit-")]


def test_kubeadm_knows_no_annotations_of_ours(regenerated: Regenerated) -> None:
    assert OURS in regenerated.enabled
    assert OURS not in regenerated.written


def test_the_server_has_the_same_audit_flags(regenerated: Regenerated) -> None:
    assert sorted(audit_flags_in(regenerated.enabled)) == sorted(regenerated.flags)


def test_the_server_has_the_flags_of_all_variables(regenerated: Regenerated) -> None:
    wanted = {"--audit-log-mode=blocking-strict", "--audit-log-truncate-enabled=true"}

    assert {*wanted, "--audit-log-truncate-max-event-size=50000"} <= set(regenerated.flags)


def test_the_server_has_the_same_mounts(regenerated: Regenerated) -> None:
    assert mounted(regenerated.enabled) == mounted(regenerated.written)


def test_the_log_goes_on(regenerated: Regenerated) -> None:
    assert ["Metadata"] == regenerated.about


def test_enabling_again_brings_the_annotations_back_and_nothing_else(regenerated: Regenerated) -> None:
    now = regenerated.lab.read("m2", MANIFEST)
    annotations = [line for line in now.splitlines() if OURS in line]

    assert 2 == len(annotations)
    assert regenerated.written.splitlines() == [line for line in now.splitlines() if line not in annotations]


def test_enabling_again_changes_only_that_master(regenerated: Regenerated) -> None:
    assert ["m2"] == regenerated.again.restarts
    assert 0 == regenerated.again.recap["m1"]["changed"], regenerated.again.text
