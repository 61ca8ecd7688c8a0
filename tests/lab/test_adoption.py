"""A master on which somebody configured auditing by hand: refused, taken over on request, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.intent import AuditIntent, Mount
from tests.lab.deploying import (
    CONFIGMAPS_ONLY,
    SECRETS_ONLY,
    STATE,
    Run,
    arguments,
    ask,
    audit_flags,
    enable,
    events_about,
    play,
    server,
    succeed,
    touched_files,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
POLICY = "/etc/kubernetes/audit-policy.yaml"
BY_HAND_LOG = "/var/log/kubernetes/kubernetes.audit"
BY_HAND = AuditIntent(
    {
        "audit-policy-file": POLICY,
        "audit-log-path": BY_HAND_LOG,
        "audit-log-maxage": "7",
    },
    (
        Mount("k8s-audit", "/var/log/kubernetes", "/var/log/kubernetes", read_only=False),
        Mount("audit-policy", POLICY, POLICY, type="File"),
    ),
)


@dataclass
class Adopted:
    """A master through its life, run after run."""

    lab: Lab
    by_hand: str
    policies: list[Path]


@pytest.fixture(scope="module")
def master(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adopted]:
    directory = tmp_path_factory.mktemp("policies")
    policies = [directory / "secrets.yaml", directory / "configmaps.yaml"]
    for path, text in zip(policies, (SECRETS_ONLY, CONFIGMAPS_ONLY), strict=True):
        path.write_text(text)
    with Lab(hosts=1) as lab:
        by_hand = manifest.apply(lab.read("m1", MANIFEST), BY_HAND)
        before = server(lab, "m1")
        with lab.poller() as poller:
            poller.wait_for({"m1"})
            lab.write("m1", POLICY, CONFIGMAPS_ONLY)
            lab.write("m1", MANIFEST, by_hand)
            poller.wait_for(set())
            poller.wait_for({"m1"})
        assert before != server(lab, "m1")
        yield Adopted(lab, by_hand, policies)


@pytest.fixture(scope="module")
def refused(master: Adopted) -> Run:
    """Nobody has asked to take it over."""
    before = server(master.lab, "m1"), files_but_the_log(master.lab)
    run = enable(master.lab, master.policies[0])
    assert before == (server(master.lab, "m1"), files_but_the_log(master.lab))
    return run


def files_but_the_log(lab: Lab) -> list[str]:
    """What a deployment may touch; the log of before grows, and is not where ours would be."""
    return [line for line in touched_files(lab, "m1").splitlines() if BY_HAND_LOG not in line]


def test_it_is_refused_and_shown(refused: Run) -> None:
    assert 2 == refused.code, refused.text
    assert f"{MANIFEST}: audits already, and not by kaudit (--audit-policy-file={POLICY} " in refused.said
    assert "apiserver_audit_adopt: true" in refused.said
    assert "-    - --audit-log-maxage=7" in refused.text
    assert "+    - --audit-log-maxage=30" in refused.text


@pytest.fixture(scope="module")
def adopted(master: Adopted, refused: Run) -> list[Run]:
    """Taken over, and then deployed anew, which needs no word any more."""
    first = succeed(enable(master.lab, master.policies[0], apiserver_audit_adopt=True, apiserver_audit_keep_backups=1))
    return [first, succeed(enable(master.lab, master.policies[1], apiserver_audit_keep_backups=1))]


def test_it_audits_as_deployed(master: Adopted, adopted: list[Run]) -> None:
    assert {"--audit-log-maxage=30", "--audit-policy-file=/etc/kubernetes/audit/policy.yaml"} <= set(
        audit_flags(master.lab, "m1")
    )
    assert ["Metadata"] == events_about(master.lab, "m1", ask(master.lab, "m1", "configmap"))


def test_the_mount_that_was_there_is_used(master: Adopted, adopted: list[Run]) -> None:
    names = [mount.name for mount in manifest.inspect(master.lab.read("m1", MANIFEST)).mounts]

    assert "k8s-audit" in names
    assert "kaudit-log" not in names


def test_one_backup_is_kept(master: Adopted, adopted: list[Run]) -> None:
    listed = master.lab.ssh("m1", ["ls", f"{STATE}/backups"]).stdout.split()
    policies = master.lab.ssh("m1", ["ls", f"{STATE}/policies"]).stdout.split()

    assert (1, 2) == (len(listed), len(policies))


def test_disabling_gives_the_bytes_back(master: Adopted, adopted: list[Run], tmp_path: Path) -> None:
    report = {"apiserver_audit_report_directory": str(tmp_path)}
    succeed(play(master.lab, "kaudit.k8s.disable", *arguments(None, report)))

    assert master.by_hand == master.lab.read("m1", MANIFEST)
    assert CONFIGMAPS_ONLY == master.lab.read("m1", POLICY)
    assert [f"--{name}={value}" for name, value in BY_HAND.flags.items()] == audit_flags(master.lab, "m1")
