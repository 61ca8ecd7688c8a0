"""Prints the state of all masters as a table and writes it as JSON; fails where one has drifted, or two differ."""

from __future__ import annotations

import json
from dataclasses import asdict
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
        masters, drift = given["masters"], core("provisioning.drift")
        masters += [asdict(drift.Status(name, drift.UNKNOWN, drift=["could not be read"])) for name in given["unread"]]
        differing = core("provisioning.differing").differing(
            masters, [given["clusters"][each["master"]] for each in masters]
        )
        text = core("report.status_text").status_text(masters, differing)
        file = Path(given["directory"]) / "status.json"
        found = {"masters": masters, "differing": differing}
        core("report.files").write_whole(file, json.dumps(found, indent=2) + "\n")
        Display().display(f"\n{text}")
        result.update(changed=False, json=str(file))
        drifted = [each["master"] for each in masters if each["drift"]]
        if drifted or differing:
            what = f"{', '.join(drifted)}: not as deployed" if drifted else "; ".join(differing)
            result.update(failed=True, msg=f"{what}; see above, or {file}")
        return result
