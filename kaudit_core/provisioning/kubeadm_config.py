"""Auditing in kubeadm's ClusterConfiguration, as the ConfigMap kubeadm-config stores it: apply, inspect, remove.

The next `kubeadm upgrade` writes the manifest anew from this text (pitfall P15). It has no place for annotations:
those of an intent are left out here and belong into a patch file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from kaudit_core.provisioning.flags import audit_flags, normalized
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.mounts import MountView, provides, unreachable
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path, Scalar

__all__ = ["AuditIntent", "ClusterConfigurationView", "EditRefused", "apply", "inspect", "remove"]

PART: Final = "ClusterConfiguration"
ARGS: Final[Path] = ("apiServer", "extraArgs")
VOLUMES: Final[Path] = ("apiServer", "extraVolumes")
_MAPS: Final = ("kubeadm.k8s.io/v1beta2", "kubeadm.k8s.io/v1beta3")
_LISTS: Final = ("kubeadm.k8s.io/v1beta4",)


@dataclass(frozen=True)
class ClusterConfigurationView:
    """What a ClusterConfiguration says about auditing; flags: the last of several."""

    api_version: str
    kubernetes_version: str
    flags: dict[str, str] = field(default_factory=dict)
    mounts: tuple[MountView, ...] = ()

    @property
    def audit_flags(self) -> dict[str, str]:
        """The flags that are about auditing."""
        return audit_flags(self.flags)


def apply(text: str, intent: AuditIntent, previous: AuditIntent | None = None) -> str:
    """The configuration with the intent's flags and mounts in it; `previous` as in manifest.apply."""
    editor = _open(text)
    wanted = intent.after(previous) if previous else intent
    known = frozenset(mount.name for mount in previous.mounts) if previous else frozenset()
    for name in wanted.absent_mounts:
        _drop_volume(editor, name)
    new: dict[str, str] = {}
    for name, value in wanted.flags.items():
        _drop_flag(editor, name, keep=0 if value is None else 1)
        if value is not None and not _change_flag(editor, name, value):
            new[name] = value
    if new:
        editor.add(ARGS, new if _is_map(editor) else [{"name": name, "value": value} for name, value in new.items()])
    ours = known.union(mount.name for mount in wanted.mounts)
    for mount in wanted.mounts:
        others = [each for each in _view(editor).mounts if each.name not in ours]
        there = _find_volume(editor, mount.name) is not None
        if there or not provides(others, mount.host_path, mount.container_path, mount.read_only):
            _put_volume(editor, mount, mount.name in known)
    view = _view(editor)
    if wanted.flags and (found := unreachable(view.flags, view.mounts)):
        raise editor.refusal(VOLUMES, f"{found[0]}: {found[1]}", "mount its directory")
    return editor.text


def inspect(text: str) -> ClusterConfigurationView:
    """What the configuration says about auditing."""
    return _view(_open(text))


def remove(text: str, intent: AuditIntent) -> str:
    """The configuration without what the intent brings: the text before apply, where nothing of it was there before."""
    editor = _open(text)
    for mount in reversed(intent.mounts):
        at = _find_volume(editor, mount.name)
        if at is not None:
            _check_ours(editor, at, mount)
        _drop_volume(editor, mount.name)
    for name in intent.flags:
        _drop_flag(editor, name)
    return editor.text


def _open(text: str) -> Editor:
    editor = Editor(text, PART)
    root = editor.get(())
    if not isinstance(root, dict) or root.get("kind") != "ClusterConfiguration":
        raise editor.refusal((), "this is no ClusterConfiguration", "give that key of the ConfigMap kubeadm-config")
    if root.get("apiVersion") not in (*_MAPS, *_LISTS):
        known = ", ".join(name.rpartition("/")[2] for name in (*_MAPS, *_LISTS))
        raise editor.refusal(("apiVersion",), f"unknown version {root.get('apiVersion')}", f"known are {known}")
    server = editor.get(("apiServer",))
    if not isinstance(server, dict | None):
        raise editor.refusal(("apiServer",), "this is not a mapping", "repair the configuration first")
    wanted = dict if _is_map(editor) else list
    if not isinstance(editor.get(ARGS), wanted | None):
        raise editor.refusal(ARGS, f"this is no {wanted.__name__} as its version wants", "repair it first")
    _items(editor, VOLUMES)
    return editor


def _is_map(editor: Editor) -> bool:
    return editor.get(("apiVersion",)) in _MAPS


def _items(editor: Editor, path: Path) -> list[dict[str, Any]]:
    value = editor.get(path) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise editor.refusal(path, "this is no list of mappings", "repair the configuration first")
    return value


def _uses(editor: Editor) -> list[tuple[str, Any, Path, Path]]:
    """Every flag: name, value as found (kubeadm wants strings), path of its entry, path of its value."""
    if _is_map(editor):
        entries = (editor.get(ARGS) or {}).items()
        return [(normalized(str(name)), value, (*ARGS, name), (*ARGS, name)) for name, value in entries]
    made = []
    for index, item in enumerate(_items(editor, ARGS)):
        name = normalized(str(item.get("name", "")))
        made.append((name, item.get("value"), (*ARGS, index), (*ARGS, index, "value")))
    return made


def _change_flag(editor: Editor, name: str, value: str) -> bool:
    """Whether the flag is there, now with this value."""
    for found, old, _, at in _uses(editor):
        if found == name:
            if old != value:
                editor.replace(at, value)
            return True
    return False


def _drop_flag(editor: Editor, name: str, keep: int = 0) -> None:
    """Take every use of a flag away but the last `keep`, from the end, so that places before stay good."""
    paths = [path for found, _, path, _ in _uses(editor) if found == name]
    for path in reversed(paths[: len(paths) - keep]):
        editor.remove(path)


def _find_volume(editor: Editor, name: str) -> Path | None:
    found = [index for index, item in enumerate(_items(editor, VOLUMES)) if item.get("name") == name]
    if len(found) > 1:
        raise editor.refusal((*VOLUMES, found[1]), f"{name} is there twice", "leave one of them, or use another name")
    return (*VOLUMES, found[0]) if found else None


def _drop_volume(editor: Editor, name: str) -> None:
    at = _find_volume(editor, name)
    if at is not None:
        editor.remove(at)


def _check_ours(editor: Editor, at: Path, mount: Mount) -> None:
    item = editor.get(at)
    if item.get("hostPath") != mount.host_path and item.get("mountPath") != mount.container_path:
        problem = f"volume name {mount.name} is taken by {item.get('hostPath')}"
        raise editor.refusal(at, problem, "use another volume name")


def _put_volume(editor: Editor, mount: Mount, known: bool) -> None:
    wanted: dict[str, Any] = {"hostPath": mount.host_path, "mountPath": mount.container_path, "name": mount.name}
    wanted |= {"pathType": mount.type} | ({"readOnly": True} if mount.read_only else {})
    for index, item in enumerate(_items(editor, VOLUMES)):
        same_path = str(item.get("mountPath", "")).rstrip("/") == mount.container_path.rstrip("/")
        if same_path and item.get("name") != mount.name:
            problem = f"{mount.container_path} is already the mount of volume {item.get('name')}"
            raise editor.refusal((*VOLUMES, index), problem, "use that volume's name, or another path")
    at = _find_volume(editor, mount.name)
    if at is None:
        editor.add(VOLUMES, [wanted])
    elif {"readOnly": False, **editor.get(at)} != {"readOnly": False, **wanted}:
        if not known:
            _check_ours(editor, at, mount)
        editor.replace(at, wanted)


def _view(editor: Editor) -> ClusterConfigurationView:
    mounts = []
    for item in _items(editor, VOLUMES):
        texts = [str(item.get(key) or "") for key in ("name", "mountPath", "hostPath", "pathType")]
        mounts.append(MountView(texts[0], texts[1], item.get("readOnly") is True, texts[2], texts[3]))
    return ClusterConfigurationView(
        api_version=str(editor.get(("apiVersion",))),
        kubernetes_version=str(editor.get(("kubernetesVersion",)) or "").removeprefix("v"),
        flags={name: _text(value) for name, value, _, _ in _uses(editor)},
        mounts=tuple(mounts),
    )


def _text(value: Any) -> str:
    return value.value if isinstance(value, Scalar) else str(value or "")
