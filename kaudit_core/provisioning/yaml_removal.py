"""Where the text of one entry of a list or mapping lies, and what remains when the last entry goes.

An empty block collection can't be written, so opening one leaves a trace: `volumes: []` becomes `volumes: # []`, a
key without a value gets `# (empty)`, a key that was not there gets nothing. In flow style a created collection has
white space after its bracket. So removal gives the bytes before back.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from kaudit_core.provisioning.yaml_source import MAPPING, SEQUENCE, Node, Path, Source, path_text

NO_VALUE: Final = " # (empty)"
EMPTY: Final = re.compile(r"\[[ \t]*\]|\{[ \t]*\}|null|Null|NULL|~")
_WAS: Final = re.compile(rf"[ \t]+(# )({EMPTY.pattern})(?=[ \t\r\n]|$)")
# The model's entry is deleted, not set.
ABSENT: Final = object()


class Splice(NamedTuple):
    """text[start:end] becomes `text`."""

    start: int
    end: int
    text: str


class Removal(NamedTuple):
    """Splices, and what they mean: the value at `path` becomes `value`."""

    splices: list[Splice]
    path: Path
    value: Any


def remove_entry(source: Source, path: Path) -> Removal:
    """Take away the entry at a path; a collection that is left empty goes back to what it was."""
    return _remove(source, path, below=False)


def _remove(source: Source, path: Path, below: bool) -> Removal:
    """`below`: the children of this entry are already taken away, only its key is left."""
    parent, index = _entry(source, path)
    width = 2 if parent.kind == MAPPING else 1
    if len(parent.children) > width:
        return Removal([_span(source, parent, index, below)], path, ABSENT)
    if parent.flow:
        return _empty_flow(source, parent, path)
    return _empty_block(source, parent, path, below)


def _entry(source: Source, path: Path) -> tuple[Node, int]:
    """The collection of an entry, and the place of the entry's first node among the children."""
    parent = source.node(path[:-1]) if path else None
    if parent is None:
        raise source.refusal(0, path_text(path), "nothing to remove here", "edit the file by hand")
    if parent.kind == SEQUENCE:
        return parent, int(path[-1])
    return parent, next(2 * at for at, (key, _) in enumerate(parent.pairs) if key.value == path[-1])


def _span(source: Source, parent: Node, index: int, below: bool) -> Splice:
    width = 2 if parent.kind == MAPPING else 1
    first, last = parent.children[index], parent.children[index + width - 1]
    if not parent.flow:
        return lines_of(source, parent, index, first.end if below else last.end)
    if index:
        return Splice(parent.children[index - 1].end, last.end, "")
    return Splice(first.start, parent.children[width].start, "")


def lines_of(source: Source, parent: Node, index: int, end: int) -> Splice:
    """Whole lines of an entry of a block collection, with the line break before them."""
    head = _head(source, parent, index)
    start = source.line_start(head)
    if source.text[start:head].strip(" "):
        raise source.refusal(head, "", "this entry shares its line with another", "give it a line of its own")
    stop = source.line_end(end)
    if start == 0:
        after = source.text.find("\n", stop)
        return Splice(0, after + 1 if after >= 0 else stop, "")
    return Splice(source.line_end(source.line_start(start - 1)), stop, "")


def _head(source: Source, parent: Node, index: int) -> int:
    """Where an entry of a block collection begins: its key, or its dash."""
    if parent.kind == MAPPING:
        return parent.children[index].start
    if index == 0:
        return parent.start
    column = source.column(parent.start)
    limit = parent.children[index].start
    place = source.line_start(limit)
    floor = parent.children[index - 1].end
    while place > floor:
        dash = place + column
        if source.text[place : dash + 1] == " " * column + "-":
            return dash
        place = source.line_start(place - 1)
    raise source.refusal(limit, "", "the dash of this item was not found", "write one item a line")


def colon_after(source: Source, key: Node) -> int:
    """The offset behind the colon of a key."""
    colon = re.compile(r"[ \t]*:").match(source.text, key.end)
    if colon is None:
        raise source.refusal(key, key.value, "a key without a colon in its line", f"write it as {key.value}: value")
    return colon.end()


def _empty_flow(source: Source, parent: Node, path: Path) -> Removal:
    first, last = parent.children[0], parent.children[-1]
    created = first.start > parent.start + 1
    if created and len(path) > 1 and isinstance(path[-2], str):
        return _remove(source, path[:-1], below=False)
    comma = re.compile(r"\s*,").match(source.text, last.end, parent.end)
    end = comma.end() if comma else last.end
    return Removal([Splice(first.start, end, "")], path[:-1], {} if parent.kind == MAPPING else [])


def _empty_block(source: Source, parent: Node, path: Path, below: bool) -> Removal:
    width = 2 if parent.kind == MAPPING else 1
    child = lines_of(source, parent, 0, parent.children[0].end if below else parent.children[width - 1].end)
    holder, index = _entry(source, path[:-1])
    if holder.kind != MAPPING:
        raise source.refusal(parent, path_text(path), "the last entry can't be removed", "edit the file by hand")
    key = holder.children[index]
    colon = colon_after(source, key)
    if source.text.startswith(NO_VALUE, colon):
        return Removal([Splice(colon, colon + len(NO_VALUE), ""), child], path[:-1], None)
    if was := _WAS.match(source.text, colon):
        return Removal([Splice(was.start(1), was.end(1), ""), child], path[:-1], _value_of(was.group(2)))
    if source.text[source.line_start(key.start) : key.start].strip(" "):
        # The key is the first of a list's item, and the dash must stay.
        empty = "{}" if parent.kind == MAPPING else "[]"
        return Removal([Splice(colon, colon, f" {empty}"), child], path[:-1], _value_of(empty))
    above = _remove(source, path[:-1], below=True)
    return Removal([*above.splices, child], above.path, above.value)


def _value_of(written: str) -> Any:
    return [] if written[0] == "[" else {} if written[0] == "{" else None


def key_of(source: Source, path: Path) -> Node:
    """The key node of a mapping's entry."""
    parent, index = _entry(source, path)
    return parent.children[index]
