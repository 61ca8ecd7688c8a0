"""What action plugins ask of a host: modules of ansible.builtin only, so that nothing of kaudit is needed there."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class Host:
    """The host of a running action."""

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any]) -> None:
        self._action = action
        self._task_vars = task_vars

    def module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Run a module of ansible.builtin, in check mode too: what is asked here changes nothing."""
        task = self._action._task
        checking, task.check_mode = task.check_mode, False
        try:
            return dict(
                self._action._execute_module(
                    module_name=f"ansible.builtin.{name}", module_args=dict(arguments), task_vars=self._task_vars
                )
            )
        finally:
            task.check_mode = checking

    def command(self, argv: Sequence[str], fine: Sequence[int] = (0,)) -> str:
        """What a command printed; AnsibleError for an exit code that isn't fine."""
        result = self.module("command", {"argv": list(argv), "strip_empty_ends": False})
        if result.get("rc") not in fine:
            raise AnsibleError(f"{' '.join(argv)}: {result.get('stderr') or result.get('msg')}")
        return str(result.get("stdout", ""))

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None where there is none; AnsibleError for one that can't be read."""
        result = self.module("slurp", {"src": path})
        if "content" in result:
            return b64decode(result["content"])
        if "not found" in str(result.get("msg")):
            return None
        advice = "connect as root, or set ansible_become" if "not readable" in str(result.get("msg")) else "look at it"
        raise AnsibleError(f"{path}: can't be read on the host: {result.get('msg')}; {advice}")

    def exists(self, path: str) -> bool:
        """Whether something is there; AnsibleError where that can't be seen."""
        result = self.module("stat", {"path": path, "get_checksum": False})
        if "stat" not in result:
            raise AnsibleError(f"{path}: {result.get('msg')}; connect as root, or set ansible_become")
        return bool(result["stat"]["exists"])

    def request(self, api: Mapping[str, str], uri: str, method: str = "GET", **more: Any) -> dict[str, Any]:
        """A request to the API server, as an administrator; `status` is its code, 0 or less without an answer."""
        arguments = {
            "url": api["url"] + uri,
            "method": method,
            "ca_path": api["ca"],
            "client_cert": api["certificate"],
            "client_key": api["key"],
            "use_proxy": False,
            "timeout": 10,
            "return_content": True,
            "status_code": list(range(100, 600)),
        }
        result = self.module("uri", {**arguments, **more})
        return {**result, "status": max(int(result.get("status") or 0), 0)}
