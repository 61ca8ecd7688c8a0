"""A directory on the controller that only its owner can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ansible.errors import AnsibleError


def read_tree(folder: Path) -> dict[str, str]:
    """Every text file below it, by its name."""
    try:
        return {
            path.relative_to(folder).as_posix(): path.read_text(errors="replace")
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in (".crt", ".key", ".pem", ".yaml", ".json")
        }
    except OSError as error:
        raise AnsibleError(f"{error.filename}: can't be read: {error.strerror}; check its owner") from error


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files at once each, readable by their owner only, in this order."""
    try:
        for name, data in files.items():
            path = folder / name
            for parent in reversed([path.parent, *path.parent.parents]):
                parent.mkdir(mode=0o700, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.unlink(missing_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            new.replace(path)
    except OSError as error:
        advice = "check audit_receiver_directory"
        raise AnsibleError(f"{error.filename}: can't be written: {error.strerror}; {advice}") from error
