"""A play that is killed or cut off right after it wrote the manifest: the host helps itself, and a re-run finishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import (
    SECRETS_ONLY,
    STATE,
    Interrupted,
    audit_flags,
    enable,
    exists,
    records,
    server,
    succeed,
    timers,
    touched_files,
    wait_for_change,
    wait_until,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
# The shortest deadline that the play takes.
SOON = {"apiserver_audit_ready_timeout": 10, "apiserver_audit_settle_seconds": 1, "apiserver_audit_restore_after": 12}


@pytest.fixture(scope="module")
def pair(lab_machine: None) -> Iterator[Lab]:
    with Lab(hosts=2) as lab:
        yield lab


@pytest.fixture
def lab(pair: Lab) -> Iterator[Lab]:
    """Two masters of one cluster; only m1 is changed, and m2 must stay as it is."""
    before = (server(pair, "m2"), touched_files(pair, "m2"))
    yield pair
    assert before == (server(pair, "m2"), touched_files(pair, "m2"))
    pair.reset()


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(SECRETS_ONLY)
    return path


def outcomes(lab: Lab) -> list[str]:
    """How the deployments on m1 ended."""
    return [entry["outcome"] for entry in records(lab, "m1")]


def wait_for_the_timer(lab: Lab, booted: str) -> None:
    """Wait until the host has restored itself and its API server is ready again."""
    wait_until(lambda: exists(lab, "m1", f"{STATE}/restored"), "the timer has not fired", 40)
    assert booted == lab.read("m1", MANIFEST)
    wait_until(lambda: not audit_flags_or_none(lab), "no API server without auditing runs")
    lab.wait_until_ready()


def audit_flags_or_none(lab: Lab) -> list[str]:
    """The running server's audit flags; something else while none runs."""
    return audit_flags(lab, "m1") if server(lab, "m1") else ["no server"]


def test_the_timer_restores_after_a_kill_and_a_rerun_finishes(lab: Lab, policy: Path) -> None:
    booted = lab.read("m1", MANIFEST)
    play = Interrupted(lab, policy, "--limit", "m1", **SOON)
    wait_for_change(lab, "m1", booted)
    play.kill()
    wait_for_the_timer(lab, booted)

    again = succeed(enable(lab, policy, "--limit", "m1"))

    assert ["m1"] == again.restarts
    assert (["restored-by-timer", "deployed"], "") == (outcomes(lab), timers(lab, "m1"))


def test_a_rerun_at_once_finishes_without_another_restart(lab: Lab, policy: Path) -> None:
    booted = lab.read("m1", MANIFEST)
    with lab.poller() as poller:
        poller.wait_for(set(lab.hosts))
        play = Interrupted(lab, policy, "--limit", "m1")
        wait_for_change(lab, "m1", booted)
        play.kill()
        again = lab.read("m1", MANIFEST)
        succeed(enable(lab, policy, "--limit", "m1", answering=poller.answering()))

    assert ["m1"] == [outage.host for outage in poller.outages()]
    assert again == lab.read("m1", MANIFEST)
    assert (["deployed"], "") == (outcomes(lab), timers(lab, "m1"))


def test_a_cut_connection_ends_the_play_and_a_rerun_finishes(lab: Lab, policy: Path) -> None:
    booted = lab.read("m1", MANIFEST)
    play = Interrupted(lab, policy, "--limit", "m1", **SOON)
    wait_for_change(lab, "m1", booted)
    lab.cut("m1")
    try:
        code = play.wait(limit=240)
    finally:
        lab.mend("m1")
    assert 0 != code, play.text
    wait_for_the_timer(lab, booted)

    again = succeed(enable(lab, policy, "--limit", "m1"))

    assert ["m1"] == again.restarts
    assert (["restored-by-timer", "deployed"], "") == (outcomes(lab), timers(lab, "m1"))
