"""What a deployment does on a master, by what was found there: records, pending deployments, backups, hand edits."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest

from kaudit_core.provisioning import manifest, record
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.observed import HostFile, HostFiles, HostRefused
from kaudit_core.provisioning.plan import Host, Plan, as_json, plan_back, plan_disable, plan_enable, read_host
from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from kaudit_core.provisioning.settings import POLICY_ANNOTATION, Settings
from tests.provisioning.manifests import BARE, kubeadm

ORIGINAL = kubeadm(35)
MANIFEST, STATE, POLICY = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/var/lib/kaudit", "/srv/policy/p.yaml"
PATHS = {"manifest": MANIFEST, "policy": POLICY, "state": STATE}
ORIGINAL_FILES = ("original.yaml", "original-policy.yaml", "kubeadm-config.original.yaml")
STATE_FILES = ("deployments.json", "pending.json", "restored", *ORIGINAL_FILES)
SETTINGS = Settings(POLICY, "/srv/log/audit.log", 30, 10, 100)
BATCH = Settings(POLICY, "/srv/log/audit.log", 30, 10, 100, {"audit-log-mode": "batch"})
STARTED = "2026-11-21T04:30:00Z"


def sha256(text: str) -> str:
    """As it stands in records."""
    return hashlib.sha256(text.encode()).hexdigest()


class Master:
    """A host whose files the roles' tasks would change, in the roles' order; killed wherever a test stops."""

    def __init__(self, text: str = ORIGINAL) -> None:
        self.files = {MANIFEST: text}
        self.count = 0

    def host(self) -> Host:
        """What the roles read of it."""
        results = [slurped(path, self.files.get(path)) for path in (MANIFEST, POLICY, *map(state, STATE_FILES))]
        return read_host(PATHS, results, [slurped(MANIFEST, self.files[MANIFEST])], [{"pid": 7, "started": STARTED}])

    def plan(self, policy: str = "A", settings: Settings = SETTINGS) -> Plan:
        """A plan of the next enable.yml."""
        self.count += 1
        return plan_enable(self.host(), settings, sha256(policy), f"D{self.count}", STARTED, "v1.35.4")

    def plan_off(self) -> Plan:
        """A plan of the next disable.yml."""
        self.count += 1
        return plan_disable(self.host(), f"D{self.count}", STARTED, "v1.35.4")

    def plan_back(self, at: str = "") -> Plan:
        """A plan of the next rollback.yml."""
        self.count += 1
        host = self.host()
        entry = record.to_go_back_to(host.entries, at)
        assert entry is not None
        return plan_back(host, entry, f"D{self.count}", STARTED, "v1.35.4")

    def prepare(self, plan: Plan) -> None:
        """Up to the armed timer."""
        backup = f"backups/{plan.pending['backup']}"
        if not plan.keep_backup:
            self.files[state(f"{backup}/kube-apiserver.yaml")] = self.files[MANIFEST]
            if plan.policy_there:
                self.files[state(f"{backup}/policy.yaml")] = self.files[POLICY]
        if not plan.deployed_before:
            self.files[state("original.yaml")] = self.files[state(f"{backup}/kube-apiserver.yaml")]
            if f"{backup}/policy.yaml" in self.files:
                self.files[state("original-policy.yaml")] = self.files[state(f"{backup}/policy.yaml")]
        before, since = plan.pending["before"] or [self.count], plan.pending["from"] or f"from {plan.deployment}"
        pending = {**plan.pending, "before": before, "from": since}
        self.files[state("pending.json")] = json.dumps(pending)
        self.files.pop(state("restored"), None)

    def write(self, plan: Plan, policy: str = "A") -> None:
        """Policy and manifest."""
        self.prepare(plan)
        assert plan.before_sha256 == sha256(self.files[MANIFEST])
        self.files[POLICY] = policy
        self.files[MANIFEST] = plan.manifest

    def finish(self, plan: Plan, outcome: str = record.DEPLOYED, **more: str) -> None:
        """The record, with nothing left of the way."""
        entries = [*plan.entries, record.pending_entry(plan.pending, outcome, STARTED, **more)]
        self.files[state("deployments.json")] = json.dumps(entries)
        self.files.pop(state("pending.json"), None)
        self.files.pop(state("restored"), None)

    def restore(self) -> None:
        """What the timer runs."""
        backup = f"backups/{json.loads(self.files[state('pending.json')])['backup']}"
        self.files.pop(POLICY, None)
        self.files[MANIFEST] = self.files[state(f"{backup}/kube-apiserver.yaml")]
        if state(f"{backup}/policy.yaml") in self.files:
            self.files[POLICY] = self.files[state(f"{backup}/policy.yaml")]
        self.files[state("restored")] = STARTED

    def deploy(self, policy: str = "A", settings: Settings = SETTINGS) -> Plan:
        """A whole enable.yml."""
        plan = self.plan(policy, settings)
        self.write(plan, policy)
        self.finish(plan, since=STARTED)
        return plan


def state(name: str) -> str:
    """A file of ours."""
    return f"{STATE}/{name}"


def slurped(path: str, text: str | None) -> dict[str, Any]:
    """One result of the loop that reads files."""
    return {"item": path, "content": b64encode(text.encode()).decode()} if text is not None else {"item": path}


def named_by(text: str) -> tuple[str | None, str | None]:
    """Policy and deployment as the manifest names them."""
    found = manifest.inspect(text).annotations
    return found.get(POLICY_ANNOTATION), found.get(DEPLOYMENT_ANNOTATION)


def test_first_deployment() -> None:
    """Everything is new, and the manifest says what it is for."""
    plan = Master().plan()

    assert (True, ["there is no policy on the host", "the manifest is not as it should be"]) == (
        plan.changed,
        plan.reasons,
    )
    assert (sha256("A"), "D1") == named_by(plan.manifest)
    assert (sha256(plan.manifest), sha256(ORIGINAL)) == (plan.sha256, plan.before_sha256)
    assert (False, False, False, False) == (plan.resume, plan.keep_backup, plan.deployed_before, plan.policy_there)
    assert [] == plan.entries


def test_pending_says_all_that_the_record_needs() -> None:
    """Written before anything is changed; plain JSON."""
    plan = Master().plan()
    pending = json.loads(json.dumps(as_json(plan)))["pending"]

    assert {*record.KEPT, "backup", "before", "before_sha256", "from", "replaces"} == set(pending)
    assert ("D1", "D1", None, None, None) == tuple(
        pending[key] for key in ("id", "backup", "before", "from", "replaces")
    )
    assert plan.sha256 == pending["manifest_sha256"]
    assert AuditIntent.from_json(pending["intent"]).flags == AuditIntent.from_json(plan.ours).flags


def test_deployed_master_is_left_alone() -> None:
    """A second run changes nothing and restarts nothing."""
    master = Master()
    master.deploy()
    plan = master.plan()

    assert (False, [], master.files[MANIFEST], "D1") == (plan.changed, plan.reasons, plan.manifest, plan.deployment)


def test_other_policy_restarts() -> None:
    """A changed policy is a new deployment with a new manifest (pitfall P4)."""
    master = Master()
    master.deploy()
    plan = master.plan("B")

    assert ["the policy on the host is another one", "the manifest is not as it should be"] == plan.reasons
    assert (sha256("B"), "D2") == named_by(plan.manifest)
    assert plan.deployed_before


def test_going_back_asks_for_what_was_before() -> None:
    """Policy and flags of the deployment before, in a deployment of its own; and from there forward again."""
    master = Master()
    first = master.deploy("A")
    master.deploy("B", BATCH)
    back = master.plan_back()
    master.write(back, "A")
    master.finish(back, since=STARTED)

    assert back.changed
    assert (sha256("A"), "D3") == named_by(back.manifest)
    assert first.manifest == back.manifest.replace("D3", "D1")
    assert not master.plan("A").changed
    assert (sha256("B"), "D5") == named_by(master.plan_back().manifest)


def test_going_back_passes_over_what_asked_for_the_same() -> None:
    """The same policy deployed once more, because somebody had edited it, is no other deployment."""
    master = Master()
    master.deploy("A")
    master.deploy("B")
    master.files[POLICY] = "edited"
    master.deploy("B")

    assert sha256("A") == named_by(master.plan_back().manifest)[0]


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
    assert "D2" == named_by(plan.manifest)[1]
    assert master.files[MANIFEST] != plan.manifest


def test_manifest_written_anew_by_kubeadm_is_mended() -> None:
    """Whatever is missing comes back."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = kubeadm(36)
    plan = master.plan()

    assert ["the manifest is not as it should be"] == plan.reasons
    assert (sha256("A"), "D2") == named_by(plan.manifest)


def test_flag_that_is_no_longer_wanted_goes() -> None:
    """It was ours."""
    master = Master()
    master.deploy(settings=BATCH)

    assert "audit-log-mode" not in manifest.inspect(master.plan().manifest).audit_flags


def test_killed_after_the_manifest_is_finished() -> None:
    """The same again: no second restart, the old backup, and the processes of before stay those of before."""
    master = Master()
    first = master.plan()
    master.write(first)
    plan = master.plan()

    assert (["deployment D1 was never finished"], True) == (plan.reasons, plan.resume)
    assert (first.manifest, "D1") == (plan.manifest, plan.deployment)
    assert (True, "D1", [1], "from D1") == (
        plan.keep_backup,
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

    assert (False, "D2", True) == (plan.resume, plan.deployment, plan.keep_backup)


def test_other_wish_over_an_unproven_manifest_keeps_its_backup() -> None:
    """The backup is what was proven; the unproven server is one to be replaced."""
    master = Master()
    master.write(master.plan())
    plan = master.plan("B")

    assert (False, True, True) == (plan.resume, plan.keep_backup, plan.unproven)
    assert ("D1", sha256(ORIGINAL), "from D1") == tuple(
        plan.pending[key] for key in ("backup", "before_sha256", "from")
    )
    assert plan.pending["before"] is None
    assert (sha256("B"), "D2") == named_by(plan.manifest)


def test_killed_over_an_unproven_manifest_keeps_the_first_backup() -> None:
    """The manifest at hand is the first deployment's, the pending one the second's: neither was ever proven."""
    master = Master()
    master.write(master.plan(settings=BATCH))
    master.prepare(master.plan("B"))
    plan = master.plan("C")
    master.write(plan, "C")

    assert (True, "D1") == (plan.keep_backup, plan.pending["backup"])
    assert "audit-log-mode" not in manifest.inspect(plan.manifest).audit_flags
    assert ORIGINAL == master.files[state("original.yaml")]
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

    assert (True, False, "D2") == (plan.keep_backup, plan.unproven, plan.pending["backup"])
    master.restore()
    assert "A" == master.files[POLICY]


def test_manifest_changed_since_a_killed_deployment_is_backed_up() -> None:
    """Somebody else's change is what a rollback must come back to."""
    master = Master()
    master.prepare(master.plan())
    master.files[MANIFEST] = ORIGINAL.replace("250m", "300m")
    plan = master.plan()

    assert (False, "D2") == (plan.keep_backup, plan.pending["backup"])


def test_restored_by_the_timer_goes_into_the_record() -> None:
    """An interrupted deployment whose timer fired is told, and begun anew."""
    master = Master()
    master.deploy("A")
    master.write(master.plan("B"), "B")
    master.restore()
    plan = master.plan("B")

    assert [record.DEPLOYED, record.RESTORED_BY_TIMER] == [entry["outcome"] for entry in plan.entries]
    assert ("D2", "from D2", STARTED) == tuple(plan.entries[1][key] for key in ("id", "from", "since"))
    assert (True, False, False, "D3") == (plan.restored, plan.resume, plan.keep_backup, plan.pending["backup"])


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

    assert (True, False, "D2") == (again.changed, again.deployed_before, named_by(again.manifest)[1])


def test_disable_gives_the_original_back() -> None:
    """Byte for byte, even what kaudit's flags had replaced."""
    text = ORIGINAL.replace("    - --secure", "    - --audit-log-maxage=7  # ours\n    - --secure")
    master = Master(text)
    master.deploy()
    master.deploy("B", BATCH)

    assert text == master.plan_off().manifest


def test_disable_keeps_what_was_changed_since() -> None:
    """The original would bring an old image back; only what is kaudit's goes."""
    master = Master()
    master.deploy()
    upgraded = {"v1.35.3": "v1.35.4", "250m": "300m"}
    for old, new in upgraded.items():
        master.files[MANIFEST] = master.files[MANIFEST].replace(old, new)

    assert ORIGINAL.replace("v1.35.3", "v1.35.4").replace("250m", "300m") == master.plan_off().manifest


def test_disable_keeps_what_was_changed_between_two_deployments() -> None:
    """The second deployment's manifest is as kaudit wrote it, and yet not only kaudit's change of the original."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = master.files[MANIFEST].replace("v1.35.3", "v1.35.4")
    master.deploy("B")

    assert ORIGINAL.replace("v1.35.3", "v1.35.4") == master.plan_off().manifest


def test_disable_of_nothing() -> None:
    """A master that never audited is as it should be."""
    plan = Master().plan_off()

    assert (False, [], ORIGINAL) == (plan.changed, plan.reasons, plan.manifest)


def test_disable_of_what_is_gone_already_restarts_nothing() -> None:
    """A manifest that is already the original brings no restart, so none may be waited for."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = ORIGINAL
    plan = master.plan_off()

    assert (False, ORIGINAL) == (plan.changed, plan.manifest)


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

    assert kubeadm(36) == master.plan_off().manifest


def test_killed_disable_is_finished() -> None:
    """The manifest is already without auditing: the restart is proven, not asked for again."""
    master = Master()
    master.deploy()
    master.files[MANIFEST] = master.files[MANIFEST].replace("v1.35.3", "v1.35.4")
    off = master.plan_off()
    master.write(off)
    plan = master.plan_off()

    assert (True, True, True) == (plan.changed, plan.resume, plan.keep_backup)
    assert (off.manifest, off.deployment, [2]) == (plan.manifest, plan.deployment, plan.pending["before"])


def test_disable_of_an_unproven_deployment() -> None:
    """It is taken away like a proven one, with the backup of before."""
    master = Master()
    master.write(master.plan())
    plan = master.plan_off()

    assert (True, ORIGINAL, False, "D1") == (plan.changed, plan.manifest, plan.resume, plan.pending["backup"])


def test_disable_of_an_unproven_deployment_that_was_edited() -> None:
    """The pending deployment is named by the manifest: its flags must not stay behind while the policy goes."""
    master = Master()
    master.write(master.plan(settings=BATCH))
    master.files[MANIFEST] = master.files[MANIFEST].replace("250m", "300m")

    assert ORIGINAL.replace("250m", "300m") == master.plan_off().manifest


def test_enable_over_an_unfinished_disable() -> None:
    """A change of mind on the way: a new deployment, with the backup of the deployment that was to be disabled."""
    master = Master()
    deployed = master.deploy()
    off = master.plan_off()
    master.write(off)
    plan = master.plan()
    master.write(plan)

    assert (True, False, "D3") == (plan.changed, plan.resume, named_by(plan.manifest)[1])
    master.restore()
    assert deployed.manifest == master.files[MANIFEST]


def test_disable_without_its_record_is_refused() -> None:
    """The manifest says that kaudit was here: nothing to do would be a lie."""
    master = Master()
    master.deploy()
    del master.files[state("deployments.json")]

    with pytest.raises(HostRefused, match="names kaudit's deployment 'D1', which is not in the record"):
        master.plan_off()


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


def test_manifest_that_is_not_there() -> None:
    """No kubeadm master."""
    results = [slurped(path, None) for path in (MANIFEST, POLICY, *map(state, STATE_FILES))]

    with pytest.raises(HostRefused, match="no such file, so this is no master set up by kubeadm"):
        read_host(PATHS, results, [])


def test_manifest_that_can_not_be_edited() -> None:
    """The refusal names the file."""
    with pytest.raises(HostRefused, match=f"^{MANIFEST}: kube-apiserver manifest, line "):
        Master(ORIGINAL + "---\n").plan()


strays = {
    "ansibles-backup": (f"{MANIFEST}.812.2026-11-21@04:30:00~", ORIGINAL, True),
    "json": (
        "/etc/kubernetes/manifests/a.json",
        json.dumps({"kind": "Pod", "metadata": {"name": "kube-apiserver"}}),
        False,
    ),
    "same-pod-as-json": (
        "/etc/kubernetes/manifests/a.json",
        json.dumps({"kind": "Pod", "metadata": {"name": "kube-apiserver", "namespace": "kube-system"}}),
        True,
    ),
    "another-pod": (
        "/etc/kubernetes/manifests/etcd.yaml",
        ORIGINAL.replace("name: kube-apiserver", "name: etcd"),
        False,
    ),
    "no-yaml": ("/etc/kubernetes/manifests/notes", "{", False),
}


@pytest.mark.parametrize(("path", "text", "refused"), strays.values(), ids=strays)
def test_second_manifest_of_the_pod(path: str, text: str, refused: bool) -> None:
    """The kubelet runs the last by name, so the edit might never be seen (pitfall P1)."""
    results = [
        slurped(each, ORIGINAL if each == MANIFEST else None) for each in (MANIFEST, POLICY, *map(state, STATE_FILES))
    ]
    others = [slurped(MANIFEST, ORIGINAL), slurped(path, text)]
    if not refused:
        assert ORIGINAL == read_host(PATHS, results, others).manifest.text
        return
    with pytest.raises(HostRefused) as caught:
        read_host(PATHS, results, others)

    assert str(caught.value).startswith(f"{path}: holds the pod kube-system/kube-apiserver as well as {MANIFEST}")


def test_stray_that_is_no_text() -> None:
    """A binary in the directory holds no pod."""
    others = [{"item": "/etc/kubernetes/manifests/x", "content": b64encode(b"\xff\xfe").decode()}]
    results = [
        slurped(each, BARE if each == MANIFEST else None) for each in (MANIFEST, POLICY, *map(state, STATE_FILES))
    ]

    assert BARE == read_host(PATHS, results, others).manifest.text


damaged = {
    "record-is-no-json": ("deployments.json", "[", "deployments.json: this is no JSON"),
    "record-is-no-list": ("deployments.json", "{}", "deployments.json: not what kaudit writes there"),
    "record-lacks-keys": ("deployments.json", '[{"outcome": "deployed"}]', "deployments.json: not what kaudit writes"),
    "record-of-texts": ("deployments.json", '["x"]', "deployments.json: not what kaudit writes there"),
    "pending-lacks-keys": ("pending.json", "{}", "pending.json: not what kaudit writes there"),
    "pending-is-a-list": ("pending.json", "[]", "pending.json: not what kaudit writes there"),
    "pending-is-empty": ("pending.json", "", "pending.json: this is no JSON"),
}


@pytest.mark.parametrize(("name", "text", "message"), damaged.values(), ids=damaged)
def test_damaged_state_is_refused(name: str, text: str, message: str) -> None:
    """A file that kaudit never wrote is not guessed at."""
    master = Master()
    master.files[state(name)] = text

    with pytest.raises(HostRefused, match=message):
        master.plan()


def test_file_that_came_back_damaged() -> None:
    """Base64 that is none."""
    with pytest.raises(HostRefused, match="/x: came back damaged"):
        HostFiles([{"item": "/x", "content": "a"}])


def test_file_that_is_no_text() -> None:
    """Refused where its text is needed, with the place."""
    with pytest.raises(HostRefused, match="/x: no UTF-8 at byte 2; repair the file first"):
        _ = HostFile("/x", b"ab\xff").text
