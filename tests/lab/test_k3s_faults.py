"""A k3s server that can't start as written, one whose flags stand in ExecStart, and a play that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import (
    SECRETS_ONLY,
    STATE,
    Interrupted,
    arguments,
    ask,
    audit_flags,
    enable,
    events_about,
    exists,
    play,
    records,
    server,
    succeed,
    timers,
    touched_files,
    wait_until,
)
from tests.lab.lab import Lab
from tests.lab.masters import Profile
from tests.lab.test_k3s_roles import DROP_IN, configuration

pytestmark = pytest.mark.lab
UNIT = "/etc/systemd/system/k3s.service"
SOON = {"apiserver_audit_ready_timeout": 25, "apiserver_audit_settle_seconds": 1, "apiserver_audit_restore_after": 27}


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    """Two masters; only m1 is changed."""
    with Lab(hosts=2, profile=Profile(distribution="k3s")) as booted:
        untouched = (server(booted, "m2"), touched_files(booted, "m2"))
        yield booted
        assert untouched == (server(booted, "m2"), touched_files(booted, "m2"))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """The cluster's policy."""
    path = tmp_path / "policy.yaml"
    path.write_text(SECRETS_ONLY)
    return path


def disable(lab: Lab, directory: Path, *more: str) -> None:
    """Take auditing away from m1."""
    report = {"apiserver_audit_report_directory": str(directory)}
    succeed(play(lab, "kaudit.k8s.disable", *arguments(None, report), "--limit", "m1", *more))


def test_a_server_that_does_not_start_is_put_back(lab: Lab, policy: Path) -> None:
    """An endless loop of restarts is ended, with the journal's words; the other master is not touched."""
    before = configuration(lab, "m1")
    shape = {"audit-log-shape": "round"}
    run = enable(lab, policy, apiserver_audit_extra_flags=shape, apiserver_audit_allow_untested=True)

    assert (2, before) == (run.code, configuration(lab, "m1")), run.text
    assert "unknown flag: --audit-log-shape" in run.said
    assert "m1: the new server was started 3 times and ended each time" in run.said
    assert "Its API server serves as before; no other master was touched" in run.said
    assert ("", []) == (timers(lab, "m1"), audit_flags(lab, "m1"))
    assert ["rolled-back"] == [entry["outcome"] for entry in records(lab, "m1")]
    lab.wait_until_ready()


def test_flags_in_exec_start_are_edited_there(lab: Lab, policy: Path, tmp_path: Path) -> None:
    """The article's way and its places; no drop-in; disabling gives the unit's bytes back."""
    unit = lab.read("m1", UNIT).replace("    server \\\n", "    server \\\n\t'--kube-apiserver-arg=v=1' \\\n")
    lab.write("m1", UNIT, unit)
    run = succeed(enable(lab, policy, "--limit", "m1"))

    assert (["m1"], False) == (run.restarts, exists(lab, "m1", DROP_IN))
    assert "--audit-policy-file=/etc/k3s/audit-policy.yaml" in audit_flags(lab, "m1")
    assert ["Metadata"] == events_about(lab, "m1", ask(lab, "m1", "secret"))
    assert [] == succeed(enable(lab, policy, "--limit", "m1")).restarts

    disable(lab, tmp_path)
    assert (unit, [], False) == (lab.read("m1", UNIT), audit_flags(lab, "m1"), exists(lab, "m1", "/etc/k3s"))


def test_a_killed_play_is_restored_by_the_timer_and_finished_by_a_rerun(lab: Lab, policy: Path) -> None:
    """The host helps itself: files back, service started anew."""
    lab.write("m1", UNIT, lab.read("m1", UNIT).replace("\t'--kube-apiserver-arg=v=1' \\\n", ""))
    lab.ssh("m1", ["systemctl", "daemon-reload"])
    before = configuration(lab, "m1")
    interrupted = Interrupted(lab, policy, "--limit", "m1", **SOON)
    lab.ssh("m1", ["timeout", "180", "sh", "-c", f"until test -e {DROP_IN}; do sleep 0.05; done"])
    interrupted.kill()
    wait_until(lambda: exists(lab, "m1", f"{STATE}/restored"), "the timer has not fired", 60)
    wait_until(lambda: bool(server(lab, "m1")) and audit_flags(lab, "m1") == [], "no API server without auditing runs")
    lab.wait_until_ready()
    assert before == configuration(lab, "m1")

    succeed(enable(lab, policy, "--limit", "m1"))

    assert ["restored-by-timer", "deployed"] == [entry["outcome"] for entry in records(lab, "m1")][-2:]
    assert "" == timers(lab, "m1")
