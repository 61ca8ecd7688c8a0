"""What mounts have to do with flags: a path in a flag must be one that the container can see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_READ: tuple[str, ...] = ("audit-policy-file", "audit-webhook-config-file")


@dataclass(frozen=True)
class MountView:
    """A mount as found; host_path and type are "" where the volume is no hostPath."""

    name: str
    container_path: str
    read_only: bool
    host_path: str = ""
    type: str = ""


def unreachable(flags: Mapping[str, str], mounts: Iterable[MountView]) -> tuple[str, str] | None:
    """The first audit flag whose file the container can't use, and why not."""
    views = list(mounts)
    for name in _READ:
        path = flags.get(name, "")
        if path and _mount_of(path, views) is None:
            return name, f"{path} is below no mount of the container"
    log = flags.get("audit-log-path", "")
    if log in ("", "-"):
        return None
    mount = _mount_of(log, views)
    if mount is None:
        return "audit-log-path", f"{log} is below no mount, so the log would be lost with the container"
    if mount.read_only:
        return "audit-log-path", f"{log} is below mount {mount.name}, which is read-only"
    if mount.container_path == log:
        # Rotation renames the file, which a mounted file doesn't allow (pitfall P8).
        return "audit-log-path", f"{log} is itself a mount, so it can't be rotated"
    return None


def provides(mounts: Iterable[MountView], host_path: str, container_path: str, read_only: bool) -> bool:
    """Whether a directory of the host is in the container already, at this path and at least as writable."""
    found = _mount_of(container_path, mounts)
    if found is None or not found.host_path or found.type in ("File", "FileOrCreate"):
        return False
    below = container_path.rstrip("/").removeprefix(found.container_path.rstrip("/"))
    return found.host_path.rstrip("/") + below == host_path.rstrip("/") and (read_only or not found.read_only)


def _mount_of(path: str, mounts: Iterable[MountView]) -> MountView | None:
    """The innermost mount that a path is in."""
    around = [mount for mount in mounts if is_below(path, mount.container_path)]
    return max(around, key=lambda mount: len(mount.container_path.rstrip("/")), default=None)


def is_below(path: str, directory: str) -> bool:
    """Whether a path is a directory or something in it."""
    return f"{path}/".startswith(directory.rstrip("/") + "/")
