"""The table of pitfalls in docs/decisions: every one is there, and what its row names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "decisions" / "0015-pitfalls.md"
PLACES = ("tests", "kaudit_core/provisioning", "roles/apiserver_audit/tasks")
ROWS = dict(re.findall(r"^\| P(\d+) (.*)\|$", TABLE.read_text(), re.MULTILINE))


def test_every_pitfall_has_its_row() -> None:
    """P1 to P37, in order, each with a way and something that shows it."""
    assert [str(number) for number in range(1, 38)] == list(ROWS)
    assert {3} == {len(row.split("|")) for row in ROWS.values()}


def test_rows_name_what_is_there() -> None:
    """Code, task files and tests; nearly every row has a test."""
    named = {number: re.findall(r"`([\w/]+\.(?:py|yml))`", row) for number, row in ROWS.items()}
    missing = {
        (number, name)
        for number, names in named.items()
        for name in names
        if not any((ROOT / place / name).is_file() for place in PLACES)
    }

    assert set() == missing
    assert ["31"] == [number for number, names in named.items() if not any("test_" in name for name in names)]
