"""config.yaml and config.yaml.d as a k3s or RKE2 server reads them.

Files are read in the order of their names, config.yaml first. A later key replaces an earlier one; a key with `+`
appends to it (docs.k3s.io, "Multiple Config Files").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from posixpath import dirname
from typing import Any

from kaudit_core.provisioning.k3s.words import line_of
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path, Scalar


@dataclass(frozen=True)
class Argument:
    """One value of a key, and where it stands; key: as it is written; at: its place in its file's document."""

    value: str
    file: str
    line: int
    key: str
    at: Path = ()


def files_read(config: str, texts: Mapping[str, str]) -> list[str]:
    """The files that count, in order; of `texts`, which may hold others."""
    below = [path for path in texts if dirname(path) == f"{config}.d" and path.lower().endswith((".yaml", ".yml"))]
    return [*([config] if config in texts else []), *sorted(below)]


def open_config(path: str, text: str) -> Editor | None:
    """A file for reading or editing, None for one that says nothing; raises EditRefused."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    if not any(line not in ("", "---", "...") for line in lines):
        return None
    editor = Editor(text, path)
    root = editor.get(())
    if root is None:
        return None
    if not isinstance(root, dict):
        raise editor.refusal((), "this is no mapping", "repair the file first")
    if "<<" in (str(key) if not isinstance(key, Scalar) else key.value for key in root):
        raise editor.refusal((), "a merge key (<<) stands here", "write it out")
    return editor


def values_of(editor: Editor, key: str) -> list[Argument]:
    """The values of one key of a file, a list's or a single one; raises EditRefused for others."""
    value = editor.get((key,))
    if value is None:
        return []
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        raise editor.refusal((key,), "this is no list of texts", "write one as --name=value without the dashes")
    if isinstance(value, list):
        return [_argument(editor, key, (key, index), item) for index, item in enumerate(value)]
    return [_argument(editor, key, (key,), value)]


def _argument(editor: Editor, key: str, at: Path, value: Any) -> Argument:
    node = editor.source.root
    for step in at:
        node = editor.source.child(node, step) or node
    text = value.value if isinstance(value, Scalar) else str(value).lower() if isinstance(value, bool) else value or ""
    return Argument(text, editor.source.part, line_of(editor.text, node.start), key, at)


@dataclass(frozen=True)
class Merged:
    """A key's values that count, and those that a later file replaced."""

    values: tuple[Argument, ...] = ()
    replaced: tuple[Argument, ...] = ()


def merged(paths: Iterable[str], texts: Mapping[str, str], key: str) -> Merged:
    """What all files together say for a key."""
    values: list[Argument] = []
    replaced: list[Argument] = []
    for path in paths:
        editor = open_config(path, texts[path])
        for written in editor.get(()) if editor else ():
            if editor is None or written not in (key, f"{key}+"):
                continue
            found = values_of(editor, written)
            if written == key:
                replaced, values = [*replaced, *values], []
            values = [*values, *found]
    return Merged(tuple(values), tuple(replaced))


def refusal_at(argument: Argument, problem: str, advice: str) -> EditRefused:
    """The error for one value."""
    return EditRefused(argument.file, argument.line, argument.key, problem, advice)
