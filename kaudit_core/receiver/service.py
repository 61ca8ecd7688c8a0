"""The whole receiver: certificates, server, writer; from recovery to a graceful stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn

from kaudit_core.receiver.access import Tokens
from kaudit_core.receiver.app import Receiver
from kaudit_core.receiver.committer import Committer
from kaudit_core.receiver.connection import connection_class
from kaudit_core.receiver.metrics import Metrics
from kaudit_core.receiver.settings import ServiceSettings, SpoolSettings, TlsSettings
from kaudit_core.receiver.spool import Spool

Say = Callable[[str], None]
_RELOAD: Final = 10.0
"""Seconds between looks at whether certificates or tokens were renewed."""


class ServiceError(Exception):
    """The receiver can't start: what is wrong and what to do, in one sentence."""


def serve(service: ServiceSettings, storage: SpoolSettings, say: Say) -> int:
    """Receive until SIGTERM or SIGINT; 0 after a graceful stop, 1 when the writer failed.

    say: takes sentences for the log. Raises ServiceError or OSError before the first batch is taken.
    """
    context = tls_context(service.tls) if service.tls else None
    listener = _listening(service)
    try:
        tokens = _tokens(service)
        spool = Spool(storage)
        for note in spool.notes:
            say(note)
        spool.notes = []
        return asyncio.run(_Service(service, spool, context, tokens, say).run(listener))
    finally:
        listener.close()


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer; a client's certificate is asked for, and verified, where an authority is given for it.

    Clients without one are refused event lists by the application, so that kubelets can still ask for health.
    Raises ServiceError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca is not None:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        paths = ", ".join(str(path) for path in (settings.certificate, settings.key, settings.client_ca) if path)
        raise ServiceError(f"{paths}: can't be used for TLS: {error.strerror or error}") from error
    return context


def _tokens(settings: ServiceSettings) -> Tokens | None:
    try:
        return Tokens(settings.tokens) if settings.tokens else None
    except (OSError, ValueError) as error:
        raise ServiceError(str(error)) from error


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the receiver when it is about to stop."""

    def __init__(self, config: uvicorn.Config, receiver: Receiver) -> None:
        super().__init__(config)
        self._receiver = receiver

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._receiver.stopping = True
        await super().shutdown(sockets)


class _Service:
    """One run of the server and its writer."""

    def __init__(
        self, settings: ServiceSettings, spool: Spool, context: ssl.SSLContext | None, tokens: Tokens | None, say: Say
    ) -> None:
        self._settings, self._context, self._say = settings, context, say
        self._metrics = Metrics()
        self._committer = Committer(spool, self._metrics, say, self._stop)
        self._receiver = Receiver(settings, spool, self._committer, self._metrics, tokens)
        self._server = _Server(self._config(), self._receiver)
        self._seen = self._stamps()

    async def run(self, listener: socket.socket) -> int:
        """Serve until told to stop; then finish what was begun, sync and close."""
        self._committer.start()
        renewal = asyncio.create_task(self._renew())
        host, port = listener.getsockname()[:2]
        scheme = "https" if self._context else "http"
        self._say(f"receiving on {scheme}://{f'[{host}]' if ':' in host else host}:{port}/reportAuditEvent")
        try:
            with _quiet_signals():
                await self._server.serve([listener])
        finally:
            renewal.cancel()
            await asyncio.to_thread(self._committer.stop)
        self._say("stopped")
        return 0 if self._committer.failure is None else 1

    def _stop(self) -> None:
        self._server.should_exit = True

    def _config(self) -> uvicorn.Config:
        config = uvicorn.Config(
            self._receiver.app(),
            http=connection_class(self._settings),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # an address that a client claims is none
            server_header=False,
            timeout_keep_alive=120,  # longer than the 90 s after which Go closes an idle connection
            timeout_graceful_shutdown=int(self._settings.stop_seconds),
        )
        config.load()
        config.ssl = self._context
        return config

    def _watched(self) -> list[Path]:
        tls = self._settings.tls
        return [path for path in (tls and tls.certificate, tls and tls.key, self._settings.tokens) if path]

    def _stamps(self) -> list[Any]:
        """What changes when certificates or tokens are renewed."""
        stamps: list[Any] = []
        for path in self._watched():
            try:
                found = os.stat(path)
                stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
            except OSError:
                stamps.append(None)
        return stamps

    async def _renew(self) -> None:
        """Take renewed certificates and tokens for new connections; keep the old ones when they can't be read."""
        while True:
            await asyncio.sleep(_RELOAD)
            if (stamps := self._stamps()) == self._seen:
                continue
            try:
                if self._context is not None and self._settings.tls is not None:
                    tls_context(self._settings.tls)  # whole and matching, or nothing is changed
                    self._context.load_cert_chain(self._settings.tls.certificate, self._settings.tls.key)
                if self._receiver.tokens is not None:
                    self._receiver.tokens.reload()
            except (OSError, ValueError, ServiceError) as error:
                self._say(f"renewed certificates or tokens can't be used, the old ones stay: {error}")
            else:
                self._say("renewed certificates or tokens are in use")
            self._seen = stamps


def _listening(settings: ServiceSettings) -> socket.socket:
    """A socket that connections wait at from now on, even while segments are being recovered."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise ServiceError(f"{settings.host}:{settings.port}: can't listen: {error.strerror or error}") from error
    # asyncio leaves this out for a socket that it did not make: the end of every answer would wait 40 ms for an
    # acknowledgement of its beginning. Connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener


@contextmanager
def _quiet_signals() -> Any:
    """uvicorn raises the signal that stopped it once more: it has done its work by then."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
