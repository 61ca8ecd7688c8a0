"""A parsed document: plain Python values, and beside them where each stands in the file.

YAML and JSON readers give the same tree, the one encoding/json would see: dict, list, str, bool, None and
Number. `Map` and `List` also know positions. Most of a JSON file is read without them, because that is many
times faster; a fragment is read again by the careful reader when there is something in it to point at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from kaudit_core.policy.findings import Path

Position = Any
"""What a reader uses for a place in the file (never a tuple); `Document.place` turns it into line and column."""

MAX_DEPTH: Final = 10_000
"""Deeper nesting is refused by Go's encoding/json."""


class Number(str):
    """A number as its JSON text. `key` is its text as a mapping key; None where it can't be one (beyond int64)."""

    __slots__ = ("key",)
    key: str | None

    def __new__(cls, text: str, key: str | None = "") -> Number:
        made = super().__new__(cls, text)
        made.key = text if key == "" else key
        return made


class Unrepresentable(str):
    """A YAML value or key that JSON has no form for; fatal unless a later duplicate key replaces it."""

    __slots__ = ()


class Map(dict[Any, Any]):
    """A mapping with places: `at[key]` is (position of the key, position of the value)."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[Any, tuple[Position, Position]] = {}


class Repeated(dict[Any, Any]):
    """A JSON object that names a field twice: `pairs` in order, `places[n]` belongs to `pairs[n]`.

    The dict itself holds the last of each. The order matters, because Go decodes the second value into what the
    first one left.
    """

    __slots__ = ("at", "pairs", "places")

    def __init__(self, pairs: list[tuple[str, Any]], places: list[tuple[Position, Position]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        self.places = places
        self.at = {key: place for (key, _), place in zip(pairs, places, strict=True)}


class List(list[Any]):
    """A list with places: `at[index]` is the position of that item."""

    __slots__ = ("at",)

    def __init__(self, items: list[Any], at: list[Position]) -> None:
        super().__init__(items)
        self.at = at


@dataclass(eq=False, repr=False)
class Remark:
    """A finding of the syntax readers, before its position is turned into line and column."""

    code: str
    severity: str
    message: str
    position: Position
    path: Path = ()
    container: Any = None
    key: str = ""


class Unreadable(Exception):
    """The bytes are no document. Carries what a finding needs."""

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line
        self.column = column


@dataclass(eq=False, repr=False)
class Document:
    """One parsed file.

    root: its value; start: the position of that value.
    place: position → (line, column), from 1.
    fragment: reads the value at a position again, with all places in it; None when this tree has them.
    repeated: some JSON object in it names a field twice.
    sort_keys: the server sees the fields in the order of their names (YAML), not of the file (JSON).
    """

    root: Any
    start: Position
    place: Callable[[Position], tuple[int, int]]
    remarks: list[Remark] = field(default_factory=list)
    fragment: Callable[[Position], Any] | None = None
    repeated: bool = False
    sort_keys: bool = False

    def locate(self, path: Path, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value (or key) at a path, or of the nearest thing around it that is in the file."""
        value, position = self.root, self.start
        for number, part in enumerate(path, 1):
            if type(value) in (dict, list) and self.fragment is not None:
                value = self.fragment(position)
            at = getattr(value, "at", None)
            try:
                found = at[part]  # type: ignore[index]
                value = value[part]
            except (KeyError, IndexError, TypeError):
                break
            position = found[0 if of_key and number == len(path) else 1] if isinstance(found, tuple) else found
        return self.place(position)


def decode_utf8(data: bytes) -> str:
    """Decode as Go does: every byte that is not part of valid UTF-8 becomes one U+FFFD."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pieces = []
        while data:
            try:
                pieces.append(data.decode())
                break
            except UnicodeDecodeError as error:
                pieces.append(data[: error.start].decode() + "\ufffd")
                data = data[error.start + 1 :]
        return "".join(pieces)
