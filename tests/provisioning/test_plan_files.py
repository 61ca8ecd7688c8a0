"""The set of files of a deployment: written in order, kept, and put back, each as it was."""

from __future__ import annotations

import json

import pytest

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.files import kept_name
from kaudit_core.provisioning.observed import HostRefused
from kaudit_core.provisioning.plan import as_json
from tests.provisioning.a_master import (
    HOOK,
    MANIFEST,
    ORIGINAL,
    ORIGINAL_MANIFEST,
    POLICY,
    STARTED,
    Master,
    sha256,
    state,
)


def test_more_that_the_server_reads_is_part_of_the_deployment() -> None:
    """Its sum is an annotation, its bytes are nowhere in the plan, and another content is another start."""
    master = Master()
    plan = master.deploy(hook="token: abc")

    assert [POLICY, HOOK, MANIFEST] == [change.path for change in plan.files]
    assert "token" not in json.dumps(as_json(plan))
    assert sha256("token: abc") == manifest.inspect(master.files[MANIFEST]).annotations["kaudit.k8s/hook"]
    assert not master.plan(hook="token: abc").changed
    assert [f"the {HOOK} on the host is another one", "the manifest is not as it should be"] == (
        master.plan(hook="token: x").reasons
    )


def test_what_the_server_no_longer_reads_goes() -> None:
    """Its file too; and comes back on the way back, from the copy beside the record."""
    master = Master()
    master.deploy(hook="token: abc")
    master.deploy()
    assert HOOK not in master.files
    back = master.plan_back()
    master.write(back)

    assert "token: abc" == master.files[HOOK]
    assert back.files[1].source == state(f"contents/{sha256('token: abc')}")


@pytest.mark.parametrize("before", [None, "mine"])
def test_a_file_of_before_comes_back(before: str | None) -> None:
    """After a rollback, when it is no longer read, and when auditing is disabled; one that was not there goes."""
    for way in ("restore", "no-longer-read", "disable"):
        master = Master()
        if before is not None:
            master.files[HOOK] = before
        if way == "restore":
            master.write(master.plan(hook="h"), hook="h")
            master.restore()
        elif way == "no-longer-read":
            master.deploy(hook="h")
            master.deploy()
        else:
            master.deploy(hook="h")
            off = master.plan_off()
            master.write(off)
            # clean.yml, once no master of the cluster audits.
            for path in off.leftovers:
                master.files.pop(path, None)

        assert before == master.files.get(HOOK), way


def test_a_file_of_before_that_a_later_deployment_touches_first_is_kept() -> None:
    """Originals are kept for each file when kaudit touches it first."""
    master = Master()
    master.deploy()
    master.files[HOOK] = "mine"
    plan = master.plan(hook="h")
    master.write(plan, hook="h")
    master.finish(plan, since=STARTED)

    assert [f"originals/{kept_name(HOOK)}"] == [each["to"] for each in plan.keep_originals]
    assert ORIGINAL == master.files[state(ORIGINAL_MANIFEST)]
    assert [HOOK, MANIFEST] == [change.path for change in master.plan_off().files]


def test_lost_originals_are_not_taken_for_files_that_were_not_there() -> None:
    """Without the kept copy exactly what is kaudit's is taken out."""
    master = Master()
    master.deploy()
    del master.files[state(ORIGINAL_MANIFEST)]

    assert ORIGINAL == master.after(master.plan_off())


def test_what_an_older_kaudit_deployed_is_disabled() -> None:
    """Two originals by names of their own, and a record that names no files."""
    text = ORIGINAL.replace("    - --secure", "    - --audit-log-maxage=7  # ours\n    - --secure")
    master = Master(text)
    master.files[POLICY] = "old"
    master.deploy()
    (entry,) = json.loads(master.files[state("deployments.json")])
    del entry["files"]
    master.files[state("deployments.json")] = json.dumps([{**entry, "manifest_sha256": sha256(master.files[MANIFEST])}])
    del master.files[state("originals.json")]
    master.files |= {state("original.yaml"): text, state("original-policy.yaml"): "old"}

    assert not master.plan().changed
    plan = master.plan_off()
    master.write(plan)
    assert (text, "old") == (master.files[MANIFEST], master.files[POLICY])


def test_unfinished_deployment_of_an_older_kaudit_is_waited_for() -> None:
    """Nothing says what its backup holds."""
    master = Master()
    master.write(master.plan())
    pending = json.loads(master.files[state("pending.json")])
    del pending["backups"]
    master.files[state("pending.json")] = json.dumps(pending)

    with pytest.raises(HostRefused, match="deployment D1 of an older kaudit was never finished; wait until its timer"):
        master.plan()
