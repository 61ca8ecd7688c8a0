"""Labs as fixtures. `python -m tests.lab build` first: a cold build outlasts the guard against hanging tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab
from tests.lab.packages import obstacle


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs root on Debian and boots masters; seconds to minutes each")


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
