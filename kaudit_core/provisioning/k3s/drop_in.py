"""Our own file in config.yaml.d: what it holds, and taking exactly that out again."""

from __future__ import annotations

from typing import Any, Final

from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.k3s.config import open_config, values_of
from kaudit_core.provisioning.k3s.distribution import ARGUMENT_KEY, Distribution
from kaudit_core.provisioning.k3s.server import flag_of
from kaudit_core.provisioning.mounts import is_below
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_removal import colon_after, key_of
from kaudit_core.provisioning.yaml_rendering import scalar
from kaudit_core.provisioning.yaml_source import Path

QUOTE: Final = '"'
HEADER: Final = "# Managed by kaudit: written by enable.yml, removed by disable.yml.\n"
_FILES: Final = ("audit-policy-file", "audit-webhook-config-file", "audit-log-path")


def given(distribution: Distribution, intent: AuditIntent) -> dict[str, list[str]]:
    """The values of each key that bring an intent about."""
    made: dict[str, list[str]] = {key: [] for key in distribution.keys}
    for name, value in intent.flags.items():
        if value is not None and name == distribution.policy_key:
            made[name].append(value)
        elif value is not None:
            made[ARGUMENT_KEY].append(f"{name}={value}")
    if distribution.mount_key:
        made[distribution.mount_key] = [_mount_text(mount) for mount in intent.mounts if not _is_known(mount, intent)]
    return {key: values for key, values in made.items() if values}


def _is_known(mount: Mount, intent: AuditIntent) -> bool:
    """Whether the server mounts it by itself, because a flag names a file in it."""
    paths = [intent.flags.get(name) or "" for name in _FILES]
    return any(is_below(path, mount.container_path) for path in paths if path.startswith("/"))


def _mount_text(mount: Mount) -> str:
    return f"{mount.host_path}:{mount.container_path}{':ro' if mount.read_only else ''}"


def rendered(distribution: Distribution, intent: AuditIntent) -> str:
    """The file's text; annotations stand in it as comments, so that it says what it was written for."""
    lines = [f"# {name}: {value}\n" for name, value in intent.annotations.items() if value is not None]
    for key, values in given(distribution, intent).items():
        if key == distribution.policy_key:
            lines.append(f"{key}: {scalar(values[0], QUOTE)}\n")
        else:
            lines += [f"{key}+:\n", *(f"  - {scalar(value, QUOTE)}\n" for value in values)]
    return HEADER + "".join(lines)


def without(distribution: Distribution, intent: AuditIntent, path: str, text: str) -> str | None:
    """Our file after a removal: None where nothing but ours is in it, else what others put there since."""
    editor = open_config(path, text)
    ours = given(distribution, intent)
    while editor is not None and (at := _first_of_ours(distribution, editor, ours, intent)) is not None:
        editor = open_config(path, emptied(editor, at))
    left: Any = editor.get(()) if editor else {}
    return editor.text if editor and any(value not in (None, [], {}) for value in left.values()) else None


def _first_of_ours(
    distribution: Distribution, editor: Editor, ours: dict[str, list[str]], intent: AuditIntent
) -> Path | None:
    for key in distribution.keys:
        for argument in [*values_of(editor, f"{key}+"), *values_of(editor, key)]:
            name = flag_of(argument.value)[0] if key == ARGUMENT_KEY else key
            if name in intent.flags or argument.value in ours.get(key, []):
                return argument.at
    return None


def emptied(editor: Editor, at: Path) -> str:
    """The text without the value at a path; a file's only key stays, with an empty list."""
    parent = editor.get(at[:-1])
    if len(at) == 1 or len(parent) > 1 or len(editor.get(())) > 1:
        if len(at) == 1 and len(editor.get(())) == 1:
            return ""
        editor.remove(at)
        return editor.text
    source = editor.source
    key, node = key_of(source, at[:1]), source.node(at[:1])
    assert node is not None
    return f"{source.text[: colon_after(source, key)]} []{source.text[node.end :]}"
