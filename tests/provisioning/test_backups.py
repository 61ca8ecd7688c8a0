"""Backups on a host: the newest stay, and the number is checked by its variable's name."""

from __future__ import annotations

from typing import Any

import pytest

from kaudit_core.provisioning.backups import check_backups, old_backups
from kaudit_core.provisioning.refusal import SettingsError

FOUND = [f"/var/lib/kaudit/backups/2026112{day}T043000Z" for day in (3, 1, 4, 2)]


@pytest.mark.parametrize(("keep", "gone"), [(1, "321"), ("3", "1"), (4, ""), (5, "")])
def test_the_newest_stay(keep: Any, gone: str) -> None:
    """Names are times; the order in which they are found says nothing."""
    assert list(gone) == [path[-9] for path in old_backups(FOUND, keep)]


@pytest.mark.parametrize("keep", [0, -1, "x", None, True])
def test_number_is_checked(keep: Any) -> None:
    """The backup of a deployment under way is always kept."""
    with pytest.raises(SettingsError, match=r"^apiserver_audit_keep_backups: .* is no whole number from 1"):
        check_backups({"keep_backups": keep})
