"""Prints the state of all masters as a table, writes it as JSON, and fails where a master has drifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.core import core, plain


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.show_status."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the table's lines and the JSON's file."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = plain(self._task.args)
        text = core("report.status_text").status_text(given["masters"])
        file = Path(given["directory"]) / "status.json"
        core("report.files").write_whole(file, json.dumps({"masters": given["masters"]}, indent=2) + "\n")
        Display().display(f"\n{text}")
        result.update(changed=False, json=str(file))
        drifted = [each["master"] for each in given["masters"] if each["drift"]]
        if drifted:
            result.update(failed=True, msg=f"{', '.join(drifted)}: not as deployed; see above, or {file}")
        return result
