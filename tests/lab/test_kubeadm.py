"""After enabling, what kubeadm itself writes from its stored configuration audits the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.kubeadm_patch import PATCH_NAME, kubeadm_patch
from tests.lab.deploying import (
    SECRETS_ONLY,
    Run,
    ask,
    audit_flags,
    enable,
    events_about,
    mounted,
    records,
    server,
    succeed,
)
from tests.lab.lab import MANIFEST, Lab
from tests.lab.masters import CONFIGURATION
from tests.provisioning.manifests import NAMED

pytestmark = pytest.mark.lab
OURS = "kaudit.k8s/"
PATCHES = "/etc/kubernetes/patches"


@dataclass(frozen=True)
class Regenerated:
    """m2 before and after kubeadm wrote its manifest again, and what enabling did then."""

    lab: Lab
    enabled: str
    written: str
    flags: list[str]
    about: list[str]
    again: Run
    policy: Path


def intent_on(lab: Lab, host: str, **changes: Any) -> AuditIntent:
    """What the last deployment of a host wanted."""
    return dataclasses.replace(AuditIntent.from_json(records(lab, host)[-1]["intent"]), **changes)


def regenerate(lab: Lab, patches: str = "") -> None:
    """Let kubeadm write m2's manifest anew, as an upgrade does."""
    lab.ssh("m2", ["sh", "-c", "cat >/etc/stored.yaml"], input=stored_configuration(lab, "m2", patches))
    lab.ssh("m2", ["kubeadm", "init", "phase", "control-plane", "apiserver", "--config", "/etc/stored.yaml"])


def stored_configuration(lab: Lab, host: str, patches: str) -> str:
    """What a kubeadm upgrade uses: the cluster's configuration as stored, with the host's own."""
    own = next(
        each for each in yaml.safe_load_all(lab.read(host, f"/{CONFIGURATION}")) if each["kind"] == "InitConfiguration"
    )
    own |= {"patches": {"directory": patches}} if patches else {}
    query = ["get", "configmap", "-n", "kube-system", "kubeadm-config", "-o", "jsonpath={.data.ClusterConfiguration}"]
    return yaml.safe_dump(own) + "---\n" + lab.kubectl(host, query).stdout


# Flags of every type go through kubeadm's configuration.
MORE: dict[str, Any] = {
    "apiserver_audit_log_mode": "blocking-strict",
    "apiserver_audit_log_truncate_enabled": True,
    "apiserver_audit_log_truncate_max_event_size": 50_000,
    "apiserver_audit_aliyun_logs": "c1",
}


@pytest.fixture(scope="module")
def regenerated(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Regenerated]:
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    with Lab(hosts=2) as lab:
        succeed(enable(lab, policy, **MORE))
        enabled, before = lab.read("m2", MANIFEST), server(lab, "m2")
        with lab.poller() as poller:
            poller.wait_for(set(lab.hosts))
            regenerate(lab)
            poller.wait_for({"m1"})
            poller.wait_for(set(lab.hosts))
        assert before != server(lab, "m2")
        written, flags = lab.read("m2", MANIFEST), audit_flags(lab, "m2")
        about = events_about(lab, "m2", ask(lab, "m2", "secret"))
        yield Regenerated(lab, enabled, written, flags, about, succeed(enable(lab, policy, **MORE)), policy)


def audit_flags_in(text: str) -> list[str]:
    """The audit flags of a manifest."""
    command: list[str] = yaml.safe_load(text)["spec"]["containers"][0]["command"]
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


def test_enabling_again_brings_the_rest_back_and_nothing_else(regenerated: Regenerated) -> None:
    now = regenerated.lab.read("m2", MANIFEST)

    assert 2 == len([line for line in now.splitlines() if OURS in line])
    assert 4 == len([line for line in now.splitlines() if "aliyun_logs_audit-c1" in line])
    assert regenerated.written == manifest.remove(now, intent_on(regenerated.lab, "m2", flags={}, mounts=()))


def test_enabling_again_changes_only_that_master(regenerated: Regenerated) -> None:
    assert ["m2"] == regenerated.again.restarts
    assert 0 == regenerated.again.recap["m1"]["changed"], regenerated.again.text


def test_the_operator_is_told_of_the_patches(regenerated: Regenerated) -> None:
    assert f"keeps all of auditing with --patches {PATCHES} (or" in regenerated.again.said


@pytest.fixture(scope="module")
def patched(regenerated: Regenerated) -> tuple[str, str, Run]:
    """m2's manifest before and after kubeadm wrote it with the patches, and what enabling did then."""
    lab = regenerated.lab
    before = lab.read("m2", MANIFEST)
    with lab.poller() as poller:
        poller.wait_for(set(lab.hosts))
        regenerate(lab, patches=PATCHES)
        poller.wait_for(set(lab.hosts))
    after = lab.read("m2", MANIFEST)
    return before, after, succeed(enable(lab, regenerated.policy, **MORE))


def test_with_the_patches_the_pod_is_the_same(patched: tuple[str, str, Run]) -> None:
    before, after, _ = patched

    assert yaml.safe_load(before) == yaml.safe_load(after)


def test_with_the_patches_nothing_is_left_to_enable(patched: tuple[str, str, Run]) -> None:
    _, _, run = patched

    assert ([], 0) == (run.restarts, run.recap["m2"]["changed"]), run.text


def test_kubeadm_takes_every_part_of_a_patch(patched: tuple[str, str, Run], regenerated: Regenerated) -> None:
    """Aliases and DNS policy too: kubeadm itself merges them."""
    lab = regenerated.lab
    lab.ssh("m2", ["mkdir", "/etc/more"])
    lab.ssh("m2", ["sh", "-c", f"cat >/etc/more/{PATCH_NAME}"], input=kubeadm_patch(NAMED))
    regenerate(lab, patches="/etc/more")
    view = manifest.inspect(lab.read("m2", MANIFEST))

    assert (NAMED.env, NAMED.host_aliases, NAMED.dns_policy) == (view.env, view.host_aliases, view.dns_policy)
