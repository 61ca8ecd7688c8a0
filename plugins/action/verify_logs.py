"""Judges the fetched logs of all masters on the controller, prints the report, and fails with the findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.core import core, plain


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.verify_logs."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the report's files; failed where `kaudit verify` would exit with another code than 0."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        masters, given = core("verification.masters"), plain(self._task.args)
        directory, strict = Path(given["directory"]), bool(given["strict"])
        policy = (given["policy"].encode(), given["source"]) if given.get("policy") else None
        result.update(changed=False)
        try:
            found = masters.verify_masters(directory, given["hosts"], policy, int(given["examples"]))
        except masters.LogsUnusable as error:
            result.update(failed=True, msg=str(error))
            return result
        text = core("report.masters_text").masters_text(found, strict)
        files = core("report.files")
        files.write_whole(directory / "verify.json", json.dumps(found.as_json(), indent=2) + "\n")
        files.write_whole(directory / "verify.txt", text)
        Display().display(f"\n{text}")
        summary = found.summary
        code = summary.exit_code(strict)
        result.update(report=str(directory / "verify.txt"), json=str(directory / "verify.json"), code=code)
        if code:
            findings = core("report.masters_text").findings_text(summary)
            result.update(
                failed=True, msg=f"the logs are not what their policies promise: {findings}; see {result['report']}"
            )
        elif not summary.events:
            result.update(
                failed=True, msg="there are no records, so nothing was verified; is auditing on (status.yml)?"
            )
        return result
