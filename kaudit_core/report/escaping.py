"""Text that others wrote, made safe to show. Attackers choose user agents, URIs, audit IDs and names."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*")


def redacted(text: str) -> str:
    """Replace what looks like a bearer token (a JWT); examples never show credentials."""
    return _TOKEN.sub("[token]", text)


def visible(text: str, limit: int = 120) -> str:
    """Escape what a terminal would obey or hide (controls, bidirectional marks, lone surrogates); cut when long."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
    )
