"""Edits of a YAML or JSON text as minimal splices, each proved before the next.

The meaning of an edit is worked out on plain values, its text on the nodes' places; the new text must parse to
exactly the new meaning, or nothing is edited.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.yaml_removal import ABSENT, EMPTY, NO_VALUE, Splice, colon_after, key_of, remove_entry
from kaudit_core.provisioning.yaml_rendering import block_lines, flow_entries, flow_text, quote_of, scalar, style_of
from kaudit_core.provisioning.yaml_source import MAPPING, SCALAR, SEQUENCE, Node, Path, Source, path_text


class Editor:
    """A text under edit."""

    def __init__(self, text: str, part: str) -> None:
        """Read the text, or refuse it."""
        self.source = Source(text, part)

    @property
    def text(self) -> str:
        """The text as it is now."""
        return self.source.text

    def get(self, path: Path) -> Any:
        """The plain value at a path, None where there is none."""
        value = self.source.plain
        for key in path:
            if isinstance(value, list):
                value = value[key] if isinstance(key, int) and key < len(value) else None
            else:
                value = value.get(key) if isinstance(value, dict) else None
        return value

    def refusal(self, path: Path, problem: str, advice: str) -> EditRefused:
        """The error for a path; its line is that of the nearest thing that exists."""
        node = self.source.root
        for key in path:
            child = self.source.child(node, key)
            if child is None:
                break
            node = child
        return self.source.refusal(node, path_text(path), problem, advice)

    def add(self, path: Path, value: dict[str, Any] | list[Any]) -> None:
        """Add items to the list, or new keys to the mapping, at a path; it is made where it is missing."""
        node = self.source.node(path)
        if node is None:
            self.add(path[:-1], {str(path[-1]): value})
            return
        self._check_kind(node, path, value)
        expected = copy.deepcopy(self.source.plain)
        _add_plain(expected, path, value)
        if node.empty:
            splices = self._open(node, path, value)
        elif node.flow:
            splices = [self._add_flow(node, value)]
        else:
            splices = [self._add_block(node, value)]
        self._commit(splices, expected, path)

    def replace(self, path: Path, value: Any) -> None:
        """Put another value in the place of one that is there."""
        node = self.source.node(path)
        if node is None:
            raise self.refusal(path, "nothing to replace here", "edit the file by hand")
        self.source.check_own(node, path)
        in_flow = any(around is not None and around.flow for around in map(self.source.node, _prefixes(path)))
        text = self._value_text(node, value, in_flow)
        expected = copy.deepcopy(self.source.plain)
        _set_plain(expected, path, value)
        self._commit([Splice(node.start, node.end, text)], expected, path)

    def remove(self, path: Path) -> None:
        """Take an entry away; a list or mapping that is left empty goes back to what it was before it had entries."""
        self._check_list(path[:-1])
        removal = remove_entry(self.source, path)
        expected = copy.deepcopy(self.source.plain)
        _set_plain(expected, removal.path, removal.value)
        self._commit(removal.splices, expected, path)

    # Checks

    def _check_kind(self, node: Node, path: Path, value: Any) -> None:
        wanted, name = (MAPPING, "a mapping") if isinstance(value, dict) else (SEQUENCE, "a list")
        if node.kind != wanted and not (node.kind == SCALAR and node.empty):
            raise self.refusal(path, f"this is not {name}", f"make it {name}")
        if node.kind == SEQUENCE:
            self.source.check_own(node, path)

    def _check_list(self, path: Path) -> None:
        node = self.source.node(path)
        if node is not None and node.kind == SEQUENCE:
            self.source.check_own(node, path)

    def _commit(self, splices: list[Splice], expected: Any, path: Path) -> None:
        """Make the splices, and prove that they mean what was wanted."""
        text, last = self.text, len(self.text)
        # Of two at one place the later one comes behind, so it is made first.
        for splice in reversed(sorted(splices, key=lambda splice: splice.start)):
            text = text[: splice.start] + splice.text + text[min(splice.end, last) :]
            last = splice.start
        advice = "edit the file by hand"
        try:
            made = Source(text, self.source.part)
        except EditRefused as error:
            raise self.refusal(path, f"no safe edit was found here ({error.problem})", advice) from None
        if made.plain != expected:
            raise self.refusal(path, "no safe edit was found here (it would change something else)", advice)
        self.source = made

    # Text

    def _value_text(self, node: Node, value: Any, in_flow: bool) -> str:
        source, style, quote = self.source, style_of(self.source), quote_of(node)
        if not isinstance(value, dict | list):
            lead = " " if node.start == node.end else ""
            return lead + scalar(value, '"' if style.json else quote, in_flow)
        if node.flow:
            line = source.text[source.line_start(node.start) : node.start]
            indent = source.newline + line[: len(line) - len(line.lstrip())]
            return flow_text(value, style, quote, indent if "\n" in source.text[node.start : node.end] else "")
        return (source.newline + " " * source.column(node.start)).join(block_lines(value, style, quote))

    def _add_block(self, node: Node, value: Any) -> Splice:
        source = self.source
        column = source.column(node.start)
        lines = block_lines(value, style_of(source), quote_of(node))
        end = source.line_end(node.end) if node.kind == SEQUENCE else self._behind_comments(node.end, column)
        return Splice(end, end, "".join(source.newline + " " * column + line for line in lines))

    def _behind_comments(self, offset: int, column: int) -> int:
        """The end of this line, or of the last comment below it that is indented deeper than a column."""
        text = self.text
        end = at = self.source.line_end(offset)
        while (line := text.find("\n", at) + 1) and line < len(text):
            at = self.source.line_end(line)
            content = text[line:at].lstrip(" ")
            if content and not (content.startswith("#") and at - line - len(content) > column):
                break
            end = at if content else end
        return end

    def _add_flow(self, node: Node, value: Any) -> Splice:
        separator = self._separator(node)
        style = style_of(self.source)
        white = separator[1:]
        lead = white if style.json and "\n" in white else ""
        entries = flow_entries(value, style, quote_of(node), lead, created=True)
        end = node.children[-1].end
        return Splice(end, end, "".join(separator + entry for entry in entries))

    def _separator(self, node: Node) -> str:
        """The comma between two entries of a flow collection, and the white space behind it."""
        width = 2 if node.kind == MAPPING else 1
        text = self.source.text
        if len(node.children) > width:
            between = text[node.children[width - 1].end : node.children[width].start]
            if re.fullmatch(r",\s*", between):
                return between
        lead = text[node.start + 1 : node.children[0].start]
        return "," + lead if "\n" in lead and not lead.strip() else ", "

    def _open(self, node: Node, path: Path, value: Any) -> list[Splice]:
        """Fill a collection that is empty or null; the trace of what it was is described in yaml_removal."""
        source = self.source
        parent = source.node(path[:-1]) if path else None
        if parent is None or parent.kind != MAPPING:
            raise self.refusal(path, "this is empty", "write the whole part first")
        if not parent.flow:
            key = key_of(source, path)
            colon = colon_after(source, key)
            before = source.text[colon : node.start]
            written = source.text[node.start : node.end]
            if not before.strip(" \t") and (not written or EMPTY.fullmatch(written)):
                mark = Splice(node.start, node.start, "# ") if written else Splice(colon, colon, NO_VALUE)
                return [mark, self._below(key, value)]
        if node.kind == SCALAR:
            raise self.refusal(path, "this is null", "write [] or {} instead, or remove the key")
        entries = flow_entries(value, style_of(source), "", "", created=True)
        return [Splice(node.start + 1, node.start + 1, ", ".join(entries))]

    def _below(self, key: Node, value: Any) -> Splice:
        source, style = self.source, style_of(self.source)
        column = source.column(key.start) + (style.step if isinstance(value, dict) else style.dash)
        end = source.line_end(key.end)
        lines = block_lines(value, style)
        return Splice(end, end, "".join(source.newline + " " * column + line for line in lines))


def _prefixes(path: Path) -> list[Path]:
    return [path[:depth] for depth in range(len(path))]


def _set_plain(plain: Any, path: Path, value: Any) -> None:
    """The meaning of replacing or removing."""
    for key in path[:-1]:
        plain = plain[key]
    if value is ABSENT:
        del plain[path[-1]]
    else:
        plain[path[-1]] = value


def _add_plain(plain: Any, path: Path, value: Any) -> None:
    """The meaning of adding."""
    for key in path[:-1]:
        plain = plain[key]
    if not path:
        plain.update(value)
        return
    old = plain[path[-1]]
    if isinstance(value, dict):
        plain[path[-1]] = {**(old or {}), **value}
    else:
        plain[path[-1]] = [*(old or []), *value]
