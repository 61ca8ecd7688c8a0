"""The file operations that durability rests on, in one place so that tests can make each of them fail."""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """Plain system calls. Each raises OSError; a write may have written a part of the data by then."""

    def open(self, path: Path) -> int:
        """A descriptor that appends to a file, which is made if it is missing and readable by its owner only."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of the data."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written survives a loss of power."""
        os.fdatasync(descriptor)

    def cut(self, descriptor: int, size: int) -> None:
        """Shorten a file."""
        os.ftruncate(descriptor, size)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory survive a loss of power."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        """Make a directory that is its owner's alone, and its parents, durably."""
        if path.is_dir():
            return
        self.make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_directory(path.parent)

    def free(self, path: Path) -> int:
        """Bytes that an ordinary user may still write to the file system of a path."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize
