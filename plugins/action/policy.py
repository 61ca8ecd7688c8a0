"""Reads an audit policy on the controller and refuses it there; the host isn't touched."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.policy."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the policy's source, sha256, notes, and its text or the file to copy."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(changed=False)
        deployable, given = core("policy.deployable"), plain(self._task.args)
        version, found = given.get("kubernetes_version") or None, ""
        try:
            composition = given.get("composition") or {}
            chosen = core("policy.composition").one_source({**composition, **given})
            if version and given.get("nearest"):
                version = str(core("provisioning.on_host").policy_version(version))
            if chosen == "preset":
                policy, _ = deployable.check_preset(composition, version)
            else:
                data, source, found = self._given(deployable, given)
                policy = deployable.check_policy(data, source, version)
        except (deployable.PolicyRefused, ValueError) as error:
            result.update(failed=True, msg=str(error))
            return result
        result.update(sha256=policy.sha256, source=policy.source, notes=policy.notes, file=found, text=policy.text)
        return result

    def _given(self, deployable: Any, given: dict[str, Any]) -> tuple[bytes, str, str]:
        """The policy's bytes, a name for messages, and its file ("" for a variable)."""
        file, content = given.get("file"), given.get("content")
        if content:
            return deployable.policy_text(content).encode(), "audit_policy_content", ""
        try:
            found = self._find_needle("files", file)
            with open(self._loader.get_real_file(found), "rb") as opened:
                return opened.read(), str(file), found
        except (AnsibleError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such file"
            raise ValueError(f"{file}: can't be read: {reason}; check audit_policy_file") from error
