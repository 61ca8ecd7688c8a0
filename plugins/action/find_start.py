"""Finds how a host's API server is started: kubeadm's manifest, or a service of k3s or RKE2 with all its files."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.find_start."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `start`, what was found, and `results`, its files, as read_files gives them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._host, given = Host(self, task_vars or {}), plain(self._task.args)
        self._results: dict[str, dict[str, Any]] = {}
        refused = core("provisioning.refusal").EditRefused
        try:
            start = self._start(given["distribution"], given["unit"], given["manifest"])
        except (AnsibleError, refused, ValueError) as error:
            result.update(failed=True, changed=False, msg=str(getattr(error, "message", error)))
            return result
        result.update(changed=False, start=start, results=list(self._results.values()))
        return result

    def _start(self, distribution: str, unit: str, manifest: str) -> dict[str, Any]:
        """Look for the manifest first: where there is one, the kubelet starts the API server."""
        kubeadm = core("provisioning.on_host").KUBEADM
        if distribution == kubeadm["distribution"]:
            return dict(kubeadm)
        if not distribution and self._host.exists(manifest):
            return dict(kubeadm)
        found = core("provisioning.k3s.found")
        listed = self._host.command(found.LIST_UNITS, fine=(0, 1))
        scripts = self._host.command(found.LIST_SCRIPTS, fine=(0, 1, 2))
        try:
            chosen = found.search(distribution, unit, listed, scripts)
        except core("provisioning.refusal").EditRefused as error:
            also = "" if distribution else f"; kubeadm's {manifest} is not there either"
            raise AnsibleError(f"{error}{also}") from error
        search = found.begin(*chosen, self._host.command(found.show(chosen[1])))
        self._read(search, search.unit_files)
        self._read(search, search.environment())
        config = search.config()
        names = self._host.command(["find", f"{config}.d", "-maxdepth", "1", "!", "-type", "d"], fine=(0, 1))
        self._read(search, search.found(found.configuration_names(names)))
        start: dict[str, Any] = search.start()
        self._read(search, start["more"])
        return start

    def _read(self, search: Any, paths: Any) -> None:
        """Read files into the search and into the result."""
        for path in paths:
            if path in self._results:
                continue
            data = self._host.read(path)
            self._results[path] = {"item": path}
            if data is not None:
                self._results[path]["content"] = b64encode(data).decode()
                search.texts[path] = data.decode()
