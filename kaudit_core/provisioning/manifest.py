"""Auditing in a kube-apiserver static pod manifest: apply, inspect, remove. Text in, text out."""

from __future__ import annotations

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.mounts import unreachable
from kaudit_core.provisioning.pod import ANNOTATIONS, PART, annotations_of, arguments_of, container_path
from kaudit_core.provisioning.pod_mounts import drop_mount, put_mount
from kaudit_core.provisioning.pod_names import (
    drop_aliases,
    drop_dns_policy,
    drop_env,
    put_aliases,
    put_dns_policy,
    put_env,
)
from kaudit_core.provisioning.pod_view import ManifestView, view_of
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path

__all__ = ["AuditIntent", "EditRefused", "ManifestView", "apply", "identity", "inspect", "remove"]


def apply(text: str, intent: AuditIntent, previous: AuditIntent | None = None) -> str:
    """The manifest with the intent in it; `previous` is what an earlier apply brought and may now be changed."""
    editor = Editor(text, PART)
    container = container_path(editor)
    wanted = intent.after(previous) if previous else intent
    known = frozenset(mount.name for mount in previous.mounts) if previous else frozenset()
    arguments_of(editor, container)
    for name in wanted.absent_mounts:
        drop_mount(editor, container, name)
    _put_flags(editor, container, wanted)
    ours = known.union(mount.name for mount in wanted.mounts)
    for mount in wanted.mounts:
        put_mount(editor, container, mount, known, ours)
    _put_names(editor, container, wanted)
    _put_annotations(editor, wanted)
    _check_result(editor, container, wanted)
    return editor.text


def inspect(text: str) -> ManifestView:
    """What the manifest says about auditing."""
    return view_of(Editor(text, PART))


def remove(text: str, intent: AuditIntent) -> str:
    """The manifest without what the intent brings: the bytes before apply, where nothing of it was there before."""
    editor = Editor(text, PART)
    container = container_path(editor)
    for name in intent.annotations:
        _drop_annotation(editor, name)
    if intent.dns_policy:
        drop_dns_policy(editor)
    for address, names in reversed(list(intent.host_aliases.items())):
        drop_aliases(editor, address, names)
    for name in intent.env:
        drop_env(editor, container, name)
    for mount in reversed(intent.mounts):
        drop_mount(editor, container, mount.name, mount)
    for name in intent.flags:
        _drop_flag(editor, container, name)
    return editor.text


def identity(text: str) -> tuple[str, str] | None:
    """Namespace and name of the pod in a text, None if it holds none: of two files with one pod, one loses (P1)."""
    try:
        root = Editor(text, "file").get(())
    except EditRefused:
        return None
    if not isinstance(root, dict) or root.get("kind") != "Pod" or not isinstance(root.get("metadata"), dict):
        return None
    metadata = root["metadata"]
    return str(metadata.get("namespace") or "default"), str(metadata.get("name") or "")


def _put_flags(editor: Editor, container: Path, intent: AuditIntent) -> None:
    new = []
    for name, value in intent.flags.items():
        if value is None:
            _drop_flag(editor, container, name)
        elif not arguments_of(editor, container).uses_of(name):
            new.append(f"--{name}={value}")
        else:
            _change_flag(editor, container, name, value)
    if new:
        editor.add(arguments_of(editor, container).tail, new)


def _change_flag(editor: Editor, container: Path, name: str, value: str) -> None:
    """The last use, which counts, gets the value; the others go."""
    _drop_flag(editor, container, name, keep=1)
    arguments = arguments_of(editor, container)
    (use,) = arguments.uses_of(name)
    if use.value == value:
        return
    if use.value_at is not None:
        editor.replace(arguments.elements[use.value_at], value)
    else:
        editor.replace(arguments.elements[use.at], f"--{name}={value}")


def _drop_flag(editor: Editor, container: Path, name: str, keep: int = 0) -> None:
    """Take every use of a flag away but the last `keep`, from the end, so that places before stay good."""
    arguments = arguments_of(editor, container)
    uses = arguments.uses_of(name)
    for use in reversed(uses[: len(uses) - keep]):
        if use.value_at is not None:
            editor.remove(arguments.elements[use.value_at])
        editor.remove(arguments.elements[use.at])


def _put_names(editor: Editor, container: Path, intent: AuditIntent) -> None:
    for name, value in intent.env.items():
        if value is None:
            drop_env(editor, container, name)
    put_env(editor, container, {name: value for name, value in intent.env.items() if value is not None})
    for address, names in intent.absent_host_aliases.items():
        drop_aliases(editor, address, names)
    put_aliases(editor, intent.host_aliases)
    if intent.dns_policy:
        put_dns_policy(editor, intent.dns_policy)
    elif intent.dns_policy is None:
        drop_dns_policy(editor)


def _put_annotations(editor: Editor, intent: AuditIntent) -> None:
    for name, value in intent.annotations.items():
        path = (*ANNOTATIONS, name)
        if value is None:
            _drop_annotation(editor, name)
        elif name not in annotations_of(editor):
            editor.add(ANNOTATIONS, {name: value})
        elif editor.get(path) != value:
            editor.replace(path, value)


def _drop_annotation(editor: Editor, name: str) -> None:
    if name in annotations_of(editor):
        editor.remove((*ANNOTATIONS, name))


def _check_result(editor: Editor, container: Path, intent: AuditIntent) -> None:
    """Refuse a server that would read other flags than wanted, or files that its container can't see or write."""
    view = view_of(editor)
    for name, value in intent.flags.items():
        if view.flags.get(name) != value:
            advice = "edit the file by hand"
            raise editor.refusal(container, f"--{name} would not be {value or 'absent'} for the server", advice)
    if intent.flags and (found := unreachable(view.flags, view.mounts)):
        name, problem = found
        raise editor.refusal((*container, "volumeMounts"), f"--{name}: {problem}", "mount its directory")
