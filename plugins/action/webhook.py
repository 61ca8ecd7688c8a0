"""Puts together, on the controller, the webhook's kubeconfig for one master, or reads the one that lies there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.folder import read_tree
from ..plugin_utils.host import Host

FILES = ("ca", "client_certificate", "client_key", "kubeconfig")
"""Variables that hold a text, or name a file on the controller."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.webhook."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the kubeconfig and the probe's parameters, which are secret, or `problem` for a task that shows it.

        variables, api_server, service: what is wanted; or path: of the kubeconfig on the host, aliases: of its pod.

        no_log would hide an error too, so that none is raised here for what a variable holds.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        connection, given = core("provisioning.webhook_connection"), plain(self._task.args)
        variables = dict(given.get("variables") or {})
        result.update(changed=False, problem="")
        try:
            if "path" in given:
                result.update(connection.found(self._read(task_vars, given["path"]), given["path"], given["aliases"]))
                return result
            variables.update(self._texts(variables))
            folder = variables.get("receiver_directory")
            tree = read_tree(Path(str(folder))) if folder else {}
            made = connection.wanted(variables, tree, given["api_server"], given.get("service"), datetime.now(UTC))
        except (ValueError, AnsibleError) as error:
            result.update(problem=str(error))
            return result
        result.update(made)
        return result

    def _read(self, task_vars: dict[str, Any] | None, path: str) -> str:
        """A kubeconfig on the host."""
        data = Host(self, task_vars or {}).read(path)
        if data is None:
            raise ValueError(f"{path}: no such file; run enable.yml")
        return data.decode(errors="replace")

    def _texts(self, variables: dict[str, Any]) -> dict[str, str]:
        """The contents of what was given as files."""
        texts = {}
        for name in FILES:
            value = str(variables.get(name) or "")
            if not value or "\n" in value or value.startswith("-----BEGIN"):
                continue
            try:
                texts[name] = Path(self._loader.get_real_file(self._find_needle("files", value))).read_text()
            except (AnsibleError, OSError, ValueError):
                raise ValueError(
                    f"apiserver_audit_webhook_{name}: {value} can't be read on the controller; check the path"
                ) from None
        return texts
