"""What a deployment does on a master, by what was found there: records, pending deployments, backups, hand edits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaudit_core.provisioning import manifest, record
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.plan import as_json
from kaudit_core.provisioning.settings import Settings
from tests.provisioning.a_master import (
    BATCH,
    MANIFEST,
    ORIGINAL,
    ORIGINAL_MANIFEST,
    POLICY,
    SETTINGS,
    STARTED,
    Master,
    named_by,
    sha256,
    state,
)
from tests.provisioning.manifests import kubeadm


def test_first_deployment() -> None:
    """Everything is new, and the manifest says what it is for; what starts the server is written last."""
    master = Master()
    plan = master.plan()
    policy, start = plan.files

    assert (True, ["there is no policy on the host", "the manifest is not as it should be"]) == (
        plan.changed,
        plan.reasons,
    )
    assert (sha256("A"), "D1") == named_by(master.after(plan))
    assert ("", sha256("A"), None, False) == (policy.before_sha256, policy.sha256, policy.text, policy.starts)
    assert (sha256(master.after(plan)), sha256(ORIGINAL), True) == (start.sha256, start.before_sha256, start.starts)
    assert (False, [POLICY, MANIFEST]) == (plan.resume, [each["path"] for each in plan.way.missing])
    assert {POLICY: "", MANIFEST: ORIGINAL_MANIFEST} == plan.originals
    assert [] == plan.entries


def test_pending_says_all_that_the_record_needs() -> None:
    """Written before anything is changed; plain JSON."""
    plan = Master().plan()
    pending = json.loads(json.dumps(as_json(plan)))["pending"]

    more = {"files", "backup", "backups", "before", "from", "replaces", "flags_before"}
    assert {*record.KEPT, *more} == set(pending)
    assert ("D1", "D1", None, None, None) == tuple(
        pending[key] for key in ("id", "backup", "before", "from", "replaces")
    )
    assert [(change.path, change.sha256) for change in plan.files] == [
        (each["path"], each["sha256"]) for each in pending["files"]
    ]
    assert AuditIntent.from_json(pending["intent"]).flags == AuditIntent.from_json(plan.ours).flags


def test_deployed_master_is_left_alone() -> None:
    """A second run changes nothing and restarts nothing."""
    master = Master()
    master.deploy()
    plan = master.plan()

    assert (False, [], master.files[MANIFEST], "D1") == (
        plan.changed,
        plan.reasons,
        master.after(plan),
        plan.deployment,
    )


def test_other_policy_restarts() -> None:
    """A changed policy is a new deployment with a new manifest (pitfall P4)."""
    master = Master()
    master.deploy()
    plan = master.plan("B")

    assert ["the policy on the host is another one", "the manifest is not as it should be"] == plan.reasons
    assert (sha256("B"), "D2") == named_by(master.after(plan))
    assert [] == plan.keep_originals


def test_going_back_asks_for_what_was_before() -> None:
    """Policy and flags of the deployment before, in a deployment of its own; and from there forward again."""
    master = Master()
    first = master.deploy("A")
    master.deploy("B", BATCH)
    back = master.plan_back()
    master.write(back, "A")
    master.finish(back, since=STARTED)

    assert back.changed
    assert (sha256("A"), "D3") == named_by(master.after(back))
    assert master.after(first) == master.after(back).replace("D3", "D1")
    assert not master.plan("A").changed
    assert (sha256("B"), "D5") == named_by(master.after(master.plan_back()))


def test_going_back_passes_over_what_asked_for_the_same() -> None:
    """The same policy deployed once more, because somebody had edited it, is no other deployment."""
    master = Master()
    master.deploy("A")
    master.deploy("B")
    master.files[POLICY] = "edited"
    master.deploy("B")

    assert sha256("A") == named_by(master.after(master.plan_back()))[0]


def some_entry(outcome: str, finished: str, policy: str) -> dict[str, Any]:
    """As the record has it."""
    return {"outcome": outcome, "finished": finished, "policy_sha256": policy, "intent": {"annotations": {}}}


ENTRIES = [
    some_entry("deployed", "2026-01-01T00:00:00Z", "A"),
    some_entry("rolled-back", "2026-01-02T00:00:00Z", "X"),
    some_entry("deployed", "2026-01-03T00:00:00Z", "B"),
    some_entry("disabled", "2026-01-04T00:00:00Z", ""),
    some_entry("deployed", "2026-01-05T00:00:00Z", "C"),
]


@pytest.mark.parametrize(
    ("at", "policy"),
    [
        ("2025-12-31T23:59:59Z", None),
        ("2026-01-01T00:00:00Z", "A"),
        ("2026-01-02T12:00:00Z", "A"),
        ("2026-01-03T12:00:00Z", "B"),
        ("2026-01-04T12:00:00Z", None),
        ("2027-01-01T00:00:00Z", "C"),
        ("", None),
    ],
)
def test_what_was_in_force_at_a_time(at: str, policy: str | None) -> None:
    """What was rolled back never was; by default nothing from before auditing was disabled."""
    found = record.to_go_back_to(ENTRIES, at)

    assert policy == (found["policy_sha256"] if found else None)


def test_policy_edited_on_the_host_restarts() -> None:
    """Put back to what it was it still has to be read anew: the server may have read the edited one."""
    master = Master()
    master.deploy()
    master.files[POLICY] = "edited"
    plan = master.plan()

    assert ["the policy on the host is another one"] == plan.reasons
    assert "D2" == named_by(master.after(plan))[1]
    assert master.files[MANIFEST] != master.after(plan)


def test_manifest_written_anew_by_kubeadm_is_mended() -> None:
    """Whatever is missing comes back."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = kubeadm(36)
    plan = master.plan()

    assert ["the manifest is not as it should be"] == plan.reasons
    assert (sha256("A"), "D2") == named_by(master.after(plan))


def test_flag_that_is_no_longer_wanted_goes() -> None:
    """It was ours."""
    master = Master()
    master.deploy(settings=BATCH)

    assert "audit-log-mode" not in manifest.inspect(master.after(master.plan())).audit_flags


def test_killed_after_the_manifest_is_finished() -> None:
    """The same again: no second restart, the old backup, and the processes of before stay those of before."""
    master = Master()
    first = master.plan()
    master.write(first)
    plan = master.plan()

    assert (["deployment D1 was never finished"], True) == (plan.reasons, plan.resume)
    assert (master.after(first), "D1") == (master.after(plan), plan.deployment)
    assert (True, "D1", [1], "from D1") == (
        not plan.way.missing,
        *(plan.pending[key] for key in ("backup", "before", "from")),
    )


def test_resumed_twice_is_still_the_same() -> None:
    """Killed again, finished then."""
    master = Master()
    master.write(master.plan())
    master.prepare(master.plan())
    plan = master.plan()

    assert (True, "D1", "D1", [1]) == (plan.resume, plan.deployment, plan.pending["backup"], plan.pending["before"])


def test_unproven_with_an_edited_policy_is_no_resume() -> None:
    """Nobody knows which policy the running server has read."""
    master = Master()
    master.write(master.plan())
    master.files[POLICY] = "edited"
    plan = master.plan()

    assert (False, "D2", True) == (plan.resume, plan.deployment, not plan.way.missing)


def test_other_wish_over_an_unproven_manifest_keeps_its_backup() -> None:
    """The backup is what was proven; the unproven server is one to be replaced."""
    master = Master()
    master.write(master.plan())
    plan = master.plan("B")

    assert (False, True, True) == (plan.resume, not plan.way.missing, plan.unproven)
    assert ("D1", "from D1", {}) == tuple(plan.pending[key] for key in ("backup", "from", "flags_before"))
    assert plan.pending["before"] is None
    assert (sha256("B"), "D2") == named_by(master.after(plan))


def test_killed_over_an_unproven_manifest_keeps_the_first_backup() -> None:
    """The manifest at hand is the first deployment's, the pending one the second's: neither was ever proven."""
    master = Master()
    master.write(master.plan(settings=BATCH))
    master.prepare(master.plan("B"))
    plan = master.plan("C")
    master.write(plan, "C")

    assert (True, "D1") == (not plan.way.missing, plan.pending["backup"])
    assert "audit-log-mode" not in manifest.inspect(master.after(plan)).audit_flags
    assert ORIGINAL == master.files[state(ORIGINAL_MANIFEST)]
    master.restore()
    assert ORIGINAL == master.files[MANIFEST]


def test_killed_between_policy_and_manifest_keeps_the_backup() -> None:
    """The manifest is proven, the policy beside it is not: a backup made now would hold the wrong policy."""
    master = Master()
    master.deploy("A")
    master.prepare(master.plan("B"))
    master.files[POLICY] = "B"
    plan = master.plan("C")
    master.write(plan, "C")

    assert (True, False, "D2") == (not plan.way.missing, plan.unproven, plan.pending["backup"])
    master.restore()
    assert "A" == master.files[POLICY]


def test_manifest_changed_since_a_killed_deployment_is_backed_up() -> None:
    """Somebody else's change is what a rollback must come back to."""
    master = Master()
    master.prepare(master.plan())
    master.files[MANIFEST] = ORIGINAL.replace("250m", "300m")
    plan = master.plan()

    assert (False, "D2") == (not plan.way.missing, plan.pending["backup"])


def test_restored_by_the_timer_goes_into_the_record() -> None:
    """An interrupted deployment whose timer fired is told, and begun anew."""
    master = Master()
    master.deploy("A")
    master.write(master.plan("B"), "B")
    master.restore()
    plan = master.plan("B")

    assert [record.DEPLOYED, record.RESTORED_BY_TIMER] == [entry["outcome"] for entry in plan.entries]
    assert ("D2", "from D2", STARTED) == tuple(plan.entries[1][key] for key in ("id", "from", "since"))
    assert (True, False, False, "D3") == (plan.restored, plan.resume, not plan.way.missing, plan.pending["backup"])


def test_restored_by_the_timer_is_recorded_once() -> None:
    """After the next deployment's record it is not told again."""
    master = Master()
    master.write(master.plan())
    master.restore()
    master.deploy()

    assert [record.RESTORED_BY_TIMER, record.DEPLOYED] == [entry["outcome"] for entry in master.plan().entries]


def test_rolled_back_deployment_is_tried_again() -> None:
    """The record's last word is not in force."""
    master = Master()
    plan = master.plan()
    master.write(plan)
    master.restore()
    master.finish(plan, record.ROLLED_BACK, why="x")
    again = master.plan()

    assert (True, False, "D2") == (again.changed, not again.keep_originals, named_by(master.after(again))[1])


def test_ours_names_what_any_deployment_brought() -> None:
    """A mount that got another name is to go where it still is; the path is the new one's."""
    hook, renamed = (Mount(name, "/srv/hook", "/srv/hook") for name in ("hook", "renamed"))
    first, second = (Settings(POLICY, "/srv/log/a.log", 1, 1, 1, mounts=(mount,)) for mount in (hook, renamed))
    master = Master()
    master.deploy(settings=first)
    ours = AuditIntent.from_json(master.plan(settings=second).ours)

    assert ["kaudit-policy", "kaudit-log", "renamed"] == [mount.name for mount in ours.mounts]
    assert ("hook",) == ours.absent_mounts


def test_swapped_directories_are_no_contradiction() -> None:
    """Policy and log change places: two deployments, each valid, and whatever is ours is still known."""
    swapped = Settings("/srv/log/p.yaml", "/srv/policy/a.log", 1, 1, 1)
    entries = [{"intent": each.intent("", "").as_json()} for each in (SETTINGS, swapped)]

    assert swapped.intent("", "").mounts == record.combined(entries).mounts
