"""The stages of one request compared with each other (semantics B7): only with --join.

A client chooses its Audit-ID and may use one for many requests, so a request is an Audit-ID at the microsecond it
was received. Memory is bounded: of the requests seen, the latest are remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kaudit_core.verification.findings import STAGES_DISAGREE, Finding

REMEMBERED: Final = 200_000
"""Requests remembered; the oldest are forgotten first."""

_NAMES: Final = ("level", "requestURI", "verb", "user.username", "user.uid", "user.groups", "sourceIPs", "userAgent")


class StageJoin:
    """Remembers the first stage of each request and compares the others with it."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._first: dict[tuple[str, str], tuple[int, ...]] = {}

    def compare(self, event: Mapping[str, Any]) -> list[Finding]:
        """Return how this stage differs from the first one seen of the same request, in file order."""
        key = (_text(event.get("auditID")), _text(event.get("requestReceivedTimestamp")))
        if not all(key):
            return []
        values = tuple(hash(value) for value in _constants(event))
        first = self._first.setdefault(key, values)
        if len(self._first) > self._remembered:
            del self._first[next(iter(self._first))]
        names = [name for name, value, other in zip(_NAMES, values, first, strict=True) if value != other]
        if not names:
            return []
        return [Finding(STAGES_DISAGREE, names[0], f"not as in an earlier stage of the request: {', '.join(names)}")]


def _constants(event: Mapping[str, Any]) -> Iterator[str | tuple[str, ...]]:
    """What all stages of a request share, in the order of _NAMES."""
    user = event.get("user") or {}
    for name in ("level", "requestURI", "verb"):
        yield _text(event.get(name))
    yield _text(user.get("username"))
    yield _text(user.get("uid"))
    yield _texts(user.get("groups"))
    yield _texts(event.get("sourceIPs"))
    yield _text(event.get("userAgent"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in values) if isinstance(values, list) else ()
