"""A JSON parser without recursion, for texts that are too deep for the standard library's scanner.

Slow (about 2 MB/s) and used only when that scanner gives up: nesting beyond Python's recursion limit, whole
numbers beyond its limit of digits, and the constants it knows but JSON does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

MAX_DEPTH: Final = 10_000
"""Go's encoding/json refuses anything nested deeper."""

MakeObject = Callable[[list[tuple[str, Any]]], dict[str, Any]]

_SPACE: Final = re.compile(r"[ \t\n\r]*+")
_TOKEN: Final = re.compile(
    r'(?P<string>"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)"
    r"|(?P<word>true|false|null)"
    r"|(?P<open>[\[{])|(?P<close>[\]}])|(?P<mark>[,:])"
)
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


class JsonError(ValueError):
    """The text is not JSON: what is wrong, where, and a short code for counting.

    code is "not-json", "torn" (an object that ends too early), "extra-data" (behind a whole value),
    "byte-order-mark" or "too-deep".
    """

    def __init__(self, reason: str, offset: int, code: str = "not-json") -> None:
        super().__init__(f"{reason} at byte {offset}")
        self.reason = reason
        self.offset = offset
        self.code = code


def skip_space(text: str, at: int) -> int:
    """The next character at or after `at` that is not JSON white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def decode_deep(text: str, at: int, make: MakeObject) -> tuple[Any, int]:
    """The value that begins at `at` and where it ends; make turns an object's members into the object.

    Raises JsonError with a position in characters.
    """
    return _Parser(text, make).value(at)


class _Parser:
    """One frame a container, an object's members as pairs.

    expect says what may come next: "value", "first value" (or the end of the list), "key",
    "first key" (or the end of the object), ":", "," (or the end of the container), "nothing".
    """

    def __init__(self, text: str, make: MakeObject) -> None:
        self.text, self.make = text, make
        self.frames: list[tuple[str, list[Any]]] = []
        self.keys: list[str] = []
        self.expect = "value"
        self.result: Any = None

    def value(self, at: int) -> tuple[Any, int]:
        while self.expect != "nothing":
            at = skip_space(self.text, at)
            found = _TOKEN.match(self.text, at)
            if found is None or not self._take(str(found.lastgroup), found[0], at):
                raise JsonError(f"{self.expect!r} expected" if self.expect in ":," else f"no {self.expect}", at)
            at = found.end()
        return self.result, at

    def _take(self, kind: str, token: str, at: int) -> bool:
        """Take one token; false when it can't stand here."""
        if kind == "close":
            return self._close(token)
        if kind == "mark":
            return self._mark(token)
        if self.expect in ("key", "first key"):
            if kind != "string":
                return False
            self.keys.append(_string(token, at))
            self.expect = ":"
        elif self.expect not in ("value", "first value"):
            return False
        elif kind == "open":
            if len(self.frames) == MAX_DEPTH:
                raise JsonError(f"nested deeper than {MAX_DEPTH:,}", at, "too-deep")
            self.frames.append((token, []))
            self.expect = "first key" if token == "{" else "first value"
        else:
            self._add(_scalar(kind, token, at))
        return True

    def _mark(self, token: str) -> bool:
        if token != self.expect:
            return False
        self.expect = "value" if token == ":" or self.frames[-1][0] == "[" else "key"
        return True

    def _close(self, token: str) -> bool:
        opened = "{" if token == "}" else "["
        if not self.frames or self.frames[-1][0] != opened or self.expect not in (",", "first key", "first value"):
            return False
        members = self.frames.pop()[1]
        self._add(self.make(members) if opened == "{" else members)
        return True

    def _add(self, value: Any) -> None:
        """Put a finished value into its container, or end with it."""
        if not self.frames:
            self.result, self.expect = value, "nothing"
            return
        opened, members = self.frames[-1]
        members.append((self.keys.pop(), value) if opened == "{" else value)
        self.expect = ","


def _scalar(kind: str, token: str, at: int) -> str | int | float | bool | None:
    if kind == "string":
        return _string(token, at)
    if kind == "word":
        return _WORDS[token]
    if token.lstrip("-").isdigit():
        try:
            return int(token)
        except ValueError:
            return float(token)  # more digits than Python converts: near enough, and never judged
    return float(token)


def _string(token: str, at: int) -> str:
    if "\\" not in token:
        return token[1:-1]
    try:
        text: str = json.loads(token)
    except json.JSONDecodeError as error:
        raise JsonError("invalid escape", at + error.pos) from None
    return text
