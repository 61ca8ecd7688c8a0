"""Back-pressure: how many bytes of request bodies may be in memory at a time."""

from __future__ import annotations

import asyncio
from collections import deque


class Gate:
    """Lets bodies in by their size, first come first served. For one event loop."""

    def __init__(self, capacity: int) -> None:
        self._free = self._capacity = capacity
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """Bytes that are let in now."""
        return self._capacity - self._free

    async def enter(self, size: int, seconds: float) -> bool:
        """Wait until a body of a size may be read; False when that took too long. One larger than all enters alone."""
        size = min(size, self._capacity)
        if not self._waiting and size <= self._free:
            self._free -= size
            return True
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, ticket))
        try:
            async with asyncio.timeout(seconds):
                await ticket
        except (TimeoutError, asyncio.CancelledError) as error:
            if ticket.done() and not ticket.cancelled():
                self.leave(size)  # let in at the very moment of giving up
            else:
                self._waiting.remove((size, ticket))
                self._admit()
            if isinstance(error, asyncio.CancelledError):
                raise
            return False
        return True

    def leave(self, size: int) -> None:
        """A body of that size is not in memory any more."""
        self._free += min(size, self._capacity)
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, ticket = self._waiting.popleft()
            if not ticket.done():
                self._free -= size
                ticket.set_result(None)
