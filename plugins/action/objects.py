"""Applies objects to the API server of a master, or removes them, with no kubectl; check mode asks the server too."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.host import Host

APPLY = {"Content-Type": "application/apply-patch+yaml"}


class Refused(Exception):
    """The API server does not do what it was asked; the text says why."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.objects."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the names of the objects that were or would be changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._objects, given = core("provisioning.objects"), plain(self._task.args)
        self._host, self._api = Host(self, task_vars or {}), given["api"]
        act = self._remove if given.get("state") == "absent" else self._apply
        result.update(changed=False, names=[], diff=[])
        for value in self._objects.read_objects(given["text"]):
            before = self._found(value)
            try:
                after = act(value, before)
                self._wait(value, float(given.get("ready_timeout") or 0))
            except Refused as error:
                result.update(failed=True, msg=f"{self._objects.title(value)}: {error}")
                return result
            if self._objects.essence(before) != self._objects.essence(after):
                header = self._objects.title(value)
                texts = {"before": self._objects.shown(before), "after": self._objects.shown(after)}
                result["diff"].append({**texts, "before_header": header, "after_header": header})
                result["names"].append(header)
        result["changed"] = bool(result["names"])
        return result

    def _found(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """The object as it is, None if it isn't there."""
        answer = self._host.request(self._api, self._objects.uri(value))
        return plain(answer["json"]) if answer["status"] == 200 else None

    def _apply(self, value: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
        """Apply an object; in check mode let the server do all but store it."""
        dry = bool(self._task.check_mode)
        answer = self._patch(value, dry)
        if answer["status"] == 404 and dry and value["metadata"].get("namespace"):
            # Its namespace is not there yet: it is checked in another one.
            answer = self._patch(self._objects.elsewhere(value), dry)
            if answer["status"] in (200, 201):
                return {**plain(answer["json"]), "metadata": value["metadata"]}
        if answer["status"] not in (200, 201):
            raise Refused(f"{said(answer)}; see the manifests in audit_receiver_directory")
        applied: dict[str, Any] = plain(answer["json"])
        return applied

    def _wait(self, value: dict[str, Any], limit: float) -> None:
        """Wait until a Deployment runs as it was applied."""
        if value["kind"] != "Deployment" or not limit or self._task.check_mode:
            return
        deadline = time.monotonic() + limit
        while not self._objects.is_rolled_out(self._found(value)):
            if time.monotonic() > deadline:
                name = f"{value['metadata']['name']} -n {value['metadata']['namespace']}"
                raise Refused(f"not available after {limit:.0f} s; see kubectl describe deployment {name}")
            time.sleep(1)

    def _patch(self, value: dict[str, Any], dry: bool) -> dict[str, Any]:
        uri = self._objects.uri(value) + self._objects.applying(dry)
        return self._host.request(self._api, uri, "PATCH", body=json.dumps(value), headers=APPLY)

    def _remove(self, value: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any] | None:
        """Remove an object, and what belongs to it."""
        if before is None or before["metadata"].get("deletionTimestamp"):
            return before
        query = "?propagationPolicy=Background" + ("&dryRun=All" if self._task.check_mode else "")
        answer = self._host.request(self._api, self._objects.uri(value) + query, "DELETE")
        if answer["status"] not in (200, 202, 404):
            raise Refused(f"not removed: {said(answer)}")
        return None


def said(answer: dict[str, Any]) -> str:
    """What the API server answered, in its own words."""
    told = answer.get("json")
    message = told.get("message") if isinstance(told, dict) else None
    return str(message or answer.get("msg") or f"status {answer['status']}")
