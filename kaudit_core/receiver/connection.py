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
"""Bytes of a request's line and headers."""


def connection_class(settings: ServiceSettings) -> type[HttpToolsProtocol]:
    """The protocol for one receiver's settings."""

    class Connection(HttpToolsProtocol):
        """One client's connection."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head = 0
            self._deadline: asyncio.TimerHandle | None = None
            self._peer = peer_name(transport.get_extra_info("ssl_object"))
            if len(self.connections) > settings.connections:
                transport.abort()
            else:
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_ended()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._deadline is not None:
                if self._head > _HEAD:
                    self.transport.abort()
                    return
                self._head += len(data)
            super().data_received(data)

        def on_message_begin(self) -> None:
            if self._deadline is None:
                self._expect_head()
            super().on_message_begin()
            scope: dict[str, Any] = self.scope  # type: ignore[assignment]
            scope[PEER] = self._peer

        def on_headers_complete(self) -> None:
            self._head_ended()
            super().on_headers_complete()

        def _expect_head(self) -> None:
            self._head = 0
            self._deadline = self.loop.call_later(settings.header_seconds, self.transport.abort)

        def _head_ended(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Connection
