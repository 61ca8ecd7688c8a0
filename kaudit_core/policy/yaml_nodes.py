"""Nodes of a YAML document and what go-yaml makes of mappings, merge keys and aliases.

Mirrors decode.go of go.yaml.in/yaml/v2: a merge writes over the keys before it and is written over by those
after it; in a list of merges the first mapping wins; the last of two equal keys wins.
"""

from __future__ import annotations

from typing import Any, Final

from kaudit_core.policy.document import MAX_DEPTH, List, Map, Number, Remark, Unreadable, Unrepresentable
from kaudit_core.policy.findings import NOTE, STRICT, Path, printable

SCALAR: Final = 0
SEQUENCE: Final = 1
MAPPING: Final = 2
ALIAS: Final = 3


class BadKey(tuple[str]):
    """A key that sigs.k8s.io/yaml refuses: null, or a number beyond int64. Equal to no string."""

    __slots__ = ()

    def __new__(cls, text: str) -> BadKey:
        return super().__new__(cls, (text,))

    def __str__(self) -> str:
        return self[0]


_NONE: Final[list[Any]] = []


class Node:
    """One node: `value` is complete once it is closed; `target` is what an alias stands for."""

    __slots__ = ("children", "closed", "flow", "kind", "mark", "merges", "target", "value")

    def __init__(self, kind: int, mark: Any) -> None:
        self.kind = kind
        self.mark = mark
        self.value: Any = None
        self.target: Node | None = None
        self.merges = False
        self.flow = False
        self.closed = kind in (SCALAR, ALIAS)
        self.children: list[Node] = [] if kind in (SEQUENCE, MAPPING) else _NONE


class Tree:
    """What is collected while one document is composed."""

    def __init__(self) -> None:
        self.anchors: dict[str, Node] = {}
        self.remarks: list[Remark] = []
        self.aliases = 0
        self.suspects = 0
        self.deepest = 0
        self.current: Any = None

    def anchor(self, name: str | None, node: Node) -> None:
        """Remember what an anchor names: the latest node of that name."""
        if name is None:
            return
        if not self.anchors:
            message = "anchors and aliases load, but every reader must follow them: writing rules out is safer"
            self.remarks.append(Remark("anchor", NOTE, message, node.mark))
        self.anchors[name] = node

    def suspect(self, value: Any) -> None:
        """Count values that JSON can't hold; whether one is really there is known at the end."""
        if type(value) is Unrepresentable:
            self.suspects += 1

    def close(self, node: Node) -> None:
        """Give a finished collection its value."""
        node.closed = True
        if node.kind == SEQUENCE:
            node.value = List([child.value for child in node.children], [child.mark for child in node.children])
            return
        made = Map()
        children = node.children
        for index in range(0, len(children), 2):
            key, item = children[index], children[index + 1]
            if key.merges:
                self._merge(made, key, item)
            else:
                self._set(made, self._key(key), item.value, (key.mark, item.mark), merged=False)
        node.value = made

    def _key(self, node: Node) -> str | BadKey:
        value = node.value
        if type(value) is str:
            return value
        if type(value) is Number:
            if value.key is not None:
                return value.key
        elif value is True or value is False:
            return "true" if value else "false"
        elif isinstance(value, (Map, List)):
            message = "a mapping or list can't be a key: the server refuses the file; write a name"
            raise _unreadable("bad-key", message, node)
        elif type(value) is Unrepresentable:
            return ".inf" if value == "+.inf" else str(value)
        self.suspects += 1
        return BadKey("null" if value is None else str(value))

    def _set(self, made: Map, key: str | BadKey, value: Any, place: tuple[Any, Any], merged: bool) -> None:
        earlier = made.at.get(key)
        if earlier is not None:
            line = earlier[0].line + 1
            if merged:
                code = "merge-overwrites"
                way = f"the merge replaces {printable(str(key))} of line {line}: put the merge first"
            else:
                code = "duplicate-key"
                way = f"{printable(str(key))} is given before, at line {line}"
                way += "; the server takes this one and drops that one: keep one of them"
            self.remarks.append(Remark(code, STRICT, way, place[0], container=made, key=str(key)))
        made[key] = value
        made.at[key] = place

    def _merge(self, made: Map, key: Node, item: Node) -> None:
        if not any(remark.code == "merge-key" for remark in self.remarks):
            message = "merge keys load, but later readers of YAML dropped them: writing the fields out is safer"
            self.remarks.append(Remark("merge-key", NOTE, message, key.mark))
        sources = reversed(item.children) if item.kind == SEQUENCE else [item]
        for source in sources:
            actual = source.target if source.target is not None else source
            if actual.kind != MAPPING:
                message = "a merge key needs a mapping or a list of mappings: correct its value"
                raise _unreadable("bad-merge", message, source)
            for name, value in actual.value.items():
                place = (key.mark, actual.value.at[name][1])
                self._set(made, name, value, place, merged=True)


def _unreadable(code: str, message: str, node: Node) -> Unreadable:
    return Unreadable(code, message, node.mark.line + 1, node.mark.column + 1)


_FEW = 400_000
_MANY = 4_000_000


def check_aliasing(root: Node) -> None:
    """Refuse what go-yaml calls excessive aliasing: too large a part of all decoding comes from aliases."""
    decoded, from_aliases = 1, 0
    todo: list[tuple[Node, bool]] = [(root, False)]
    while todo:
        node, inside = todo.pop()
        decoded += 1
        from_aliases += inside
        if from_aliases > 100 and decoded > 1000 and from_aliases / decoded > _allowed_ratio(decoded):
            message = "aliases expand to too much: the server refuses the file; write the values out"
            raise _unreadable("excessive-aliasing", message, root)
        if node.target is not None:
            todo.append((node.target, True))
        elif node.kind == MAPPING:
            todo += [(child, inside) for child in reversed(_decoded_children(node))]
        else:
            todo += [(child, inside) for child in reversed(node.children)]


def _decoded_children(node: Node) -> list[Node]:
    """Keys and values in the order go-yaml decodes them; a merge's own key and list are not decoded."""
    order: list[Node] = []
    for index in range(0, len(node.children), 2):
        key, item = node.children[index], node.children[index + 1]
        if not key.merges:
            order += [key, item]
        elif item.kind == SEQUENCE:
            order += reversed(item.children)
        else:
            order.append(item)
    return order


def _allowed_ratio(decoded: int) -> float:
    if decoded <= _FEW:
        return 0.99
    if decoded >= _MANY:
        return 0.10
    return 0.99 - 0.89 * ((decoded - _FEW) / (_MANY - _FEW))


def check_json(root: Node) -> None:
    """Refuse what can't be written as JSON: some keys, infinities, and nesting beyond Go's limit."""
    todo: list[tuple[Any, int, Any]] = [(root.value, 1, root.mark)]
    while todo:
        value, depth, mark = todo.pop()
        if type(value) is Unrepresentable:
            message = f"{value} has no form in JSON, so the server refuses the file: quote it, or write a number"
            raise Unreadable("not-in-json", message, mark.line + 1, mark.column + 1)
        if not isinstance(value, (Map, List)):
            continue
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels: flatten it"
            raise Unreadable("too-deep", message, mark.line + 1, mark.column + 1)
        if isinstance(value, List):
            todo += [(item, depth + 1, value.at[index]) for index, item in enumerate(value)]
            continue
        for key, item in value.items():
            key_mark, item_mark = value.at[key]
            if type(key) is BadKey:
                message = f"the key {key} is not a string the server can use, so it refuses the file: quote it"
                raise Unreadable("bad-key", message, key_mark.line + 1, key_mark.column + 1)
            todo.append((item, depth + 1, item_mark))


def add_paths(root: Node, remarks: list[Remark]) -> None:
    """Give remarks about a mapping the path of that mapping."""
    wanted = {id(remark.container) for remark in remarks if remark.container is not None}
    found: dict[int, Path] = {}
    todo: list[tuple[Any, Path]] = [(root.value, ())]
    while todo and len(found) < len(wanted):
        value, path = todo.pop()
        if id(value) in wanted:
            found.setdefault(id(value), path)
        entries = value.items() if isinstance(value, Map) else enumerate(value) if isinstance(value, List) else ()
        todo += [(item, (*path, str(key) if isinstance(key, BadKey) else key)) for key, item in entries]
    for remark in remarks:
        if id(remark.container) in found:
            remark.path = (*found[id(remark.container)], remark.key)
