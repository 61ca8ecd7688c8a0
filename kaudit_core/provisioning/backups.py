"""How many backups stay on a host. Policies and originals are kept elsewhere: going back needs no backup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from posixpath import basename
from typing import Any

from kaudit_core.provisioning.backend_flags import whole_number


def check_backups(variables: Mapping[str, Any]) -> int:
    """How many deployments keep their backup; raises SettingsError."""
    return whole_number("apiserver_audit_keep_backups", variables.get("keep_backups", 5), 1)


def old_backups(directories: Iterable[str], keep: Any) -> list[str]:
    """The directories that may go: all but the newest, whose names, being times, are the last."""
    newest_first = sorted(directories, key=basename, reverse=True)
    return newest_first[check_backups({"keep_backups": keep}) :]
