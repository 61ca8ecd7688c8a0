"""Reads files of a host, some of which may not be there."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.read_files."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `results`: of each path its `item`, and its `content` in base64 if the file is there.

        paths: what to read; deployments: the paths of a master, where the files that its record names are read too.
        secrets: those of them whose content nobody may see; of these, and of those that the record calls secret, only
        the `sha256` is returned.
        found: what find_start returned, of which the files and `start` are passed on.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._host, given = Host(self, task_vars or {}), plain(self._task.args)
        result.update(changed=False)
        on_host = core("provisioning.on_host")
        try:
            found = given.get("found") or {"results": []}
            known = {each["item"] for each in found["results"]}
            secrets = set(given.get("secrets") or [])
            asked = [path for path in given["paths"] if path not in known]
            results = [*found["results"], *(self._read(path, path in secrets) for path in asked)]
            if given.get("deployments"):
                more = on_host.named_files({"results": results}, given["deployments"])
                secrets.update(on_host.secret_files({"results": results}, given["deployments"]))
                results += [self._read(path, path in secrets) for path in more]
        except (AnsibleError, on_host.HostRefused) as error:
            result.update(failed=True, msg=str(getattr(error, "message", error)))
            return result
        result.update(results=results, start=found.get("start"))
        return result

    def _read(self, path: str, secret: bool) -> dict[str, Any]:
        data = self._host.read(path)
        if data is None:
            return {"item": path}
        if secret:
            return {"item": path, "sha256": sha256(data).hexdigest()}
        return {"item": path, "content": b64encode(data).decode()}
