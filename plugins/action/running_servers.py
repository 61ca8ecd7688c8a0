"""Which API servers run on a host, with their audit flags."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host
from ..plugin_utils.server import container_logs, list_servers, service_process, show_service, start_line


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.running_servers."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the processes, their ids, the container logs that are there, and the host's time.

        unit: of a service that runs the API server in its own process; then also how often systemd restarted it.
        audit_flags of a process are None where nothing says them any more.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        host, unit = Host(self, task_vars or {}), plain(self._task.args).get("unit")
        if unit:
            service = show_service(host, unit)
            processes = [self._of_service(host, unit, service.pid)] if service.pid else []
            result.update(restarts=service.restarts, logs=[])
        else:
            processes = self._servers(host)
            result.update(restarts=0, logs=container_logs(host))
        pids = [process["pid"] for process in processes]
        now = host.command(["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"]).strip()
        result.update(changed=False, processes=processes, pids=pids, now=now)
        return result

    def _servers(self, host: Host) -> list[dict[str, Any]]:
        restart, made = core("provisioning.restart"), []
        for process in restart.parse_processes(list_servers(host)):
            cmdline = host.read(f"/proc/{process.pid}/cmdline")
            if cmdline:
                made.append({**asdict(process), "audit_flags": restart.server_flags(cmdline)})
        return made

    def _of_service(self, host: Host, unit: str, pid: int) -> dict[str, Any]:
        flags = core("provisioning.k3s.restart").running_flags(start_line(host, unit, pid))
        return {**service_process(host, pid), "audit_flags": flags}
