"""Disks that fail, end the process, or lose what was not synced, at any operation."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from kaudit_core.receiver.disk import Disk

Hook = Callable[[str], None]


class HookedDisk(Disk):
    """Calls a hook before, between and after the operations that change anything; it may raise OSError."""

    def __init__(self, hook: Hook) -> None:
        self.hook = hook

    def open(self, path: Path) -> int:
        self.hook("before open")
        opened = super().open(path)
        try:
            self.hook("after open")
        except OSError:
            os.close(opened)
            raise
        return opened

    def write(self, descriptor: int, data: bytes) -> None:
        self.hook("before write")
        super().write(descriptor, data[: len(data) // 2])
        self.hook("amid write")
        super().write(descriptor, data[len(data) // 2 :])
        self.hook("after write")

    def sync(self, descriptor: int) -> None:
        self.hook("before sync")
        super().sync(descriptor)
        self.hook("after sync")

    def cut(self, descriptor: int, size: int) -> None:
        self.hook("before cut")
        super().cut(descriptor, size)
        self.hook("after cut")

    def rename(self, old: Path, new: Path) -> None:
        self.hook("before rename")
        super().rename(old, new)
        # A rename either fails or happens: no error comes after it.

    def remove(self, path: Path) -> None:
        self.hook("before remove")
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self.hook("before sync directory")
        super().sync_directory(path)
        self.hook("after sync directory")


class Countdown:
    """A hook that acts at the nth operation, and at all later ones for as long as it lasts."""

    def __init__(self, act: Callable[[], None], at: int, lasting: int = 1) -> None:
        self.act, self.at, self.lasting, self.count = act, at, lasting, 0

    def __call__(self, operation: str) -> None:
        self.count += 1
        if self.at <= self.count < self.at + self.lasting:
            self.act()


def failing(number: int) -> Callable[[], None]:
    """An act that raises the OSError of a number."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


class ForgetfulDisk(Disk):
    """A disk whose power can be cut: what was not synced is then lost, wholly or from some byte on.

    Names follow the order in which they were changed, as in a journal: some of the last changes are undone.
    """

    def __init__(self, rng: random.Random, stash: Path) -> None:
        self._rng, self._stash = rng, stash
        self._safe: dict[Path, int] = {}  # file -> bytes that were synced
        self._names: list[tuple[Path, Callable[[], None]]] = []  # directory, how to undo a change of a name
        self._files: dict[int, Path] = {}

    def open(self, path: Path) -> int:
        is_new = not path.exists()
        descriptor = super().open(path)
        self._files[descriptor] = path
        self._safe.setdefault(path, 0 if is_new else path.stat().st_size)
        if is_new:
            self._names.append((path.parent, lambda: self._vanish(path)))
        return descriptor

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self._safe[self._files[descriptor]] = os.fstat(descriptor).st_size

    def cut(self, descriptor: int, size: int) -> None:
        super().cut(descriptor, size)
        path = self._files[descriptor]
        self._safe[path] = min(self._safe[path], size)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._moved(old, new)
        self._names.append((new.parent, lambda: self._undo_rename(old, new)))

    def remove(self, path: Path) -> None:
        stashed = self._stash / f"{len(list(self._stash.iterdir()))}"
        os.rename(path, stashed)
        self._names.append((path.parent, lambda: os.rename(stashed, path)))

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self._names = [(directory, undo) for directory, undo in self._names if directory != path]

    def lose_power(self) -> None:
        """Undo what need not have reached the disk."""
        for _ in range(self._rng.randint(0, len(self._names))):
            self._names.pop()[1]()
        for path, safe in self._safe.items():
            if path.exists():
                os.truncate(path, self._rng.randint(min(safe, path.stat().st_size), path.stat().st_size))

    def _moved(self, old: Path, new: Path) -> None:
        self._safe[new] = self._safe.pop(old, 0)
        for descriptor, path in self._files.items():
            if path == old:
                self._files[descriptor] = new

    def _undo_rename(self, old: Path, new: Path) -> None:
        os.rename(new, old)
        self._moved(new, old)

    def _vanish(self, path: Path) -> None:
        path.unlink(missing_ok=True)
