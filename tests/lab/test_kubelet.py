"""A kubelet that does not take the manifest up: it is helped on, or the change is taken back with the cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import (
    CONFIGMAPS_ONLY,
    SECRETS_ONLY,
    Run,
    audit_flags,
    enable,
    records,
    server,
    succeed,
    timers,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
DROP_IN = "/run/systemd/system/kubelet.service.d"
FORBID = f"""
systemctl stop kubelet
mkdir -p {DROP_IN}
printf '[Unit]\\nRefuseManualStart=yes\\n' >{DROP_IN}/forbid.conf
systemctl daemon-reload
"""
ALLOW = f"rm {DROP_IN}/forbid.conf; systemctl daemon-reload; systemctl start kubelet"


@pytest.fixture(scope="module")
def one(lab_machine: None) -> Iterator[Lab]:
    with Lab(hosts=1) as lab:
        yield lab


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("policies")
    made = [directory / "secrets.yaml", directory / "configmaps.yaml"]
    for path, text in zip(made, (SECRETS_ONLY, CONFIGMAPS_ONLY), strict=True):
        path.write_text(text)
    return made


@pytest.fixture(scope="module")
def stopped(one: Lab, policies: list[Path]) -> Run:
    """The kubelet was stopped by somebody, before the play."""
    one.ssh("m1", ["systemctl", "stop", "kubelet"])
    return succeed(enable(one, policies[0]))


def test_a_kubelet_that_was_stopped_is_started(one: Lab, stopped: Run) -> None:
    assert "s after the change: restart the kubelet: done" in stopped.said
    assert "stop the container" not in stopped.said
    assert "deployed" == records(one, "m1")[-1]["outcome"]
    assert audit_flags(one, "m1")


@pytest.fixture(scope="module")
def frozen(one: Lab, policies: list[Path], stopped: Run) -> Run:
    """The kubelet hangs: it is there, and does nothing."""
    one.ssh("m1", ["pkill", "-STOP", "-x", "kubelet"])
    return succeed(enable(one, policies[1]))


def test_a_kubelet_that_hangs_is_started_anew(one: Lab, frozen: Run) -> None:
    assert "s after the change: restart the kubelet: done" in frozen.said
    assert ["deployed", "deployed"] == [entry["outcome"] for entry in records(one, "m1")]


def test_one_outage_is_enough(frozen: Run) -> None:
    assert ["m1"] == frozen.restarts


@pytest.fixture(scope="class")
def forbidden(one: Lab, policies: list[Path], frozen: Run) -> Iterator[tuple[tuple[str, str], Run]]:
    """The kubelet is stopped, and systemd lets nobody start it."""
    before = server(one, "m1"), one.read("m1", MANIFEST)
    one.ssh("m1", ["sh", "-ec", FORBID])
    yield before, enable(one, policies[0])
    one.ssh("m1", ["sh", "-ec", ALLOW])


class TestAKubeletThatCannotBeStarted:
    """Nothing of the change stays, and the server that runs is left alone."""

    def test_the_cause_is_named(self, forbidden: tuple[tuple[str, str], Run]) -> None:
        _, run = forbidden

        assert 2 == run.code, run.text
        assert "the old API server still runs: the kubelet has not taken the manifest up" in run.said
        assert "restart the kubelet: Failed to restart kubelet.service: Operation refused" in run.said
        assert "Its API server serves as before" in run.said

    def test_everything_is_as_before(self, one: Lab, forbidden: tuple[tuple[str, str], Run]) -> None:
        before, run = forbidden

        assert before == (server(one, "m1"), one.read("m1", MANIFEST))
        assert [] == run.restarts
        assert "rolled-back" == records(one, "m1")[-1]["outcome"]
        assert "" == timers(one, "m1")
