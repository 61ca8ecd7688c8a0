"""A YAML policy file as the API server sees it: libyaml's events, go-yaml's meaning.

Only the first document is read; whatever follows its end is never looked at by the server and only remarked on
here. Everything is iterative: nesting is limited by the format, not by Python's stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from kaudit_core.policy.document import Document, Remark, Unreadable
from kaudit_core.policy.findings import NOTE, STRICT, quoted
from kaudit_core.policy.scalars import MERGE_TAG, ScalarError, resolve
from kaudit_core.policy.yaml_dialect import Dialect, Repaired
from kaudit_core.policy.yaml_nodes import (
    ALIAS,
    MAPPING,
    SCALAR,
    SEQUENCE,
    Node,
    Tree,
    add_paths,
    check_aliasing,
    check_json,
)

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def read_yaml(data: bytes) -> Document:
    """Parse the first document. Raises Unreadable where the server can't read it either."""
    dialect = Dialect(data)
    while True:
        tree = Tree()
        try:
            parser = dialect.parser()
            parser.get_event()
            root = None if isinstance(parser.peek_event(), StreamEndEvent) else _compose(parser, tree, dialect)
            break
        except Repaired:
            continue
        except yaml.YAMLError as error:
            if not dialect.repair(error):
                raise _unreadable(error, dialect.data) from None
        except ScalarError as error:
            raise Unreadable("bad-tag", str(error), *_line_column(tree.current)) from None
        except (ValueError, OverflowError):
            # PyYAML's own: a tag that is not UTF-8, an escape beyond Unicode.
            message = "a tag or escape after this place is no text: correct it"
            raise Unreadable("syntax", message, *_line_column(tree.current)) from None
    if root is None:
        return Document(None, None, _line_column, sort_keys=True)
    if tree.aliases:
        check_aliasing(root)
    if tree.aliases or tree.suspects or tree.deepest > 1000:
        check_json(root)
    if any(remark.container is not None for remark in tree.remarks):
        add_paths(root, tree.remarks)
    remarks = tree.remarks + _outside_remarks(data) + list(_rest_remarks(parser))
    return Document(root.value, root.mark, _line_column, remarks, sort_keys=True)


def _line_column(mark: Any) -> tuple[int, int]:
    return (0, 0) if mark is None else (mark.line + 1, mark.column + 1)


def _compose(parser: Any, tree: Tree, dialect: Dialect) -> Node:
    """Build the first document, bottom-up, without recursion."""
    start = parser.get_event()
    if start.version not in (None, (1, 1)):
        raise Unreadable(
            "syntax", "the server reads %YAML 1.1 only: remove the %YAML line", *_line_column(start.start_mark)
        )
    open_nodes: list[Node] = []
    while True:
        event = parser.get_event()
        kind = type(event)
        tree.current = event.start_mark
        if kind is ScalarEvent:
            if not dialect.unchanged:
                event.value = dialect.restore(event.value)
            if dialect.refuses(event):
                message = f"{quoted(dialect.refuses(event))[1:-1]} is no escape that the server knows: correct it"
                raise Unreadable("syntax", message, *_line_column(event.start_mark))
            node = _scalar(event, tree)
            if not event.style and open_nodes and open_nodes[-1].flow:
                _look_at_flow_text(event, dialect)
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            node = Node(MAPPING if kind is MappingStartEvent else SEQUENCE, event.start_mark)
            node.flow = event.flow_style
            tree.anchor(event.anchor, node)
            open_nodes.append(node)
            tree.deepest = max(tree.deepest, len(open_nodes))
            continue
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            node = open_nodes.pop()
            tree.close(node)
        else:
            node = _alias(event, tree)
        if not open_nodes:
            parser.get_event()
            return node
        open_nodes[-1].children.append(node)


def _look_at_flow_text(event: Any, dialect: Dialect) -> None:
    """Between brackets go-yaml ends an unquoted text at a question mark, and a tag only at white space."""
    if event.tag and not event.value and dialect.join_tag(event.end_mark):
        raise Repaired
    if "?" not in event.value:
        return
    message = f"a ? can't stand in {quoted(event.value)} between brackets without quotes: put the text in quotes"
    raise Unreadable("syntax", message, *_line_column(event.start_mark))


def _scalar(event: Any, tree: Tree) -> Node:
    node = Node(SCALAR, event.start_mark)
    plain, tag, text = event.implicit[0], event.tag, event.value
    if tag is None and not plain:
        node.value = text
    else:
        node.value = resolve(tag or "", text)
        node.merges = text == "<<" and (plain or tag == MERGE_TAG)
        tree.suspect(node.value)
    tree.anchor(event.anchor, node)
    return node


def _alias(event: Any, tree: Tree) -> Node:
    if not isinstance(event, AliasEvent):
        raise Unreadable("syntax", "unexpected content: correct the YAML here", *_line_column(event.start_mark))
    node = Node(ALIAS, event.start_mark)
    name = quoted(str(event.anchor))[1:-1]
    node.target = tree.anchors.get(str(event.anchor))
    if node.target is None:
        message = f"the alias *{name} refers to no anchor: define it above, or quote the text"
        raise Unreadable("unknown-anchor", message, *_line_column(event.start_mark))
    if not node.target.closed:
        message = f"the alias *{name} stands inside its own anchor: write the value out"
        raise Unreadable("self-containing-alias", message, *_line_column(event.start_mark))
    node.value = node.target.value
    tree.aliases += 1
    return node


def _unreadable(error: yaml.YAMLError, data: bytes) -> Unreadable:
    if isinstance(error, yaml.reader.ReaderError):
        before = data[: error.position] if isinstance(error.position, int) else b""
        line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
        message = "a byte here is no text that YAML allows (a control character, or not UTF-8): save the file as UTF-8"
        return Unreadable("encoding", message, line, column)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or "not readable").split())
    line, column = _line_column(mark)
    lines = data.splitlines()
    if 0 < line <= len(lines) and re.match(rb"[ ]*(?:- *)*\t", lines[line - 1]):
        return Unreadable("tab", "a tab can't indent YAML: use spaces", line, column)
    context = " ".join(str(getattr(error, "context", None) or "").split())
    message = f"not YAML: {context + ': ' if context else ''}{problem}: correct this line"
    return Unreadable("syntax", message, line, column)


def _outside_remarks(data: bytes) -> list[Remark]:
    remarks = []
    if data.startswith(_BOMS):
        message = "the file starts with a byte order mark: the server skips it; other tools may not, so remove it"
        remarks.append(Remark("byte-order-mark", NOTE, message, None))
    if b"\r\n" in data:
        message = "lines end with CR LF: the server reads them alike; save the file with LF, as other tools expect"
        remarks.append(Remark("crlf", NOTE, message, None))
    return remarks


def _rest_remarks(parser: Any) -> Iterator[Remark]:
    """The first thing after the first document that is more than an empty document."""
    mark = None
    what = "a second document begins here: the server reads only the first one"
    try:
        while not isinstance(event := parser.get_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                mark = event.start_mark
                event = parser.get_event()
                if not _is_nothing(event):
                    yield Remark("second-document", STRICT, f"{what}; remove it, or move its rules up", mark)
                    return
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None) or mark
        message = "what follows the first document is not YAML; the server never reads it: remove it"
        yield Remark("second-document", STRICT, message, mark)


def _is_nothing(event: Any) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "" and event.implicit[0] and event.anchor is None
