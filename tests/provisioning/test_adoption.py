"""Auditing that others configured: shown and refused, or taken over with what fits of it, and given back."""

from __future__ import annotations

import dataclasses

import pytest

from kaudit_core.provisioning import kubeadm_config, manifest
from kaudit_core.provisioning.adoption import foreign_auditing
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.settings import Settings
from tests.provisioning.a_master import MANIFEST, POLICY, SETTINGS, Master
from tests.provisioning.manifests import V1BETA4_ARGS, kubeadm

AUDIT_POLICY = "/etc/kubernetes/audit-policy.yaml"
BY_HAND = manifest.apply(
    kubeadm(31),
    AuditIntent(
        {
            "audit-policy-file": AUDIT_POLICY,
            "audit-log-path": "/var/log/kubernetes/kubernetes.audit",
            "audit-log-maxage": "7",
            "audit-log-compress": "true",
        },
        (
            Mount("k8s-audit", "/var/log/kubernetes", "/var/log/kubernetes", read_only=False),
            Mount("audit-policy", AUDIT_POLICY, AUDIT_POLICY, type="FileOrCreate"),
        ),
    ),
)
SETTLED = Settings("/etc/kubernetes/audit/policy.yaml", "/var/log/kubernetes/audit/audit.log", 30, 10, 100)


def test_foreign_auditing_is_shown_and_refused() -> None:
    """The sentence names the file, what is there, and the word that lets kaudit take it over."""
    master = Master(BY_HAND)
    found = foreign_auditing(master.host(), master.plan(settings=SETTLED).files)

    assert found["refusal"].startswith(
        f"{MANIFEST}: audits already, and not by kaudit (--audit-policy-file=/etc/kubernetes/audit-policy.yaml "
    )
    assert "apiserver_audit_adopt: true" in found["refusal"]
    assert "\n" not in found["refusal"]
    assert {
        "-    - --audit-policy-file=/etc/kubernetes/audit-policy.yaml",
        "+    - --audit-policy-file=/etc/kubernetes/audit/policy.yaml",
        "-    - --audit-log-maxage=7",
        "     - --audit-log-compress=true",
    } <= set(found["diff"])


def test_what_is_kaudits_own_is_not_foreign() -> None:
    """After a deployment, during one, and where only the record is lost."""
    master = Master(BY_HAND)
    plan = master.plan(settings=SETTLED)
    master.write(plan)
    assert "" == foreign_auditing(master.host(), [])["refusal"]
    master.finish(plan, since="now")
    assert "" == foreign_auditing(master.host(), [])["refusal"]
    without_record = Master(master.files[MANIFEST])
    assert "" == foreign_auditing(without_record.host(), [])["refusal"]


def test_no_auditing_is_not_foreign() -> None:
    """Nothing to take over."""
    assert {"refusal": "", "diff": []} == foreign_auditing(Master().host(), Master().plan().files)


def test_adopted_auditing_comes_back_on_disable() -> None:
    """Byte for byte, and then it is somebody else's again."""
    master = Master(BY_HAND)
    master.deploy(settings=SETTLED)
    master.deploy("B", settings=dataclasses.replace(SETTLED, log_max_age=31))
    assert BY_HAND != master.files[MANIFEST]

    plan = master.plan_off()
    assert BY_HAND == master.after(plan)
    master.write(plan)
    master.finish(plan, "disabled")
    assert foreign_auditing(master.host(), [])["refusal"]


def test_policy_at_our_place_comes_back_too() -> None:
    """Another tool had its policy where ours is put."""
    master = Master(manifest.apply(kubeadm(31), SETTINGS.intent("x", "y")).replace("kaudit", "other"))
    master.files[POLICY] = "theirs"
    before = dict(master.files)
    master.deploy()
    plan = master.plan_off()
    master.write(plan)

    assert before == {path: master.files[path] for path in before}


def test_mount_that_brings_the_directory_in_is_used() -> None:
    """The log's directory is below theirs already; only the policy's is new, and a second run changes nothing."""
    master = Master(BY_HAND)
    master.deploy(settings=SETTLED)
    view = manifest.inspect(master.files[MANIFEST])

    assert ["/var/log/kubernetes"] == [each.host_path for each in view.mounts if "log" in each.host_path]
    assert "/etc/kubernetes/audit" in [each.host_path for each in view.mounts]
    assert (SETTLED.policy_path, SETTLED.log_path, "30") == tuple(
        view.flags[name] for name in ("audit-policy-file", "audit-log-path", "audit-log-maxage")
    )
    assert not master.plan(settings=SETTLED).changed


LOG = Mount("kaudit-log", "/var/log/k8s/audit", "/var/log/k8s/audit", read_only=False)
POLICY_MOUNT = Mount("kaudit-policy", "/var/log/k8s/audit", "/var/log/k8s/audit")
mounts = {
    "the-same": (Mount("theirs", "/var/log/k8s/audit", "/var/log/k8s/audit", False), LOG, True),
    "around-it": (Mount("theirs", "/var/log", "/var/log", False), LOG, True),
    "the-root": (Mount("theirs", "/", "/", False), LOG, True),
    "read-only-is-enough-for-a-policy": (Mount("theirs", "/var/log", "/var/log", True), POLICY_MOUNT, True),
    "read-only-for-a-log": (Mount("theirs", "/var/log/k8s", "/var/log/k8s", True), LOG, False),
    "another-directory": (Mount("theirs", "/srv/log", "/var/log", False), LOG, False),
    "another-place": (Mount("theirs", "/var/log/k8s/audit", "/logs", False), LOG, False),
    "a-file": (Mount("theirs", "/var/log/k8s", "/var/log/k8s", False, "File"), LOG, False),
    "a-longer-name": (Mount("theirs", "/var/log/k8s/aud", "/var/log/k8s/aud", False), LOG, False),
}


@pytest.mark.parametrize(("theirs", "ours", "used"), mounts.values(), ids=mounts)
def test_mount_is_used_or_made(theirs: Mount, ours: Mount, used: bool) -> None:
    """In a manifest and in kubeadm's configuration alike; what was not put there is not taken away."""
    for edit, text in ((manifest, kubeadm(31)), (kubeadm_config, V1BETA4_ARGS)):
        before = edit.apply(text, AuditIntent(mounts=(theirs,)))
        after = edit.apply(before, AuditIntent(mounts=(ours,)))

        assert used == (before == after)
        assert before == edit.remove(after, AuditIntent(mounts=(ours,)))


def test_part_of_a_volume_is_another_directory() -> None:
    """With a subPath the container sees what is below the volume's path."""
    text = manifest.apply(kubeadm(31), AuditIntent(mounts=(Mount("theirs", "/var", "/var/log/k8s/audit", False),)))
    part = text.replace("name: theirs\n", "name: theirs\n      subPath: log/k8s/audit\n", 1)

    assert part != text
    assert part == manifest.apply(part, AuditIntent(mounts=(LOG,)))


def test_inner_mount_counts() -> None:
    """The directory around it fits, but another one lies over it."""
    theirs = (Mount("theirs", "/var/log", "/var/log", False), Mount("inner", "/srv", "/var/log/k8s", False))
    text = manifest.apply(kubeadm(31), AuditIntent(mounts=theirs))

    assert text != manifest.apply(text, AuditIntent(mounts=(LOG,)))
