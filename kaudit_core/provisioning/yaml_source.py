"""A YAML or JSON text with the place of every node in it, and its meaning as plain values.

Places are character offsets. PyYAML's events carry them; here they become a tree in which every node knows where it
really ends, and an alias is a node of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import yaml

from kaudit_core.provisioning.refusal import EditRefused

Key = str | int
Path = tuple[Key, ...]
SCALAR: Final = "scalar"
SEQUENCE: Final = "sequence"
MAPPING: Final = "mapping"
ALIAS: Final = "alias"
MAX_CHARACTERS: Final = 1 << 20
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 64
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = ("true", "yes", "on", "y")
# YAML 1.1 breaks lines at these; editors and people don't.
_ODD_BREAK: Final = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_TAB: Final = re.compile(r"^[ ]*\t", re.MULTILINE)


class Scalar(NamedTuple):
    """A scalar that is no string, truth value or null, as it is written."""

    tag: str
    value: str


@dataclass(slots=True)
class Node:
    """One node: text[start:end]; of a block collection, `end` is that of its last child.

    marked: it carries an anchor or a tag, so `start` is theirs; value: of a scalar; style: its quote or block sign.
    children: items of a sequence; key, value, key, value ... of a mapping; what an alias stands for.
    """

    kind: str
    start: int
    end: int
    flow: bool = False
    marked: bool = False
    tag: str = ""
    value: str = ""
    style: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """Keys and values of a mapping."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))

    @property
    def empty(self) -> bool:
        """A collection without children, or null."""
        if self.kind == SCALAR:
            return self.tag == "null"
        return self.kind != ALIAS and not self.children


class Source:
    """One document: its text, its nodes, and `plain`: dict, list, str, bool, None and Scalar."""

    def __init__(self, text: str, part: str) -> None:
        """Read the text, or refuse it; `part` names it in messages."""
        self.text = text
        self.part = part
        self._check_characters()
        self._nodes = 0
        self.root = self._document()
        self.plain: Any = self._plain(self.root, ())
        first_break = re.search("\r?\n", text)
        self.newline = first_break.group() if first_break else "\n"

    def refusal(self, place: Node | int, field_name: str, problem: str, advice: str) -> EditRefused:
        """The error for a place in this text."""
        offset = place if isinstance(place, int) else place.start
        return EditRefused(self.part, self.text.count("\n", 0, offset) + 1, field_name, problem, advice)

    def _check_characters(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            raise EditRefused(self.part, 0, "", f"more than {MAX_CHARACTERS} characters", "give the file itself")
        if odd := _ODD_BREAK.search(self.text):
            raise self.refusal(odd.start(), "", "an unusual line break", "end lines with LF or CR LF")

    def _document(self) -> Node:
        # A byte order mark is no part of the document, but it counts in nobody's offsets.
        if self.text.startswith("\ufeff"):
            raise self.refusal(0, "", "the text begins with a byte order mark", "save it without one")
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text)
        try:
            return self._only_document(loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            offset = mark.index if mark else 0
            tab = _TAB.search(self.text)
            advice = "indent with spaces, not tabs" if tab else "repair the YAML first"
            raise self.refusal(offset, "", f"not readable: {error.problem or error.context}", advice) from None
        except (yaml.YAMLError, UnicodeError) as error:
            problem = " ".join(str(error).split())
            raise EditRefused(self.part, 0, "", f"not readable: {problem}", "repair the YAML first") from None
        finally:
            loader.dispose()

    def _only_document(self, loader: Any) -> Node:
        loader.get_event()
        if loader.check_event(yaml.StreamEndEvent):
            raise self.refusal(0, "", "the text is empty", "give the whole file")
        loader.get_event()
        root = self._compose(loader, {}, 0)
        loader.get_event()
        if not loader.check_event(yaml.StreamEndEvent):
            offset = loader.get_event().start_mark.index
            raise self.refusal(offset, "", "a second document begins here", "keep one document in the file")
        return root

    def _compose(self, loader: Any, anchors: dict[str, Node], depth: int) -> Node:
        event = loader.get_event()
        start, end = event.start_mark.index, event.end_mark.index
        if depth > MAX_DEPTH:
            raise self.refusal(start, "", f"nested deeper than {MAX_DEPTH}", "repair the file first")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise self.refusal(start, "", f"alias *{event.anchor} has no anchor before it", "repair the YAML")
            return Node(ALIAS, start, end, marked=True, children=[anchors[event.anchor]])
        marked = event.anchor is not None or event.tag is not None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(loader, event, marked)
        else:
            node = Node(MAPPING if isinstance(event, yaml.MappingStartEvent) else SEQUENCE, start, end)
            node.marked, node.flow, node.tag = marked, bool(event.flow_style), event.tag or ""
            while not loader.check_event(yaml.SequenceEndEvent, yaml.MappingEndEvent):
                node.children.append(self._compose(loader, anchors, depth + 1))
            last = loader.get_event()
            node.end = last.end_mark.index if node.flow or not node.children else node.children[-1].end
        if event.anchor is not None:
            # Registered when it is complete: an alias inside its own anchor is refused as unknown.
            anchors[event.anchor] = node
        return node

    def _scalar(self, loader: Any, event: Any, marked: bool) -> Node:
        tag = event.tag or loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        start, end = event.start_mark.index, event.end_mark.index
        style = event.style or ""
        if style in ("|", ">"):
            # Its event ends after the blank lines that follow it.
            end = len(self.text[:end].rstrip())
        return Node(SCALAR, start, end, False, marked, tag.removeprefix(_TAG), event.value, style)

    def _plain(self, node: Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self.refusal(node, "", f"more than {MAX_NODES} values", "write out fewer aliases")
        if node.kind == ALIAS:
            return self._plain(node.children[0], path)
        if node.kind == SEQUENCE:
            return [self._plain(child, (*path, index)) for index, child in enumerate(node.children)]
        if node.kind == SCALAR:
            return _plain_scalar(node)
        return self._plain_mapping(node, path)

    def _plain_mapping(self, node: Node, path: Path) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, value in node.pairs:
            if key.kind != SCALAR:
                raise self.refusal(key, path_text(path), "a key that is no scalar", "write the key as plain text")
            name = _plain_scalar(key)
            shown = name if isinstance(name, str) else key.value
            if name in made:
                raise self.refusal(key, path_text(path), f"the key {shown} is there twice", "remove one of them")
            made[name] = self._plain(value, (*path, shown))
        return made

    # Walking

    def node(self, path: Path) -> Node | None:
        """The node at a path that may be edited: nothing on the way is shared by an anchor, an alias or a merge."""
        node = self.root
        for depth in range(len(path) + 1):
            self._check_not_shared(node, path[:depth])
            if depth == len(path):
                return node
            child = self.child(node, path[depth])
            if child is None:
                return None
            node = child
        raise AssertionError("unreachable")

    def child(self, node: Node, key: Key) -> Node | None:
        """The child of a node at a key or index."""
        if isinstance(key, int):
            return node.children[key] if node.kind == SEQUENCE and key < len(node.children) else None
        return next((value for name, value in node.pairs if name.value == key), None) if node.kind == MAPPING else None

    def _check_not_shared(self, node: Node, path: Path) -> None:
        problem = ""
        if node.kind == ALIAS:
            problem = "an alias stands here"
        elif node.marked:
            problem = "an anchor or a tag stands here"
        elif node.kind == MAPPING and any(key.tag == "merge" for key, _ in node.pairs):
            problem = "a merge key (<<) stands here"
        if problem:
            raise self.refusal(node, path_text(path), f"{problem}, so an edit could reach other parts", "write it out")

    def check_own(self, node: Node, path: Path) -> None:
        """Refuse to edit a collection that holds anchors, tags or aliases at any depth."""
        for child in _descendants(node):
            if child.marked:
                raise self.refusal(
                    child, path_text(path), "it holds an anchor, an alias or a tag", "write the list out without them"
                )

    # Lines

    def line_start(self, offset: int) -> int:
        """Where the line of this offset begins."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Where the content of the line of this offset ends: before its line break."""
        end = self.text.find("\n", offset)
        if end < 0:
            return len(self.text)
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end

    def column(self, offset: int) -> int:
        """How far into its line an offset is."""
        return offset - self.line_start(offset)


def _plain_scalar(node: Node) -> Any:
    if node.tag == "null":
        return None
    if node.tag == "bool":
        return node.value.lower() in _TRUE
    return node.value if node.tag == "str" else Scalar(node.tag, node.value)


def _descendants(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        if child.kind != ALIAS:
            yield from _descendants(child)


def path_text(path: Path) -> str:
    """A path as people write it: spec.containers[0].command."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
