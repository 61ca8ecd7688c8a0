"""Waits until a new API server runs with the flags that were written, is ready and stays so; says why if it isn't."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host
from ..plugin_utils.server import container_logs, kubelet_runs, list_servers, restart_kubelet, stop_container
from ..plugin_utils.service_proof import prove_service


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.prove_restart."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the proven process, or fail with why and the server's last words."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._host, given = Host(self, task_vars or {}), plain(self._task.args)
        result.update(changed=False)
        found = prove_service(self._host, given) if given.get("unit") else self._prove(given)
        steps = found.get("steps", [])
        result.update(changed=bool(steps), steps=steps)
        if "process" in found:
            result.update(process=found["process"])
            return result
        escaped = [core("report.escaping").visible(line, 400) for line in found["last_words"]]
        said = f"; its last words: {' | '.join(escaped)}" if escaped else ""
        helped = "".join(f" (the kubelet had missed the manifest: {step['said']})" for step in steps[-1:])
        result.update(failed=True, why=found["why"], last_words=escaped, msg=f"{found['why']}{helped}{said}")
        return result

    def _prove(self, given: dict[str, Any]) -> dict[str, Any]:
        """Watch the static pod; return the proven process, or why there is none."""
        self._restart = core("provisioning.restart")
        self._flags: dict[int, dict[str, str]] = {}
        self._words = ""
        self._api = given["api"]
        watch = self._restart.RestartWatch(
            flags=given["flags"],
            before=frozenset(given.get("before") or []),
            logs_before=frozenset(given.get("logs_before") or []),
            settle=float(given["settle"]),
            limit=float(given["limit"]),
            began=time.monotonic(),
            escalate=bool(given.get("escalate")),
            exactly=bool(given.get("exactly", True)),
        )
        self._steps: list[dict[str, Any]] = []
        while (verdict := watch.observe(self._look(watch))) in (self._restart.WAITING, self._restart.MISSED):
            if verdict == self._restart.MISSED:
                self._escalate(watch)
            time.sleep(0.3)
        if verdict == self._restart.PROVEN:
            return {"process": asdict(watch.process), "steps": self._steps}
        words = self._restart.last_words(*self._evidence(watch))
        return {"why": watch.why, "last_words": words, "steps": self._steps}

    def _escalate(self, watch: Any) -> None:
        """Help a kubelet on that has missed the manifest, one step further."""
        at = time.monotonic()
        step = watch.next_step(kubelet_runs(self._host), at)
        if step == self._restart.STOP:
            said = stop_container(self._host, sorted(watch.before))
        else:
            said = restart_kubelet(self._host)
        visible = core("report.escaping").visible(f"{step}: {said or 'done'}", 400)
        self._steps.append({"step": step, "after": round(at - watch.began), "said": visible})
        self._display.vv(f"prove_restart: {visible}")

    def _look(self, watch: Any) -> Any:
        """Look at the host once; container logs only while nothing runs that could be ready."""
        processes: dict[Any, dict[str, Any]] = {}
        for process in self._restart.parse_processes(list_servers(self._host)):
            if process.pid in watch.before:
                processes[process] = {}
            elif (flags := self._flags_of(process.pid)) is not None:
                processes[process] = flags
        running = any(process.pid not in watch.before for process in processes)
        asked = running or (processes and watch.asks_the_old(time.monotonic()))
        status = self._host.request(self._api, "/readyz", timeout=5)["status"] if asked else 0
        logs = [] if status == 200 else container_logs(self._host)
        if not running:
            self._keep_words([log for log in logs if log not in watch.logs_before])
        return self._restart.Seen(time.monotonic(), processes, status, frozenset(logs))

    def _keep_words(self, logs: list[str]) -> None:
        """Keep what the last server that ended said: the kubelet removes its log, and the next one's is empty yet."""
        for log in reversed(logs):
            words = self._host.command(["tail", "-n", "40", log], fine=(0, 1))
            if words.strip():
                self._words = words
                return

    def _flags_of(self, pid: int) -> dict[str, str] | None:
        """A process's audit flags, None once it has ended."""
        if pid not in self._flags:
            cmdline = self._host.read(f"/proc/{pid}/cmdline")
            if not cmdline:
                return None
            self._flags[pid] = self._restart.server_flags(cmdline)
        return self._flags[pid]

    def _evidence(self, watch: Any) -> tuple[str, str]:
        """What the newest container that wasn't there before said, and what the kubelet said meanwhile."""
        self._keep_words([log for log in container_logs(self._host) if log not in watch.logs_before])
        seconds = int(time.monotonic() - watch.began) + 30
        kubelet = self._host.command(
            ["journalctl", "-u", "kubelet", "-o", "cat", "--no-pager", "-n", "500", f"--since=-{seconds}s"], fine=(0, 1)
        )
        return self._words, kubelet
