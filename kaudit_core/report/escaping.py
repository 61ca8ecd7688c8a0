"""Text that others wrote, made safe to show. Attackers choose user agents, URIs, audit IDs and names."""

from __future__ import annotations


def visible(text: str, limit: int = 120) -> str:
    """Escape what a terminal would obey or hide (controls, bidirectional marks, lone surrogates); cut when long."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
    )
