"""A hostPath volume with its volumeMount in a static pod: put there, changed, taken away."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from kaudit_core.provisioning.intent import Mount
from kaudit_core.provisioning.mounts import provides
from kaudit_core.provisioning.pod import VOLUMES, items
from kaudit_core.provisioning.pod_view import mounts_of
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path


def put_mount(editor: Editor, container: Path, mount: Mount, known: Set[str], ours: Set[str]) -> None:
    """Have exactly this volume and this volumeMount, unless a mount of others brings the directory in already.

    known: names that are ours to change; ours: these and those that are wanted now.
    """
    mounts = (*container, "volumeMounts")
    volume_at, mount_at = _find(editor, VOLUMES, mount.name), _find(editor, mounts, mount.name)
    if volume_at is None and mount_at is None:
        others = [view for view in mounts_of(editor, container) if view.name not in ours]
        if provides(others, mount.host_path, mount.container_path, mount.read_only):
            return
    _check_path_free(editor, mounts, mount)
    volume, volume_mount = _volume(mount), _volume_mount(mount)
    if volume_at is not None and not _same(editor, volume_at, volume, mount_at, volume_mount):
        _check_ours(editor, container, mount, known, volume_at, mount_at)
    _put(editor, mounts, mount_at, volume_mount)
    _put(editor, VOLUMES, volume_at, volume)


def drop_mount(editor: Editor, container: Path, name: str, mount: Mount | None = None) -> None:
    """Take the volumeMount of a name away, and the volume unless another container uses it."""
    mounts = (*container, "volumeMounts")
    volume_at, mount_at = _find(editor, VOLUMES, name), _find(editor, mounts, name)
    if mount is not None and volume_at is not None:
        _check_ours(editor, container, mount, frozenset(), volume_at, mount_at, shared=True)
    if mount_at is not None:
        editor.remove(mount_at)
    if volume_at is not None and _user(editor, name, ()) is None:
        editor.remove(volume_at)


def _volume(mount: Mount) -> dict[str, Any]:
    return {"hostPath": {"path": mount.host_path, "type": mount.type}, "name": mount.name}


def _volume_mount(mount: Mount) -> dict[str, Any]:
    made: dict[str, Any] = {"mountPath": mount.container_path, "name": mount.name}
    return {**made, "readOnly": True} if mount.read_only else made


def _put(editor: Editor, path: Path, at: Path | None, wanted: dict[str, Any]) -> None:
    if at is None:
        editor.add(path, [wanted])
    elif not _equal(editor.get(at), wanted):
        editor.replace(at, wanted)


def _equal(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Equal to the API server: readOnly false is the same as none."""
    return {"readOnly": False, **found} == {"readOnly": False, **wanted}


def _same(
    editor: Editor, volume_at: Path, volume: dict[str, Any], mount_at: Path | None, mount: dict[str, Any]
) -> bool:
    return _equal(editor.get(volume_at), volume) and (mount_at is None or _equal(editor.get(mount_at), mount))


def _find(editor: Editor, path: Path, name: str) -> Path | None:
    found = [index for index, item in enumerate(items(editor, path)) if item.get("name") == name]
    if len(found) > 1:
        raise editor.refusal((*path, found[1]), f"{name} is there twice", "leave one of them, or use another name")
    return (*path, found[0]) if found else None


def _check_path_free(editor: Editor, mounts: Path, mount: Mount) -> None:
    for index, item in enumerate(items(editor, mounts)):
        same_path = str(item.get("mountPath", "")).rstrip("/") == mount.container_path.rstrip("/")
        if same_path and item.get("name") != mount.name:
            problem = f"{mount.container_path} is already the mount of volume {item.get('name')}"
            raise editor.refusal((*mounts, index), problem, "use that volume's name, or another path")


def _check_ours(
    editor: Editor,
    container: Path,
    mount: Mount,
    known: Set[str],
    volume_at: Path,
    mount_at: Path | None,
    shared: bool = False,
) -> None:
    """A volume of this name is ours if it is a hostPath and agrees in one path, and no other container uses it."""
    volume = editor.get(volume_at)
    host = volume.get("hostPath")
    advice = "use another volume name"
    if not isinstance(host, dict):
        raise editor.refusal(volume_at, f"volume name {mount.name} is taken by something else", advice)
    inside = editor.get(mount_at).get("mountPath") if mount_at is not None else None
    if mount.name not in known and host.get("path") != mount.host_path and inside != mount.container_path:
        raise editor.refusal(volume_at, f"volume name {mount.name} is taken by {host.get('path')}", advice)
    user = None if shared else _user(editor, mount.name, container)
    if user is not None:
        raise editor.refusal(user, f"volume {mount.name} is mounted here too, so it can't be changed", advice)


def _user(editor: Editor, name: str, container: Path) -> Path | None:
    """A container other than this one that mounts the volume."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, _ in enumerate(items(editor, ("spec", kind))):
            path = ("spec", kind, index)
            if path != container and _find(editor, (*path, "volumeMounts"), name) is not None:
                return path
    return None
