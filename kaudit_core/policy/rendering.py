"""A policy's rules as YAML for people: a comment above each, one field a line, and every text quoted that needs it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kaudit_core.policy.document import Number

FIELDS: Final = (
    "level",
    "users",
    "userGroups",
    "verbs",
    "namespaces",
    "resources",
    "nonResourceURLs",
    "omitStages",
    "omitManagedFields",
)
"""The order in which a rule's fields are written; others follow as they come."""

WIDTH: Final = 110
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-.:/][A-Za-z0-9]+)*")
_NO_TEXT: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
"""Words that one YAML or another takes for a boolean or null."""


def comment(text: str, indent: str = "") -> Iterator[str]:
    """Comment lines of a text, which must hold no line breaks of others."""
    yield from (
        f"{indent}# {line}"
        for line in textwrap.wrap(text, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False)
    )


def rule_lines(rule: Mapping[str, Any]) -> Iterator[str]:
    """One item of `rules`."""
    known = [field for field in FIELDS if field in rule]
    mark = "- "
    for field in (*known, *(key for key in rule if key not in FIELDS)):
        yield from _field(mark, field, rule[field])
        mark = "  "
    if mark == "- ":
        yield "- {}"


def _field(mark: str, field: str, value: Any) -> Iterator[str]:
    line = f"{mark}{scalar(field)}: {flow(value)}"
    entries = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    if not (entries or (isinstance(value, list) and len(line) > WIDTH)):
        yield line
        return
    yield f"{mark}{scalar(field)}:"
    for item in value:
        yield from _entry(item) if isinstance(item, dict) and item else [f"  - {flow(item)}"]


def _entry(entry: Mapping[str, Any]) -> Iterator[str]:
    """One item of `resources`."""
    mark = "  - "
    for key, value in entry.items():
        yield f"{mark}{scalar(key)}: {flow(value)}"
        mark = "    "


def flow(value: Any) -> str:
    """Any plain value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """A text that stays a text whatever it looks like, a number, a boolean or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or isinstance(value, Number):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT:
        return str(value)
    return _quoted(value)


def _quoted(text: str) -> str:
    """In double quotes and ASCII, with the escapes that both YAML and Go know."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def render(head: Iterable[str], fields: Mapping[str, Any], rules: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """A whole policy file: comment lines, the fields before `rules`, and rules with a comment each."""
    lines = [*head, "apiVersion: audit.k8s.io/v1", "kind: Policy"]
    lines += [f"{scalar(field)}: {flow(value)}" for field, value in fields.items()]
    lines.append("rules:")
    for told, rule in rules:
        lines += [*comment(told), *rule_lines(rule)]
    return "\n".join(lines) + "\n"
