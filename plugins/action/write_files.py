"""Writes the files of a deployment in their order, each only if it still is what was read."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import plain
from ..plugin_utils.host import Host


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.write_files."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the paths that changed; files: of a plan, contents: by path, the `text` or `file` of those without."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._host, self._vars = Host(self, task_vars or {}), task_vars or {}
        given = plain(self._task.args)
        result.update(changed=False, paths=[], diff=[])
        for change in given["files"]:
            try:
                done = self._write(change, (given.get("contents") or {}).get(change["path"]) or {})
            except AnsibleError as error:
                done = {"failed": True, "msg": str(error.message)}
            if done.get("failed"):
                result.update(failed=True, msg=f"{change['path']}: {done.get('msg')}")
                return result
            if done.get("changed"):
                result.update(changed=True, paths=[*result["paths"], change["path"]])
            if not change["secret"]:
                result["diff"] += _shown(done.get("diff") or [], change["path"])
        return result

    def _write(self, change: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        """Write one file, or take it away; return what Ansible's own module said."""
        told = self._host.module("stat", {"path": change["path"], "checksum_algorithm": "sha256"})
        if told.get("failed"):
            return told
        there = told["stat"]
        if (there.get("checksum") or "" if there["exists"] else "") != change["before_sha256"]:
            return {"failed": True, "msg": "changed since it was read; run the play again"}
        if not change["sha256"]:
            return self._file({"path": change["path"], "state": "absent"})
        above = os.path.dirname(change["path"])
        if not (there["exists"] or self._host.exists(above)):
            made = self._file({"path": above, "state": "directory", "owner": "root", "group": "root", "mode": "0700"})
            if made.get("failed"):
                return made
        owner = {"owner": there["uid"], "group": there["gid"]} if there["exists"] and not change["mode"] else {}
        mode = change["mode"] or (there["mode"] if there["exists"] else "0600")
        target = {"dest": change["path"], "mode": mode, **(owner or {"owner": "root", "group": "root"})}
        if change["source"]:
            return self._copy({**target, "src": change["source"], "remote_src": True})
        if content.get("file"):
            return self._copy({**target, "src": content["file"]})
        return self._copy_text(content["text"] if change["text"] is None else change["text"], target)

    def _copy_text(self, text: str, target: dict[str, Any]) -> dict[str, Any]:
        """Copy a text byte for byte: the option `content` takes some texts for values."""
        descriptor, path = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
            return self._copy({**target, "src": path})
        finally:
            os.unlink(path)

    def _file(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run ansible.builtin.file in the task's own check mode."""
        return dict(
            self._execute_module(module_name="ansible.builtin.file", module_args=arguments, task_vars=self._vars)
        )

    def _copy(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run ansible.builtin.copy in the task's own check and diff mode."""
        task = self._task.copy()
        task.args = arguments
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return dict(action.run(task_vars=self._vars))


def _shown(diff: Any, path: str) -> list[dict[str, Any]]:
    """The differences under the file's own name, not that of a copy on the controller."""
    return [
        {**each, **({"after_header": path} if "after_header" in each else {})}
        for each in (diff if isinstance(diff, list) else [diff])
    ]
