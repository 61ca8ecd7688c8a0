"""A list of rules in a file of its own, read as the API server reads the rules of a policy."""

from __future__ import annotations

from typing import Any

from kaudit_core.policy.document import Unreadable
from kaudit_core.policy.findings import STRICT


def read_rules(data: bytes) -> Any:
    """Return what the file holds. ValueError, with line and column, where the server would read something else."""
    # PyYAML costs more to import than the rest of a command that reads no list.
    from kaudit_core.policy.yaml_document import read_yaml

    try:
        document = read_yaml(data)
    except Unreadable as error:
        raise ValueError(f"{error.line}:{error.column}: {error.message}") from error
    for remark in document.remarks:
        if remark.severity == STRICT:
            line, column = document.place(remark.position) if remark.position is not None else (1, 1)
            raise ValueError(f"{line}:{column}: {remark.message}")
    return document.root
