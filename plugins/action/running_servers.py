"""Which API servers run on a host, with their audit flags."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core
from ..plugin_utils.host import Host
from ..plugin_utils.server import container_logs, list_servers


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.running_servers."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the processes, their ids, the container logs that are there, and the host's time."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        restart, host = core("provisioning.restart"), Host(self, task_vars or {})
        processes = []
        for process in restart.parse_processes(list_servers(host)):
            cmdline = host.read(f"/proc/{process.pid}/cmdline")
            if cmdline:
                processes.append({**asdict(process), "audit_flags": restart.server_flags(cmdline)})
        pids = [process["pid"] for process in processes]
        now = host.command(["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"]).strip()
        result.update(changed=False, processes=processes, pids=pids, logs=container_logs(host), now=now)
        return result
