"""uvicorn's HTTP protocol with bounds on what a client may do before its request is whole, and its certificate's name.

uvicorn itself waits for ever for the end of a request's head, of any length.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kaudit_core.receiver.app import PEER
from kaudit_core.receiver.identity import peer_name
from kaudit_core.receiver.settings import ServiceSettings

_HEAD: Final = 64 * 1024
"""Bytes that may come without any of a body, as a request's line and headers do."""


class Connection(HttpToolsProtocol):
    """One client's connection."""

    settings: ServiceSettings

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._idle = 0  # bytes that brought no body: a head, trailers, extensions of chunks
        self._deadline: asyncio.TimerHandle | None = None
        self._peer = peer_name(transport.get_extra_info("ssl_object"))
        if len(self.connections) > self.settings.connections:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle > _HEAD:
            self.transport.abort()
            return
        self._idle += len(data)
        super().data_received(data)

    def on_body(self, body: bytes) -> None:
        self._idle = 0
        super().on_body(body)

    def on_message_begin(self) -> None:
        if self._deadline is None:
            self._expect_head()
        self._idle = 0
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope[PEER] = self._peer

    def on_headers_complete(self) -> None:
        self._head_ended()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(self.settings.header_seconds, self.transport.abort)

    def _head_ended(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def connection_class(settings: ServiceSettings) -> type[Connection]:
    """The protocol for one receiver's settings: uvicorn makes a connection of it with arguments of its own."""
    return type("Connection", (Connection,), {"settings": settings})
