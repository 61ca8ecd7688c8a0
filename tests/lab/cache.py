"""Things built once and kept outside the repository, under a name made of their inputs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.oracle.upstream import cache_directory

# A file beside each thing: touched when it is used.
USED = ".used"
KEPT_DAYS = 14


def say(message: str) -> None:
    """Show progress on stderr."""
    print(f"lab: {message}", file=sys.stderr, flush=True)


def files_below(directory: Path) -> list[Path]:
    """Every file of a directory, in a stable order."""
    return sorted(path for path in directory.rglob("*") if path.is_file() or path.is_symlink())


def digest_of(inputs: Iterable[str | Path]) -> str:
    """One short name for texts and files, directories included: their paths and their bytes."""
    digest = hashlib.sha256()
    for each in inputs:
        if isinstance(each, str):
            digest.update(b"text\0" + each.encode() + b"\0")
            continue
        for path in files_below(each) if each.is_dir() else [each]:
            digest.update(f"file\0{path.relative_to(each.parent)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cached(name: str, inputs: Iterable[str | Path], make: Callable[[Path], None]) -> Path:
    """Return the directory that `make` filled for these inputs; other processes wait while one makes it."""
    home = cache_directory() / "lab"
    finished = home / f"{name}-{digest_of(inputs)}"
    home.mkdir(parents=True, exist_ok=True)
    finished.with_name(finished.name + USED).touch()
    if finished.exists():
        return finished
    with locked(home / f"{name}.lock", f"waiting for another run that makes {name}"):
        if finished.exists():
            return finished
        # Only the holder of the lock makes these, so older ones are what a killed run left.
        for left in home.glob(f".{name}-*"):
            shutil.rmtree(left)
        _drop_unused(home, name)
        say(f"making {name}")
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=home, prefix=f".{name}-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir(mode=0o755)
            make(made)
            made.rename(finished)
        say(f"made {name} in {time.monotonic() - start:.0f} s")
    return finished


def _drop_unused(home: Path, name: str) -> None:
    """Remove what was made under this name for other inputs and has not been used for long."""
    for used in home.glob(f"{name}-{'[0-9a-f]' * 16}{USED}"):
        if time.time() - used.stat().st_mtime > KEPT_DAYS * 86400:
            shutil.rmtree(used.with_suffix(""), ignore_errors=True)
            used.unlink()


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold an exclusive lock; it ends with the process."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(message)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
