"""The rows L1-L10 of tests/policy/test_reader.py, put to the upstream reader."""

from __future__ import annotations

import pytest

from tests.oracle.policy_answers import differences
from tests.oracle.upstream import PINS, Oracle
from tests.policy.test_reader import BETA, MANAGED, ROWS, STAR

pytestmark = pytest.mark.oracle

TEXTS = {name: row.text for name, row in ROWS.items()} | {"L8-star": STAR, "L1-beta": BETA, "L11-managed": MANAGED}


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize("name", TEXTS)
def test_a_row_is_what_upstream_does(oracles: dict[str, Oracle], version: str, name: str) -> None:
    """Refused or loaded alike, and the same policy."""
    assert [] == differences(oracles[version], [TEXTS[name].encode()])
