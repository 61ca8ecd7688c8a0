"""One master as it is in production: the kubelet's and the server's own pace, and the settle time as it comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.deploying import SECRETS_ONLY, Run, enable, records, succeed
from tests.lab.lab import Lab
from tests.lab.masters import Profile

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def production(lab_machine: None) -> Iterator[Lab]:
    with Lab(hosts=1, profile=Profile(fast=False)) as lab:
        yield lab


@pytest.fixture(scope="module")
def enabled(production: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    return succeed(enable(production, policy, apiserver_audit_settle_seconds=21, apiserver_audit_ready_timeout=180))


def test_it_is_restarted_once(enabled: Run) -> None:
    assert ["m1"] == enabled.restarts


def test_it_is_proved_with_an_event_of_our_own(production: Lab, enabled: Run) -> None:
    [entry] = records(production, "m1")

    assert ("deployed", True) == (entry["outcome"], entry["own_event"])
