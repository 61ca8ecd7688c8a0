"""New values as text, in the style of what stands around them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from kaudit_core.provisioning.yaml_source import MAPPING, SCALAR, SEQUENCE, Node, Source

# Plain where no reader of YAML 1.1 or 1.2 can take it for anything but this string; quoted otherwise.
_PLAIN: Final = re.compile(r"(--[a-z]|[A-Za-z/])[A-Za-z0-9_./=@%+:,-]*(?<!:)")
_WORDS: Final = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null"])


@dataclass(frozen=True)
class Style:
    """How a document is written.

    step: columns from a key to the keys below it; dash: columns from a key to the dashes of its list.
    json: keys are quoted too; unit: what one more level of indentation adds in flow style.
    """

    step: int = 2
    dash: int = 0
    json: bool = False
    unit: str = "  "


def style_of(source: Source) -> Style:
    """The style of a document, from its first nested mapping and its first list."""
    root = source.root
    if root.flow:
        between = source.text[root.start + 1 : root.children[0].start] if root.children else ""
        json_like = not root.children or root.children[0].style == '"'
        return Style(json=json_like, unit=between.rpartition("\n")[2] if "\n" in between else "  ")
    step = _first_offset(source, root, MAPPING)
    dash = _first_offset(source, root, SEQUENCE)
    return Style(step=step or 2, dash=dash or 0)


def _first_offset(source: Source, node: Node, kind: str) -> int | None:
    """Columns from a key to its block value of this kind, at the first place in the document that has one."""
    if node.flow or node.kind not in (MAPPING, SEQUENCE):
        return None
    if node.kind == MAPPING:
        for key, value in node.pairs:
            if value.kind == kind and not value.flow and not value.marked:
                return source.column(value.start) - source.column(key.start)
            found = _first_offset(source, value, kind)
            if found is not None:
                return found
        return None
    return next((found for item in node.children if (found := _first_offset(source, item, kind)) is not None), None)


def quote_of(node: Node | None) -> str:
    """The quote of the first value in a node: what stands next to it is quoted in the same way."""
    while node is not None and node.kind in (MAPPING, SEQUENCE) and node.children:
        node = node.children[1] if node.kind == MAPPING else node.children[-1]
    return node.style if node is not None and node.kind == SCALAR and node.style in ("'", '"') else ""


def scalar(value: str | bool, quote: str = "", flow: bool = False) -> str:
    """A string or a truth value; `quote` is the wish of the surroundings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS and not (flow and re.search("[:,]", value))
    if plain and not quote:
        return value
    if quote == "'":
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False)


def block_lines(value: Any, style: Style, quote: str = "") -> list[str]:
    """A value in block style, a line each, without the indentation they share."""
    if isinstance(value, dict):
        return [line for key, below in value.items() for line in _entry(key, below, style, quote)]
    if isinstance(value, list):
        made = []
        for item in value:
            first, *rest = block_lines(item, style, quote)
            made += [f"- {first}", *(f"  {line}" for line in rest)]
        return made
    return [scalar(value, quote)]


def _entry(key: str, value: Any, style: Style, quote: str) -> list[str]:
    if not isinstance(value, dict | list):
        return [f"{scalar(key)}: {scalar(value, quote)}"]
    indent = " " * (style.step if isinstance(value, dict) else style.dash)
    return [f"{scalar(key)}:", *(indent + line for line in block_lines(value, style, quote))]


def flow_text(value: Any, style: Style, quote: str, lead: str, created: bool = False) -> str:
    """A value in flow style; `lead` is the line break and indentation of its line where it may be broken, or "".

    created: this collection is new with its key; white space after its bracket says so when it is emptied again.
    """
    if not isinstance(value, dict | list):
        return scalar(value, '"' if style.json else quote, flow=True)
    inner = lead + style.unit if lead else ""
    entries = flow_entries(value, style, quote, inner, created)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    first = inner or (" " if created else "")
    return opening + first + ("," + (inner or " ")).join(entries) + lead + closing


def flow_entries(
    value: dict[str, Any] | list[Any], style: Style, quote: str, lead: str, created: bool = False
) -> list[str]:
    """The entries of a collection in flow style; `lead` is the line break and indentation before each, or "".

    created: as in flow_text; items of a list come and go as a whole, so what is in them needs no trace.
    """
    if isinstance(value, list):
        return [flow_text(item, style, quote, lead) for item in value]
    key_quote = '"' if style.json else ""
    return [
        f"{scalar(key, key_quote, flow=True)}: {flow_text(below, style, quote, lead, created)}"
        for key, below in value.items()
    ]
