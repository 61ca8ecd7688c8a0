"""A JSON policy file as Go's encoding/json sees it.

Two readers of one grammar. `_quick` lets Python's C scanner do the work and knows only where the rules begin;
`_Careful` is iterative, knows every place, keeps repeated fields and says where a fault is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final, NoReturn

from kaudit_core.policy.document import (
    MAX_DEPTH,
    Document,
    List,
    Map,
    Number,
    Remark,
    Repeated,
    Unreadable,
    decode_utf8,
)
from kaudit_core.policy.findings import NOTE, STRICT, quoted

_GO_SPACE_THEN_BRACE: Final = (
    rb"(?:[\t-\r ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)*\{"
)
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING: Final = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_WORDS: Final = {"true": True, "false": False, "null": None}
_SURROGATE_ESCAPE: Final = r"\\u[dD]"
_SURROGATE: Final = "[\ud800-\udfff]"


def is_json(data: bytes) -> bool:
    """Whether the server reads these bytes as JSON: the first thing after white space is an opening brace."""
    return re.match(_GO_SPACE_THEN_BRACE, data) is not None


def read_json(data: bytes) -> Document:
    """Parse the file. Raises Unreadable where the server can't read it either."""
    text = decode_utf8(data)
    document = _parsed(text)
    if "\ufffd" in text and (bad := _first_bad_byte(data)) is not None:
        message = "bytes here are not UTF-8: the server puts U+FFFD for them and matches that; save the file as UTF-8"
        document.remarks.append(Remark("encoding", STRICT, message, bad))
    return document


def _first_bad_byte(data: bytes) -> int | None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return len(data[: error.start].decode())
    return None


def _parsed(text: str) -> Document:
    try:
        if not re.search(_SURROGATE_ESCAPE, text):
            return _quick(text)
    except (ValueError, IndexError, RecursionError, StopIteration):
        pass
    return _Careful(text).document()


class _Lines:
    """Offsets to lines and columns; the lines are found when first asked for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] | None = None

    def __call__(self, offset: Any) -> tuple[int, int]:
        if self._starts is None:
            self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def _remarks(text: str) -> list[Remark]:
    message = "the file is JSON: the server reads it; YAML allows comments that say why a rule is there"
    return [Remark("json", NOTE, message, len(text) - len(text.lstrip()))]


def _refuse(*_: Any) -> NoReturn:
    raise ValueError


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _quick(text: str) -> Document:
    """Read without places but those of the rules. Raises anything where `_Careful` has to look."""
    decoder = JSONDecoder(object_pairs_hook=_once, parse_int=Number, parse_float=Number, parse_constant=_refuse)
    scan = decoder.scan_once  # type: ignore[attr-defined]
    root = Map()
    count = 0
    at = _skip(text, 0)
    start, more = at, text[at] == "{"
    while more:
        at = _skip(text, at + 1)
        if text[at] != '"':
            raise ValueError
        key_at = at
        key, at = scanstring(text, at + 1, True)
        at = _skip(text, at)
        if text[at] != ":":
            raise ValueError
        at = _skip(text, at + 1)
        root.at[key] = key_at, at
        root[key], at = _quick_rules(text, at, scan) if key == "rules" and text[at] == "[" else scan(text, at)
        count += 1
        at = _skip(text, at)
        more = text[at] == ","
    if text[at] != "}" or _skip(text, at + 1) != len(text) or len(root) != count:
        raise ValueError
    return Document(root, start, _Lines(text), _remarks(text), fragment=lru_cache(_Careful(text).fragment))


def _quick_rules(text: str, at: int, scan: Any) -> tuple[List, int]:
    items, places = [], []
    more = True
    while more:
        at = _skip(text, at + 1)
        places.append(at)
        value, at = scan(text, at)
        items.append(value)
        at = _skip(text, at)
        more = text[at] == ","
    if text[at] != "]":
        raise ValueError
    return List(items, places), at + 1


class _Open:
    """A container that is being read."""

    __slots__ = ("items", "key", "key_at", "places", "start")

    def __init__(self, start: int, is_object: bool) -> None:
        self.start = start
        self.items: list[Any] = []
        self.places: list[Any] = []
        self.key: str | None = "" if is_object else None
        self.key_at = 0


class _Careful:
    """The iterative reader: a stack of open containers instead of Python's own."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.place = _Lines(text)
        self.repeated = False
        self._string_form = re.compile(_STRING)
        self._number = re.compile(_NUMBER)

    def document(self) -> Document:
        self._space()
        start = self.at
        root = self._value()
        self._space()
        if self.at < len(self.text):
            self._fail("text after the end of the JSON value: remove it")
        return Document(root, start, self.place, _remarks(self.text), repeated=self.repeated)

    def fragment(self, start: int) -> Any:
        """Read the value at an offset again, with places; the file is known to be well-formed."""
        self.at = start
        return self._value()

    def _value(self) -> Any:
        stack: list[_Open] = []
        while True:
            self._space()
            start = self.at
            char = self._peek()
            if char and char in "{[":
                self.at += 1
                if len(stack) == MAX_DEPTH:
                    self._fail(f"nested deeper than {MAX_DEPTH} levels: flatten it")
                stack.append(_Open(start, char == "{"))
                if not self._closes(stack[-1]):
                    self._key(stack[-1])
                    continue
                value, start = self._close(stack.pop())
            else:
                value = self._scalar(char)
            while stack and self._ended(stack[-1], value, start):
                value, start = self._close(stack.pop())
            if not stack:
                return value

    def _closes(self, top: _Open) -> bool:
        self._space()
        closes = self._peek() == ("]" if top.key is None else "}")
        self.at += closes
        return closes

    def _key(self, top: _Open) -> None:
        if top.key is None:
            return
        self._space()
        top.key_at = self.at
        if self._peek() != '"':
            self._fail("a field name in double quotes is missing here: write one, or remove the comma before it")
        top.key = self._string()
        self._space()
        if self._peek() != ":":
            self._fail('a ":" is missing after the field name: write one')
        self.at += 1

    def _ended(self, top: _Open, value: Any, start: int) -> bool:
        """Put a finished value into its container; True when that container ends here."""
        top.items.append(value if top.key is None else (top.key, value))
        top.places.append(start if top.key is None else (top.key_at, start))
        if self._closes(top):
            return True
        if self._peek() != ",":
            self._fail(f'a "," or "{"]" if top.key is None else "}"}" is missing here: write one')
        self.at += 1
        self._key(top)
        return False

    def _close(self, top: _Open) -> tuple[Any, int]:
        if top.key is None:
            return List(top.items, top.places), top.start
        if len(dict(top.items)) != len(top.items):
            self.repeated = True
            return Repeated(top.items, top.places), top.start
        made = Map()
        made.update(top.items)
        made.at = {key: place for (key, _), place in zip(top.items, top.places, strict=True)}
        return made, top.start

    def _scalar(self, char: str) -> Any:
        if char == '"':
            return self._string()
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        match = self._number.match(self.text, self.at)
        if match is None:
            missing = not char or char in ",]}"
            self._fail("a value is missing here: write one" if missing else "this is not JSON: correct it")
        self.at = match.end()
        return Number(match[0])

    def _string(self) -> str:
        match = self._string_form.match(self.text, self.at)
        if match is None:
            self._fail("this string is not JSON: end it with a quote and escape control characters")
        try:
            text, _ = scanstring(self.text, self.at + 1, True)
        except JSONDecodeError:
            self._fail("this string is not JSON: correct its escapes")
        self.at = match.end()
        return re.sub(_SURROGATE, "\ufffd", text)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _space(self) -> None:
        self.at = _skip(self.text, self.at)

    def _fail(self, message: str) -> NoReturn:
        line, column = self.place(min(self.at, len(self.text)))
        found = f"; found {quoted(self._peek())}" if self._peek() else "; the file ends here"
        raise Unreadable("syntax", message + found, line, column)
