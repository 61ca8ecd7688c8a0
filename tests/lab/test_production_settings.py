"""One master as it is in production: the kubelet's and the server's own pace, and the settle time as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import SECRETS_ONLY, Run, enable, records, server, succeed, touched_files
from tests.lab.lab import Lab
from tests.lab.masters import Profile

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def production(lab_machine: None) -> Iterator[Lab]:
    with Lab(hosts=1, profile=Profile(fast=False)) as lab:
        yield lab


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(SECRETS_ONLY)
    return path


@pytest.fixture(scope="module")
def unasked(production: Lab, policy: Path) -> Run:
    """Before anything else: the only master, and nobody has agreed to an outage."""
    before = server(production, "m1"), touched_files(production, "m1")
    run = enable(production, policy, apiserver_audit_allow_outage=False)
    assert before == (server(production, "m1"), touched_files(production, "m1"))
    return run


@pytest.fixture(scope="module")
def enabled(production: Lab, policy: Path, unasked: Run) -> Run:
    return succeed(enable(production, policy, apiserver_audit_settle_seconds=21, apiserver_audit_ready_timeout=180))


def test_nobody_has_agreed_to_the_outage(unasked: Run) -> None:
    assert 2 == unasked.code, unasked.text
    assert "m1 is the only master of cluster kubernetes: while its API server starts again" in unasked.said
    assert "agree to it with apiserver_audit_allow_outage: true" in unasked.said
    assert [] == unasked.restarts


def test_a_run_that_changes_nothing_needs_no_word(production: Lab, policy: Path, enabled: Run) -> None:
    again = succeed(enable(production, policy, apiserver_audit_allow_outage=False))

    assert 0 == again.recap["m1"]["changed"], again.text


def test_it_is_restarted_once(enabled: Run) -> None:
    assert ["m1"] == enabled.restarts


def test_it_is_proved_with_an_event_of_our_own(production: Lab, enabled: Run) -> None:
    [entry] = records(production, "m1")

    assert ("deployed", True) == (entry["outcome"], entry["own_event"])
