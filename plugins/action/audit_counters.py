"""Reads how many audit events an API server has had, and how many its backends have lost."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.audit_counters."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `events` and `errors` since the server was started; fail where it doesn't tell."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        api = plain(self._task.args)["api"]
        answer = Host(self, task_vars or {}).request(api, "/metrics")
        result.update(changed=False)
        if answer["status"] != 200:
            said = answer.get("msg") or f"status {answer['status']}"
            result.update(failed=True, msg=f"{api['url']}/metrics can't be read ({said}); look at the API server's log")
            return result
        result.update(core("provisioning.server_counters").audit_counters(str(answer.get("content") or "")))
        return result
