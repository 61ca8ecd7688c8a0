"""The way from a plugin to kaudit_core, on the controller: found, of the same version, and given plain values."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

VERSION = "0.1.0"
INSTALL = f"install it into the Python that runs ansible-playbook: pip install kaudit=={VERSION}"


def core(module: str) -> Any:
    """A module of kaudit_core, which has this collection's version; `module` is its name below kaudit_core."""
    _use_clone()
    try:
        package = importlib.import_module("kaudit_core")
    except ModuleNotFoundError:
        # Ansible would append the cause, and the command must end the line.
        raise AnsibleError(f"the Python package kaudit is missing; {INSTALL}") from None
    found = getattr(package, "__version__", "unknown")
    if found != VERSION:
        raise AnsibleError(
            f"the collection kaudit.k8s is {VERSION} and the Python package kaudit is {found}; {INSTALL}"
        )
    return importlib.import_module(f"kaudit_core.{module}")


def _use_clone() -> None:
    """In a clone the package lies beside the collection."""
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path and Path(root, "kaudit_core", "__init__.py").exists():
        sys.path.append(root)


def plain(value: Any) -> Any:
    """A value without Ansible's own subclasses of str, dict and list, which libraries in C don't take for such."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise AnsibleError(
            f"a variable holds something other than text, numbers, lists and mappings: {error}"
        ) from error
