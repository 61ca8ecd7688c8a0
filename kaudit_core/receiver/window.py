"""The duplicate window: which events were stored lately, so that a retried batch is stored once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable


class Window:
    """Remembers at least the newest `events` keys for at least `seconds`, and at most twice of either.

    Two generations: when the younger is full or old enough, the older is forgotten as a whole. Times are taken
    from a clock that no one can set. Not safe for use by several threads at once.
    """

    def __init__(self, events: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._events, self._seconds, self._clock = events, seconds, clock
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._began = clock()

    def __contains__(self, key: bytes) -> bool:
        return key in self._recent or key in self._older

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def add(self, keys: Iterable[bytes]) -> None:
        """Remember keys in the order they were stored."""
        if self._clock() - self._began >= self._seconds:
            self._turn()
        for key in keys:
            if len(self._recent) >= self._events:
                self._turn()
            self._recent.add(key)

    def _turn(self) -> None:
        self._older, self._recent, self._began = self._recent, set(), self._clock()
