"""Waits until a new API server runs with the manifest's flags, is ready and stays so; says why where it does not."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host
from ..plugin_utils.server import container_logs, list_servers


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.prove_restart."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the proven process, or fail with why and the server's last words."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._restart = core("provisioning.restart")
        self._host = Host(self, task_vars or {})
        self._flags: dict[int, dict[str, str]] = {}
        given = plain(self._task.args)
        self._api = given["api"]
        watch = self._restart.RestartWatch(
            flags=core("provisioning.manifest").inspect(given["manifest"]).audit_flags,
            before=frozenset(given.get("before") or []),
            logs_before=frozenset(given.get("logs_before") or []),
            settle=float(given["settle"]),
            limit=float(given["limit"]),
            began=time.monotonic(),
        )
        while (verdict := watch.observe(self._look(watch))) == self._restart.WAITING:
            time.sleep(0.3)
        result.update(changed=False)
        if verdict == self._restart.PROVEN:
            result.update(process=asdict(watch.process))
            return result
        words = self._restart.last_words(*self._evidence(watch))
        escaped = [core("report.escaping").visible(line, 400) for line in words]
        said = f"; its last words: {' | '.join(escaped)}" if escaped else ""
        result.update(failed=True, why=watch.why, last_words=escaped, msg=f"{watch.why}{said}")
        return result

    def _look(self, watch: Any) -> Any:
        """Look at the host once; container logs only while nothing runs that could be ready."""
        processes: dict[Any, dict[str, Any]] = {}
        for process in self._restart.parse_processes(list_servers(self._host)):
            if process.pid in watch.before:
                processes[process] = {}
            elif (flags := self._flags_of(process.pid)) is not None:
                processes[process] = flags
        running = any(process.pid not in watch.before for process in processes)
        status = self._host.request(self._api, "/readyz", timeout=5)["status"] if running else 0
        logs = frozenset() if status == 200 else frozenset(container_logs(self._host))
        return self._restart.Seen(time.monotonic(), processes, status, logs)

    def _flags_of(self, pid: int) -> dict[str, str] | None:
        """A process's audit flags, None once it has ended."""
        if pid not in self._flags:
            cmdline = self._host.read(f"/proc/{pid}/cmdline")
            if not cmdline:
                return None
            self._flags[pid] = self._restart.server_flags(cmdline)
        return self._flags[pid]

    def _evidence(self, watch: Any) -> tuple[str, str]:
        """The newest container log that wasn't there before, and what the kubelet said meanwhile."""
        new = [log for log in container_logs(self._host) if log not in watch.logs_before]
        container = self._host.command(["tail", "-n", "40", new[-1]], fine=(0, 1)) if new else ""
        seconds = int(time.monotonic() - watch.began) + 30
        kubelet = self._host.command(
            ["journalctl", "-u", "kubelet", "-o", "cat", "--no-pager", "-n", "500", f"--since=-{seconds}s"], fine=(0, 1)
        )
        return container, kubelet
