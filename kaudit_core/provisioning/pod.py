"""The kube-apiserver in a static pod: which container, which of its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kaudit_core.provisioning.flags import FlagUse, lacks_value, parse_flags
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path, Scalar

PART: Final = "kube-apiserver manifest"
NAME: Final = "kube-apiserver"
VOLUMES: Final[Path] = ("spec", "volumes")
ANNOTATIONS: Final[Path] = ("metadata", "annotations")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "busybox"})


@dataclass(frozen=True)
class Arguments:
    """The elements that kube-apiserver gets: they begin at `first` in the list at `path`, and may go on in args."""

    elements: tuple[Path, ...]
    uses: tuple[FlagUse, ...]
    tail: Path

    def uses_of(self, name: str) -> list[FlagUse]:
        """Every appearance of a flag."""
        return [use for use in self.uses if use.name == name]


def check_pod(editor: Editor) -> None:
    """Refuse what is no v1 Pod, and merge keys where they would hide a part of it."""
    root = editor.get(())
    if not isinstance(root, dict) or root.get("kind") != "Pod" or root.get("apiVersion") != "v1":
        raise editor.refusal((), "this is no v1 Pod", "give the static pod's manifest")
    for path in ((), ("metadata",), ("spec",)):
        part = editor.get(path)
        if not isinstance(part, dict):
            raise editor.refusal(path, "this is not a mapping", "repair the manifest first")
        if any(isinstance(key, Scalar) and key.tag == "merge" for key in part):
            raise editor.refusal(path, "a merge key (<<) stands here", "write it out")


def container_path(editor: Editor) -> Path:
    """The path of the one kube-apiserver container."""
    check_pod(editor)
    path: Path = ("spec", "containers")
    containers = editor.get(path)
    if not isinstance(containers, list) or not all(isinstance(item, dict) for item in containers):
        raise editor.refusal(path, "this is no list of containers", "repair the manifest first")
    found = [index for index, container in enumerate(containers) if _is_server(container)]
    if not found:
        raise editor.refusal(path, "no container runs kube-apiserver", f"name the container {NAME}")
    if len(found) > 1:
        second = (*path, found[1])
        raise editor.refusal(second, "a second container runs kube-apiserver", "leave one of them")
    if any(isinstance(key, Scalar) and key.tag == "merge" for key in containers[found[0]]):
        raise editor.refusal((*path, found[0]), "a merge key (<<) stands here", "write it out")
    return (*path, found[0])


def _is_server(container: dict[Any, Any]) -> bool:
    words = container.get("command") or container.get("args") or []
    first = words[0] if isinstance(words, list) and words else ""
    return container.get("name") == NAME or (isinstance(first, str) and _base(first) == NAME)


def _base(word: str) -> str:
    return "" if word.startswith("-") else word.rpartition("/")[2]


def arguments_of(editor: Editor, container: Path) -> Arguments:
    """The server's own arguments; a wrapper's before it are not touched."""
    elements, words = _words(editor, container)
    first = _first_argument(editor, container, words)
    own = words[first:]
    if "--" in own:
        raise editor.refusal(elements[first + own.index("--")], "'--' ends the flags here", "remove it")
    if lacks_value(own):
        raise editor.refusal(elements[-1], "the last flag has no value", "write it as --name=value")
    args = (*container, "args")
    tail = args if editor.get(args) else (*container, "command")
    return Arguments(tuple(elements[first:]), tuple(parse_flags(own)), tail)


def _words(editor: Editor, container: Path) -> tuple[list[Path], list[str]]:
    elements: list[Path] = []
    words: list[str] = []
    for key in ("command", "args"):
        path = (*container, key)
        value = editor.get(path)
        if not isinstance(value, list | None):
            raise editor.refusal(path, "this is no list", "write one element a flag")
        for index, word in enumerate(value or []):
            if not isinstance(word, str):
                raise editor.refusal((*path, index), "this is no string", "quote it")
            elements.append((*path, index))
            words.append(word)
    return elements, words


def _first_argument(editor: Editor, container: Path, words: list[str]) -> int:
    """The index behind the element that is the server's program."""
    if words and _base(words[0]) in _SHELLS:
        raise editor.refusal(
            (*container, "command"), "the server is started through a shell", "make it a list of the program and flags"
        )
    for index, word in enumerate(words):
        if _base(word) == NAME or (_base(word) == "apiserver" and index and _base(words[index - 1]) == "hyperkube"):
            return index + 1
    if words and not editor.get((*container, "command")) and words[0].startswith("-"):
        return 0
    raise editor.refusal(container, "no element of command or args is kube-apiserver", "start the server by its name")


def items(editor: Editor, path: Path) -> list[dict[str, Any]]:
    """The mappings of a list that may be missing."""
    value = editor.get(path)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise editor.refusal(path, "this is no list of mappings", "repair the manifest first")
    return value


def annotations_of(editor: Editor) -> dict[Any, Any]:
    """The pod's annotations."""
    value = editor.get(ANNOTATIONS)
    if not isinstance(value, dict | None):
        raise editor.refusal(ANNOTATIONS, "this is not a mapping", "repair the manifest first")
    return value or {}
