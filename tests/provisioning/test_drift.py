"""What a master's status says: the state, and every difference by name."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict, replace
from typing import Any

import pytest

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.differing import differing
from kaudit_core.provisioning.drift import Look, Status, status_of
from kaudit_core.provisioning.host import Host
from kaudit_core.provisioning.observed import HostFile, HostFiles
from kaudit_core.provisioning.settings import Settings
from kaudit_core.provisioning.starting import StaticPod
from kaudit_core.report.status_text import status_text
from tests.provisioning.manifests import kubeadm

KUBEADM = kubeadm(35)
SETTINGS = Settings("/etc/kubernetes/audit/policy.yaml", "/var/log/kubernetes/audit/audit.log", 30, 10, 100)
POLICY = HostFile(SETTINGS.policy_path, b"policy")
INTENT = SETTINGS.intent(POLICY.sha256, "20261121T043000Z")
MANIFEST = HostFile("/etc/kubernetes/manifests/kube-apiserver.yaml", manifest.apply(KUBEADM, INTENT).encode())
FLAGS = {name: value for name, value in INTENT.flags.items() if value is not None}
ENTRY = {
    "id": "20261121T043000Z",
    "outcome": "deployed",
    "policy_sha256": POLICY.sha256,
    "manifest_sha256": MANIFEST.sha256,
    "intent": INTENT.as_json(),
    "since": "2026-11-21T04:30:10Z",
}
WELL = Look(ready=True, log_bytes=5, event="came", room="1100000000 53433600 /var/log", kubeadm_changed=False)
WANTED = (SETTINGS, POLICY.sha256)


def policy_of(text: str | None) -> HostFiles:
    """A host's files with this policy."""
    content = {} if text is None else {"content": b64encode(text.encode()).decode()}
    return HostFiles([{"item": POLICY.path, **content}])


DEPLOYED = Host(StaticPod(MANIFEST), policy_of("policy"), [ENTRY], None, False)


def edited(old: str, new: str) -> Host:
    """The deployed host with a change in its manifest."""
    text = MANIFEST.text.replace(old, new)
    assert text != MANIFEST.text
    return replace(DEPLOYED, start=StaticPod(HostFile(MANIFEST.path, text.encode())))


def drift(
    host: Host, flags: dict[str, str] | None = None, wanted: tuple[Settings, str] | None = None, **look: Any
) -> list[str]:
    """The differences found on a host that runs one server with these flags."""
    servers = [{"audit_flags": FLAGS if flags is None else flags}]
    return status_of("m1", host, servers, replace(WELL, **look), wanted).drift


def test_a_master_as_deployed_has_no_drift() -> None:
    found = status_of("m1", DEPLOYED, [{"audit_flags": FLAGS}], WELL, WANTED)

    assert ("on", POLICY.sha256, "2026-11-21T04:30:10Z", []) == (found.auditing, found.policy, found.since, found.drift)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        pytest.param(
            Host(StaticPod(HostFile("x", KUBEADM.encode())), policy_of(None), [], None, False),
            "off",
            id="no-record-no-flags",
        ),
        pytest.param(replace(DEPLOYED, entries=[]), "not by kaudit", id="flags-without-a-record"),
        pytest.param(replace(DEPLOYED, pending={"id": "x", "files": []}), "unfinished", id="pending"),
        pytest.param(replace(DEPLOYED, entries=[ENTRY, {**ENTRY, "outcome": "rolled-back"}]), "on", id="rolled-back"),
    ],
)
def test_the_state_is_named(host: Host, wanted: str) -> None:
    assert wanted == status_of("m1", host, [], WELL, None).auditing


@pytest.mark.parametrize(
    ("host", "found"),
    [
        pytest.param(replace(DEPLOYED, files=policy_of(None)), "the policy is gone", id="policy-removed"),
        pytest.param(
            replace(DEPLOYED, files=policy_of("other")),
            "/etc/kubernetes/audit/policy.yaml was changed since it was deployed",
            id="policy-edited",
        ),
        pytest.param(
            replace(DEPLOYED, pending={"id": "20261121T050000Z", "files": []}, restored=True),
            "deployment 20261121T050000Z was never finished (the timer has restored what was before);"
            " run enable.yml again",
            id="restored-by-timer",
        ),
    ],
)
def test_a_difference_on_the_host_is_named(host: Host, found: str) -> None:
    assert [found] == drift(host)


def test_a_manifest_with_another_flag_is_named_and_so_is_its_server() -> None:
    assert [
        "the manifest has --audit-log-maxage 7, deployed was 30",
        "the running API server has --audit-log-maxage 30, its manifest 7",
    ] == drift(edited("maxage=30", "maxage=7"))


def test_a_manifest_written_anew_by_kubeadm_is_named() -> None:
    host = edited('    kaudit.k8s/deployment: "20261121T043000Z"\n', "")

    assert ["the manifest's annotation kaudit.k8s/deployment is gone: it was written anew"] == drift(host)


def test_a_change_that_is_not_about_auditing_is_no_drift() -> None:
    assert [] == drift(edited("cpu: 250m", "cpu: 500m"))


def test_a_server_without_the_flags_of_its_manifest_is_named() -> None:
    found = drift(DEPLOYED, flags={})

    assert len(FLAGS) == len(found)
    assert "the running API server has --audit-log-maxage not at all, its manifest 30" in found


def test_a_server_that_is_not_ready_is_named() -> None:
    assert ["the API server is not ready"] == drift(DEPLOYED, ready=False)


@pytest.mark.parametrize(
    ("look", "found"),
    [
        ({"log_bytes": -1, "event": ""}, "/var/log/kubernetes/audit/audit.log is missing"),
        (
            {"event": "missing"},
            "/var/log/kubernetes/audit/audit.log does not grow: it has no event of a request that was just made",
        ),
        (
            {"room": "1000000000 0 /var/log"},
            "the log may take 1,153 MB (max_size x (max_backup + 1)), and /var/log has 1,000 MB for it",
        ),
        (
            {"kubeadm_changed": True},
            "ConfigMap kubeadm-config differs: kubeadm upgrade would undo auditing; run enable.yml",
        ),
    ],
)
def test_what_is_seen_beside_the_files_is_named(look: dict[str, Any], found: str) -> None:
    assert [found] == drift(DEPLOYED, **look)


@pytest.mark.parametrize("look", [{"event": ""}, {"room": ""}, {"room": "1153433600 0 /"}])
def test_what_was_not_looked_at_or_is_enough_is_no_drift(look: dict[str, Any]) -> None:
    assert [] == drift(DEPLOYED, **look)


def one(name: str, auditing: str = "on", policy: str = "aa", **flags: str) -> dict[str, Any]:
    """A master's status, as far as it is compared with others."""
    return {"master": name, "auditing": auditing, "policy": policy, "flags": {"audit-log-maxage": "30", **flags}}


@pytest.mark.parametrize(
    ("masters", "clusters", "found"),
    [
        ([one("m1"), one("m2")], "aa", []),
        ([one("m1"), one("m2", policy="bb")], "aa", ["cluster a: policy: aa (m1), bb (m2)"]),
        ([one("m1"), one("m2", policy="bb")], "ab", []),
        ([one("m1"), one("m2", "off", ""), one("m3")], "aaa", ["cluster a: auditing: on (m1, m3), off (m2)"]),
        ([one("m1"), one("m2", "unknown", "")], "aa", []),
        (
            [one("m1"), one("m2"), one("m3", **{"audit-log-compress": "true"})],
            "aaa",
            ["cluster a: --audit-log-compress: absent (m1, m2), true (m3)"],
        ),
    ],
)
def test_masters_of_a_cluster_that_differ_are_named(
    masters: list[dict[str, Any]], clusters: str, found: list[str]
) -> None:
    assert found == differing(masters, list(clusters))


def test_an_inventory_that_wants_more_is_named() -> None:
    wanted = (replace(SETTINGS, log_max_age=7), "f" * 64)

    assert [
        "the policy in force is not the inventory's (ffffffffffff); run enable.yml",
        "deployed --audit-log-maxage is 30, the inventory wants 7",
    ] == drift(DEPLOYED, wanted=wanted)


def test_hostile_text_is_escaped_in_the_table() -> None:
    row = asdict(Status("m1", "on", drift=["--audit-log-path is \x1b[2J"]))

    assert "\x1b" not in status_text([row], ["policy: \x1b[2J (m1)"])
