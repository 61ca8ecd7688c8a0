"""Labs as fixtures. Where nothing is cached yet, the first one waits for what `make test` builds beside the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab
from tests.lab.packages import obstacle


@pytest.fixture(scope="session")
def lab_machine() -> None:
    """A machine that can boot hosts, or a skip that says why it can't."""
    reason = obstacle()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def cluster(lab_machine: None) -> Iterator[Lab]:
    """Three masters, booted once per module. Use `reset` too in every test that changes a host."""
    with Lab(hosts=3) as lab:
        yield lab


@pytest.fixture
def reset(cluster: Lab) -> Iterator[Lab]:
    """The module's cluster; afterwards its hosts go back to how they booted, which is faster than booting."""
    yield cluster
    cluster.reset()
