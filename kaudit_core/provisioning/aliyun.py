"""What tells the Logtail agent of a cluster registered with ACK to collect the audit log: variables of the container.

As the guide for registered clusters sets them; the log store is named audit-<cluster id>.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from kaudit_core.provisioning.refusal import SettingsError

_CLUSTER: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def aliyun_cluster(given: Any, backends: Collection[str]) -> str:
    """The id of the cluster, "" for none; raises SettingsError."""
    variable = "apiserver_audit_aliyun_logs"
    if given in (None, ""):
        return ""
    # An underscore begins one of the suffixes below.
    if not isinstance(given, str) or not _CLUSTER.fullmatch(given):
        raise SettingsError(
            f"{variable}: {given!r} is no cluster id; write the one that the ACK console shows, letters, digits and '-'"
        )
    if "log" not in backends:
        raise SettingsError(
            f"{variable}: Logtail reads the log file, and there is none; add log to apiserver_audit_backends"
        )
    return given


def aliyun_env(cluster: str, log_path: str) -> dict[str, str | None]:
    """Name and value of each variable."""
    if not cluster:
        return {}
    store = f"aliyun_logs_audit-{cluster}"
    return {
        store: log_path,
        f"{store}_tags": "audit=apiserver",
        f"{store}_product": "k8s-audit",
        f"{store}_jsonfile": "true",
    }
