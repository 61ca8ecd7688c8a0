"""The words of a systemd setting as systemd splits them, each with its place in the text.

A line that ends in a backslash goes on in the next one; comment lines between are skipped. Quotes may stand anywhere
in a word, and C escapes count in both kinds (systemd.syntax(7), systemd.service(5), "Command lines").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kaudit_core.provisioning.refusal import EditRefused

_GAP: Final = re.compile(r"(?:[ \t]|\\\r?\n(?:[ \t]*[#;][^\n]*\n)*)+")
_SIMPLE: Final = {**dict(zip("abfnrtvs", "\a\b\f\n\r\t\v ", strict=True)), **{sign: sign for sign in "\\\"'"}}
_CODED: Final = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})")
_BARE: Final = re.compile(r"[A-Za-z0-9_@/.,:=+%$-]+")
_ALONE: Final = re.compile(r"\$([A-Za-z_]\w*)")
_WITHIN: Final = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class Word:
    """text[start:end], and what it means before variables are put in; quote: the sign it begins with, or ""."""

    value: str
    start: int
    end: int
    quote: str = ""


def split_words(text: str, start: int, end: int, part: str, field: str) -> list[Word]:
    """The words between two offsets; raises EditRefused for what systemd would not read for sure."""
    words: list[Word] = []
    at = start
    while True:
        gap = _GAP.match(text, at, end)
        at = gap.end() if gap else at
        if at >= end:
            return words
        words.append(_word(text, at, end, part, field))
        at = words[-1].end


def _word(text: str, start: int, end: int, part: str, field: str) -> Word:
    made, at, quote = "", start, ""
    while at < end:
        sign = text[at]
        if going_on := re.compile(r"\\\r?\n(?:[ \t]*[#;][^\n]*\n)*").match(text, at, end):
            if not quote:
                break
            made, at = made + " ", going_on.end()
        elif sign == "\\":
            value, at = _escape(text, at, part, field)
            made += value
        elif sign in "\"'" and quote in ("", sign):
            quote, at = "" if quote else sign, at + 1
        elif sign in " \t" and not quote:
            break
        else:
            made, at = made + sign, at + 1
    if quote:
        raise EditRefused(part, line_of(text, start), field, f"the quote {quote} is never closed", "close it")
    return Word(made.replace("%%", "%"), start, at, text[start] if text[start] in "\"'" else "")


def _escape(text: str, at: int, part: str, field: str) -> tuple[str, int]:
    sign = text[at + 1 : at + 2]
    if sign in _SIMPLE and sign:
        return _SIMPLE[sign], at + 2
    if coded := _CODED.match(text, at + 1):
        digits = coded[1] or coded[2] or coded[3]
        code = int(digits, 16) if digits else int(coded[4], 8)
        if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code), coded.end()
    problem = f"unknown quoting: the escape \\{ascii(sign)[1:-1]}"
    raise EditRefused(part, line_of(text, at), field, problem, "write it without a backslash")


def line_of(text: str, offset: int) -> int:
    """The number of an offset's line, from 1."""
    return text.count("\n", 0, offset) + 1


def quoted(value: str, quote: str) -> str:
    """A value as one word; `quote` is the wish of the surroundings."""
    value = value.replace("%", "%%").replace("$", "$$")
    if not quote and _BARE.fullmatch(value):
        return value
    quote = quote or '"'
    return quote + value.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def expanded(words: list[Word], variables: Mapping[str, str]) -> list[tuple[str, Word, bool]]:
    """What a program gets: each argument, the word it comes from, and whether a variable was put in.

    $NAME as a word of its own becomes as many arguments as its value has words, ${NAME} stays within its argument.
    """
    made: list[tuple[str, Word, bool]] = []
    for word in words:
        if alone := _ALONE.fullmatch(word.value):
            made += [(value, word, True) for value in variables.get(alone[1], "").split()]
            continue
        value = _WITHIN.sub(lambda found: variables.get(found[1], "") if found[1] else "$", word.value)
        made.append((value, word, "${" in word.value.replace("$$", "")))
    return made
