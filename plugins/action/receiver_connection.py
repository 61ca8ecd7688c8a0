"""Makes or renews, on the controller, the receivers' certificates and what API servers need to reach them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.folder import read_tree, write_files

GIVEN = ("certificate", "key", "ca", "client_ca")


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.receiver_connection."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `shown`: what may be told of it, `report`: that in lines, and `addresses`; no secrets."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        receiver, settings = core("provisioning.receiver"), core("provisioning.receiver_settings")
        given = plain(self._task.args)
        folder = Path(str(given["variables"]["directory"]))
        try:
            if settings.is_removed(given["variables"]):
                result.update(changed=False)
                return result
            on_hosts = given["variables"]["placement"] == "host"
            hosts = {host[0]: receiver.address_of(*host) for host in given["hosts"]} if on_hosts else {}
            wanted = settings.receiver_settings(given["variables"], hosts)
            found = read_tree(folder)
            brought = receiver.given_certificates(self._given(given["variables"]))
            made = receiver.connect(wanted, found, brought, datetime.now(UTC).replace(microsecond=0))
        except ValueError as error:
            result.update(failed=True, changed=False, msg=str(error))
            return result
        changed = {name: text.encode() for name, text in made.files.items() if found.get(name) != text}
        if not self._task.check_mode:
            write_files(folder, changed)
        elif "authority/ca.crt" in changed:
            made.shown["authority_sha256"] = "not known before it is made"
        result["requirement"] = core("provisioning.receiver_package").REQUIREMENT
        lines = receiver.report(made.shown, str(wanted.directory))
        result.update(changed=bool(changed), notes=made.notes, shown=made.shown, report=lines, addresses=hosts)
        if changed:
            names = "".join(f"{name}\n" for name in changed)
            result["diff"] = {"prepared": "".join(f"{note}\n" for note in made.notes) + names}
        return result

    def _given(self, variables: dict[str, Any]) -> dict[str, str]:
        """The texts of the certificates that the operator brings."""
        texts = {}
        for name in GIVEN:
            if not variables[name]:
                continue
            try:
                texts[name] = Path(self._loader.get_real_file(self._find_needle("files", variables[name]))).read_text()
            except (AnsibleError, OSError, ValueError):
                raise ValueError(
                    f"audit_receiver_{name}: {variables[name]} can't be read on the controller; check the path"
                ) from None
        return texts
