"""Reads files of a host, some of which may not be there."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import plain
from ..plugin_utils.host import Host


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.read_files."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `results`: of each path its `item`, and its `content` in base64 if the file is there."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        host = Host(self, task_vars or {})
        results = []
        try:
            for path in plain(self._task.args)["paths"]:
                data = host.read(path)
                found = {} if data is None else {"content": b64encode(data).decode()}
                results.append({"item": path, **found})
        except AnsibleError as error:
            result.update(failed=True, msg=str(error.message))
        result.update(changed=False, results=results)
        return result
