"""YAML events as go-yaml v2 would give them, from libyaml 0.2.5, its younger sibling.

The two grew apart in corners (docs/decisions/0004-yaml-divergences.md). Where libyaml refuses what go-yaml
accepts, the offending characters are replaced by private ones and the text is parsed again; `Dialect.restore`
puts them back into the values. Lines and columns stay as they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import yaml

_GO_CHUNK: Final = 512
_LIBYAML_BUFFER: Final = 16_384
_BOM: Final = "\ufeff".encode()
_MOST_REPAIRS: Final = 100
_ESCAPED_SLASH: Final = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_WORD_WITH_COLON: Final = re.compile(rb"((?<![^\s\[\]{},])[\w./-][^\s\[\]{},?\"'#&*!]*):(?=[,?\[\]{}])")
_TAG_PROBLEMS: Final = ("did not find expected whitespace or line break", "did not find expected tag URI")


class _Source:
    """Feeds libyaml in go-yaml's portions: a fault further on than go-yaml has read must not matter here either."""

    name = "policy"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = _LIBYAML_BUFFER, /) -> bytes:
        """Give the next portion. What libyaml still holds, an unfinished character, counts as in go-yaml."""
        portion = self._data[self._at : self._at + max(1, _GO_CHUNK - (_LIBYAML_BUFFER - size))]
        self._at += len(portion)
        return portion


class PurePythonParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """The same events without libyaml; far slower."""

    def __init__(self, data: bytes) -> None:
        yaml.reader.Reader.__init__(self, data)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


class Repaired(Exception):
    """The text was changed while it was parsed: parse it again."""


class Dialect:
    """One text, with what had to be replaced in it so that libyaml reads it as go-yaml does."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._stand_ins: dict[str, str] = {}
        self._repairs = 0
        start = len(_BOM) if data.startswith(_BOM) else 0
        if _BOM in data[start:]:
            # go-yaml takes a byte order mark at the start of a later line for a character, libyaml skips it.
            self.data = data[:start] + data[start:].replace(_BOM, self._stand_in("\ufeff").encode())

    def parser(self) -> Any:
        """A fresh parser over the text: libyaml's where PyYAML was built with it."""
        if yaml.__with_libyaml__:
            from yaml._yaml import CParser

            return CParser(_Source(self.data))
        return PurePythonParser(self.data)

    def repair(self, error: yaml.YAMLError) -> bool:
        """Replace what only libyaml minds; False when go-yaml refuses the text too."""
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        if problem == "found unexpected ':'":
            # Only a colon before white space ends a plain scalar, in flow context too. One replacement at the
            # mark, which is sure to be right, and all that look like it, so that a long list costs one more pass.
            return self._replace(mark, ":", self._stand_in(":")) and self._replace_all_colons()
        if problem == "found unknown escape character":
            return self._replace(mark, "\\'", self._stand_in("") + self._stand_in("'"))
        if problem in _TAG_PROBLEMS and str(getattr(error, "context", "")).endswith("a tag"):
            return any(self._replace(mark, char, ";") for char in ",[]")
        return False

    def _replace_all_colons(self) -> bool:
        stand_in = self._stand_in(":").encode()
        self.data = _WORD_WITH_COLON.sub(lambda match: match[1] + stand_in, self.data)
        return True

    def join_tag(self, mark: Any) -> bool:
        """Make a comma part of the tag before it: only white space ends a tag. No such tag has a meaning."""
        return self._replace(mark, ",", ";")

    def _replace(self, mark: Any, old: str, new: str) -> bool:
        """Put `new` for `old` at a mark; False when `old` is not there."""
        if mark is None or self._repairs == _MOST_REPAIRS:
            return False
        text = _text(self.data)
        if not text.startswith(old, mark.index):
            return False
        mark_of_order = _BOM if self.data.startswith(_BOM) else b""
        self.data = mark_of_order + (text[: mark.index] + new + text[mark.index + len(old) :]).encode()
        self._repairs += 1
        return True

    def refuses(self, event: Any) -> str:
        """The part of a scalar that only libyaml accepts; "" when there is none."""
        if event.style == '"' and "/" in event.value and _has_escaped_slash(self.data):
            source = _text(self.data)[event.start_mark.index : event.end_mark.index]
            return "\\/" if _ESCAPED_SLASH.search(source) else ""
        return ""

    def restore(self, text: str) -> str:
        """Undo the replacements in a value."""
        for stand_in, original in self._stand_ins.items():
            text = text.replace(stand_in, original)
        return text

    @property
    def unchanged(self) -> bool:
        """Nothing was replaced, so nothing has to be restored."""
        return not self._stand_ins

    def _stand_in(self, original: str) -> str:
        for stand_in, known in self._stand_ins.items():
            if known == original:
                return stand_in
        private = (chr(code) for code in range(0xE000, 0xF900))
        made = next(char for char in private if char.encode() not in self.data and char not in self._stand_ins)
        self._stand_ins[made] = original
        return made


@lru_cache(1)
def _text(data: bytes) -> str:
    """The text as libyaml counts it: without the mark that the file starts with."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


@lru_cache(1)
def _has_escaped_slash(data: bytes) -> bool:
    return b"\\/" in data
