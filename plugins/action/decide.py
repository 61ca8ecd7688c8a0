"""One decision of kaudit_core about what was read of a host, taken on the controller; changes nothing."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.decide."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `decision`, or fail with the one sentence that says what is wrong and what to do."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        on_host = core("provisioning.on_host")
        given = plain(self._task.args)
        result.update(changed=False)
        try:
            result.update(decision=on_host.DECISIONS[given["what"]](**given["given"]))
        except (on_host.HostRefused, ValueError) as error:
            result.update(failed=True, msg=str(error))
        return result
