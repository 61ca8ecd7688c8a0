"""Gathers, on the controller, the wheels that a receiver's host installs; the host is only asked for its Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..plugin_utils.core import core, plain
from ..plugin_utils.folder import write_files
from ..plugin_utils.host import Host


class ActionModule(ActionBase):  # type: ignore[misc]
    """kaudit.k8s.receiver_package."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `archive`, the `release` that it is, its `requirement`, and `pip`, the wheel that installs it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._package, given = core("provisioning.receiver_package"), plain(self._task.args)
        result.update(changed=False)
        try:
            answer = Host(self, task_vars or {}).command([given["python"], "-c", self._package.LOOK])
            target = self._package.Target.read(answer, given["python"])
            requirement = given["package"] or self._package.REQUIREMENT
            wheels = self._wheels(given, target, requirement)
            name, archive = self._package.release(wheels, requirement, target)
        except ValueError as error:
            result.update(failed=True, msg=str(error))
            return result
        path = Path(given["directory"], "releases", f"{name}.tar")
        if not path.exists():
            write_files(path.parent, {path.name: archive})
        pip = self._package.pip_wheel(list(wheels))
        result.update(release=name, archive=str(path), requirement=requirement, pip=pip)
        return result

    def _wheels(self, given: dict[str, Any], target: Any, requirement: str) -> dict[str, bytes]:
        """The wheels by name: from a directory, or downloaded once for such a Python."""
        own = {} if given["package"] else dict([self._package.own_wheel()])
        if given["wheelhouse"]:
            brought = _read_wheels(Path(given["wheelhouse"]))
            return brought if any(name.startswith("kaudit-") for name in brought) else own | brought
        key = target.key(requirement, given["index_url"], *(data.hex() for data in own.values()))
        folder = Path(given["directory"], "wheels", key)
        if not folder.exists():
            self._download(given, target, requirement, own, folder)
        return _read_wheels(folder)

    def _download(
        self, given: dict[str, Any], target: Any, requirement: str, own: dict[str, bytes], folder: Path
    ) -> None:
        """Fill the directory, which is there only when it is whole."""
        new = folder.with_name(f"{folder.name}.{given['host']}.new")
        shutil.rmtree(new, ignore_errors=True)
        write_files(new, own)
        what = f"{new / next(iter(own))}[receive]" if own else requirement
        command = self._package.download(sys.executable, target, what, given["index_url"], new)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise AnsibleError(self._package.download_problem(done.stdout + done.stderr, requirement))
        try:
            new.rename(folder)
        except OSError:
            # Another host's task was faster.
            shutil.rmtree(new, ignore_errors=True)


def _read_wheels(folder: Path) -> dict[str, bytes]:
    """Every wheel in a directory."""
    try:
        found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".whl"}
    except OSError as error:
        raise ValueError(f"{folder}: can't be read: {error.strerror}; check audit_receiver_wheelhouse") from error
    if not found:
        raise ValueError(f"{folder}: holds no wheels; check audit_receiver_wheelhouse")
    return found
