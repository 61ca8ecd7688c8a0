"""The oracles: one running Go process per pinned version, shared by all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.oracle.upstream import PINS, Oracle


@pytest.fixture(scope="session")
def oracles() -> Iterator[dict[str, Oracle]]:
    """Oracles by the Kubernetes version they stand for; closed at the end."""
    running = {version: Oracle(version) for version in PINS}
    yield running
    for oracle in running.values():
        oracle.close()
