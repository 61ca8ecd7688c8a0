"""Keeps the ConfigMap kubeadm-config in step, so that the next kubeadm upgrade keeps auditing (pitfall P15)."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host

URI = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
KEY = "ClusterConfiguration"


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.kubeadm_config."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether it had to be changed, and how it was before (None: this cluster has none)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        on_host, host, given = core("provisioning.on_host"), Host(self, task_vars or {}), plain(self._task.args)
        answer = host.request(given["api"], URI)
        result.update(changed=False, before=None)
        if answer["status"] == 404:
            return result
        try:
            found = plain(answer.get("json") or {})
            before = found["data"][KEY]
            after = on_host.kubeadm_config(
                before, given["state"], given["ours"], given["wanted"], given.get("original") or ""
            )
        except (on_host.HostRefused, ValueError) as error:
            result.update(failed=True, msg=str(error))
            return result
        except (KeyError, TypeError):
            said = answer.get("msg") or answer["status"]
            result.update(failed=True, msg=f"ConfigMap kube-system/kubeadm-config can't be read: {said}")
            return result
        result.update(before=before, changed=after != before)
        if result["changed"]:
            header = "kube-system/kubeadm-config"
            result["diff"] = {"before": before, "after": after, "before_header": header, "after_header": header}
            if not self._task.check_mode:
                found["data"][KEY] = after
                self._put(result, host, given["api"], found)
        return result

    def _put(self, result: dict[str, Any], host: Host, api: dict[str, str], configmap: dict[str, Any]) -> None:
        """Write it; its resourceVersion makes the API server refuse if somebody else was faster."""
        headers = {"Content-Type": "application/json"}
        answer = host.request(api, URI, "PUT", body=json.dumps(configmap), headers=headers)
        if answer["status"] != 200:
            said = (answer.get("json") or {}).get("message") or answer.get("msg")
            result.update(
                failed=True, msg=f"ConfigMap kube-system/kubeadm-config was not updated: {said}; run it again"
            )
