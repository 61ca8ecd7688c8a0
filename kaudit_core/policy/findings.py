"""What a policy file's reader has to say: one finding, one sentence, one place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

ERROR: Final = "error"
"""The server refuses the file."""

STRICT: Final = "strict"
"""The server loads the file, yet not as it is written; a strict reader refuses it."""

NOTE: Final = "note"
"""The file loads as it is written, but the reader of a report should know this."""

Path = tuple[str | int, ...]
"""Field names and list indexes from the top: ("rules", 3, "users", 0)."""

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """One thing wrong, or worth knowing, in a policy file.

    code: kebab-case, for scripts; stays the same between releases.
    message: one line: what is wrong and what to do. Text from the file is quoted and escaped in it.
    path: like `rules[3].resources[0].group`; "" is the whole file.
    line, column: from 1; 0 when the file has no such place.
    """

    code: str
    severity: str
    message: str
    path: str = ""
    line: int = 0
    column: int = 0


def path_text(path: Path) -> str:
    """Write a path as the API server does: names after dots, indexes in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{printable(part)}" if text else printable(part)
    return text


def quoted(text: str) -> str:
    """Text from the file, safe on a terminal: ASCII, escaped, cut when long."""
    return json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def printable(text: str) -> str:
    """A name from the file, as it stands when it is plain, else quoted."""
    return text if text.isascii() and text.isprintable() and 0 < len(text) <= _SHOWN else quoted(text)
