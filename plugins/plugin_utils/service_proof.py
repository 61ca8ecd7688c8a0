"""The proof of a service that runs its API server in its own process: by systemd and the journal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .core import core
from .host import Host
from .server import service_process, show_service, start_line


def prove_service(host: Host, given: Mapping[str, Any]) -> dict[str, Any]:
    """Wait for a new API server with the flags that were written; return the proven process, or why there is none."""
    restart, began, unit = core("provisioning.k3s.restart"), time.monotonic(), str(given["unit"])
    watch = restart.ServiceWatch(
        flags=given["flags"],
        before=frozenset(given.get("before") or []),
        restarts_before=int(given.get("restarts_before") or 0),
        settle=float(given["settle"]),
        limit=float(given["limit"]),
        began=began,
        kept=frozenset(given.get("kept") or []),
    )
    while (verdict := watch.observe(_look(host, unit, given["api"], watch))) == restart.WAITING:
        time.sleep(0.3)
    if verdict == restart.PROVEN:
        return {"process": service_process(host, watch.pid)}
    since = int(time.monotonic() - began) + 30
    journal = ["journalctl", "-u", unit, "-o", "cat", "--no-pager", "-n", "2000", f"--since=-{since}s"]
    return {"why": watch.why, "last_words": restart.last_words(host.command(journal, fine=(0, 1)))}


def _look(host: Host, unit: str, api: Mapping[str, str], watch: Any) -> Any:
    """Look at the service once; the API server is asked only while it is a new one's."""
    service = show_service(host, unit)
    new = service.pid and service.pid not in watch.before
    line = start_line(host, unit, service.pid) if new else ""
    status = host.request(api, "/readyz", timeout=5)["status"] if line or service.pid in watch.kept else 0
    return core("provisioning.k3s.restart").Seen(time.monotonic(), service.pid, service.restarts, line, status)
