"""Taking auditing away: the bytes of before, and only what is kaudit's where others edited since."""

from __future__ import annotations

import pytest

from kaudit_core.provisioning import record
from kaudit_core.provisioning.observed import HostRefused
from tests.provisioning.a_master import (
    BATCH,
    MANIFEST,
    ORIGINAL,
    STARTED,
    Master,
    named_by,
    state,
)
from tests.provisioning.manifests import kubeadm


def test_disable_gives_the_original_back() -> None:
    """Byte for byte, even what kaudit's flags had replaced."""
    text = ORIGINAL.replace("    - --secure", "    - --audit-log-maxage=7  # ours\n    - --secure")
    master = Master(text)
    master.deploy()
    master.deploy("B", BATCH)

    assert text == master.after(master.plan_off())


def test_disable_keeps_what_was_changed_since() -> None:
    """The original would bring an old image back; only what is kaudit's goes."""
    master = Master()
    master.deploy()
    upgraded = {"v1.35.3": "v1.35.4", "250m": "300m"}
    for old, new in upgraded.items():
        master.files[MANIFEST] = master.files[MANIFEST].replace(old, new)

    assert ORIGINAL.replace("v1.35.3", "v1.35.4").replace("250m", "300m") == master.after(master.plan_off())


def test_disable_keeps_what_was_changed_between_two_deployments() -> None:
    """The second deployment's manifest is as kaudit wrote it, and yet not only kaudit's change of the original."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = master.files[MANIFEST].replace("v1.35.3", "v1.35.4")
    master.deploy("B")

    assert ORIGINAL.replace("v1.35.3", "v1.35.4") == master.after(master.plan_off())


def test_disable_of_nothing() -> None:
    """A master that never audited is as it should be."""
    master = Master()
    plan = master.plan_off()

    assert (False, [], ORIGINAL) == (plan.changed, plan.reasons, master.after(plan))


def test_disable_of_what_is_gone_already_restarts_nothing() -> None:
    """A manifest that is already the original brings no restart, so none may be waited for."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = ORIGINAL
    plan = master.plan_off()

    assert (False, ORIGINAL) == (plan.changed, master.after(plan))


def test_disable_twice() -> None:
    """The record says that it is done."""
    master = Master()
    master.deploy()
    plan = master.plan_off()
    master.write(plan)
    master.finish(plan, record.DISABLED, since=STARTED)

    assert (False, None) == (master.plan_off().changed, record.in_force(master.host().entries))


def test_enable_after_disable_is_a_first_deployment() -> None:
    """What is there now is the new original."""
    master = Master()
    master.deploy()
    plan = master.plan_off()
    master.write(plan)
    master.finish(plan, record.DISABLED, since=STARTED)
    master.files[MANIFEST] = kubeadm(36)
    master.deploy("B")

    assert kubeadm(36) == master.after(master.plan_off())


def test_killed_disable_is_finished() -> None:
    """The manifest is already without auditing: the restart is proven, not asked for again."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = master.files[MANIFEST].replace("v1.35.3", "v1.35.4")
    off = master.plan_off()
    master.write(off)
    plan = master.plan_off()

    assert (True, True, True) == (plan.changed, plan.resume, not plan.way.missing)
    assert (master.after(off), off.deployment, [2]) == (master.after(plan), plan.deployment, plan.pending["before"])


def test_disable_of_an_unproven_deployment() -> None:
    """It is taken away like a proven one, with the backup of before."""
    master = Master()
    master.write(master.plan())
    plan = master.plan_off()

    assert (True, ORIGINAL, False, "D1") == (plan.changed, master.after(plan), plan.resume, plan.pending["backup"])


def test_disable_of_an_unproven_deployment_that_was_edited() -> None:
    """The pending deployment is named by the manifest: its flags must not stay behind while the policy goes."""
    master = Master()
    master.write(master.plan(settings=BATCH))
    master.files[MANIFEST] = master.files[MANIFEST].replace("250m", "300m")

    assert ORIGINAL.replace("250m", "300m") == master.after(master.plan_off())


def test_enable_over_an_unfinished_disable() -> None:
    """A change of mind on the way: a new deployment, with the backup of the deployment that was to be disabled."""
    master = Master()
    deployed = master.deploy()
    off = master.plan_off()
    master.write(off)
    plan = master.plan()
    master.write(plan)

    assert (True, False, "D3") == (plan.changed, plan.resume, named_by(master.after(plan))[1])
    master.restore()
    assert master.after(deployed) == master.files[MANIFEST]


def test_disable_without_its_record_is_refused() -> None:
    """The manifest says that kaudit was here: nothing to do would be a lie."""
    master = Master()
    master.deploy()
    del master.files[state("deployments.json")]

    with pytest.raises(HostRefused, match="names kaudit's deployment 'D1', which is not in the record"):
        master.plan_off()
