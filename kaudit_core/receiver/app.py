"""The routes: event lists in, answers out once they are stored; health, readiness and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kaudit_core.receiver.access import Tokens
from kaudit_core.receiver.committer import Committer
from kaudit_core.receiver.event_list import read_batch
from kaudit_core.receiver.gate import Gate
from kaudit_core.receiver.metrics import Metrics
from kaudit_core.receiver.settings import UNNAMED, ServiceSettings
from kaudit_core.receiver.spool import Receipt, Refusal, Spool, Submission

PEER: Final = "kaudit.peer"
"""Member of a request's scope: the name in the client's certificate, or None."""


class _AnyText(Convertor[str]):
    """The rest of a path, whatever it holds: a name that can't be used is no reason to lose a batch."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any", _AnyText())


_DRAIN: Final = 2.0
"""Seconds for which a body that is refused is read, and thrown away."""
_READ: Final = "kaudit.read"
"""Member of a request's scope: its body was read to the end."""


@dataclass(frozen=True, slots=True)
class _Answered(Exception):
    """A request that is answered before its events are stored."""

    code: int
    words: str
    drain: bool = True


class Receiver:
    """Answers requests; everything that waits for the disk is done by the committer."""

    def __init__(
        self,
        settings: ServiceSettings,
        spool: Spool,
        committer: Committer,
        metrics: Metrics,
        tokens: Tokens | None = None,
    ) -> None:
        """tokens: one of them is needed then."""
        self.settings, self.metrics, self.tokens = settings, metrics, tokens
        self.gate = Gate(settings.pending_bytes)
        self.stopping = False
        self._spool, self._committer = spool, committer

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/reportAuditEvent", self.report, methods=["POST"]),
                Route("/reportAuditEvent/{server:any}", self.report, methods=["POST"]),
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.show_metrics),
            ]
        )

    async def report(self, request: Request) -> Response:
        """Store an event list: 200 once all of it is on the disk."""
        try:
            receipt = await self._take(request)
        except _Answered as answer:
            self._count(answer.code)
            if answer.drain and not request.scope.get(_READ):
                await self._drain(request)
            return self._refused(answer)
        except ClientDisconnect:
            self._count(499)  # by custom; nobody reads it
            return Response(status_code=400)
        self._count(200)
        words = f"stored {receipt.stored}, duplicates {receipt.duplicates}, quarantined {receipt.quarantined}\n"
        return PlainTextResponse(words)

    async def healthz(self, request: Request) -> Response:
        """Whether the process can still do its work."""
        if self._committer.failure is not None or not self._committer.is_alive():
            return PlainTextResponse("the writer has ended\n", 500)
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """Whether a batch would be taken now."""
        refusal = Refusal("stopping") if self.stopping else self._spool.refusal(self.settings.body_bytes)
        if refusal or self._committer.failure is not None:
            return PlainTextResponse(f"{refusal.reason if refusal else 'the writer has ended'}\n", 503)
        return PlainTextResponse("ok\n")

    async def show_metrics(self, request: Request) -> Response:
        """Counters and gauges for Prometheus."""
        spool = self._spool
        try:
            left = spool.disk.free(spool.settings.directory)
        except OSError:
            left = 0
        gauges = [
            ("spool_bytes", "Bytes in all segments.", spool.size),
            ("spool_segments", "Closed segments.", sum(len(one.closed) for one in spool.series())),
            (
                "spool_untaken_bytes",
                "Bytes in closed segments that a sink still needs.",
                self._committer.housekeeping.untaken,
            ),
            ("disk_free_bytes", "Bytes left on the spool's file system.", left),
            ("pending_bytes", "Bytes of request bodies in memory.", self.gate.held),
        ]
        if spool.settings.limit is not None:
            gauges.append(("spool_limit_bytes", "Bytes that the segments may take.", spool.settings.limit))
        return PlainTextResponse(self.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def _take(self, request: Request) -> Receipt:
        """Read, parse and store; raises _Answered for everything but success."""
        peer = request.scope.get(PEER)
        self._admit(request, peer)
        server = self._server(request, peer)
        declared = _declared(request.headers)
        if declared is not None and declared > self.settings.body_bytes:
            raise self._too_large()
        if refusal := self._spool.refusal(declared or 0):
            raise _Answered(503, refusal.reason)
        size = declared if declared is not None else self.settings.body_bytes
        if not await self.gate.enter(size, self.settings.body_seconds):
            raise _Answered(503, "too many bytes are waiting to be stored")
        try:
            batch = read_batch(await self._body(request))
            address = request.client.host if request.client else ""
            return await self._stored(Submission(server, batch, address))
        finally:
            self.gate.leave(size)

    def _admit(self, request: Request, peer: str | None) -> None:
        tls = self.settings.tls
        if self.stopping:
            raise _Answered(503, "stopping")
        if tls is not None and tls.client_ca is not None and peer is None:
            raise _Answered(401, "a client certificate is needed")
        if self.tokens is not None:
            given = request.headers.get("authorization")
            if not self.tokens.accept(given.encode("latin-1") if given is not None else None):
                raise _Answered(401, "a bearer token is needed")

    def _server(self, request: Request, peer: str | None) -> str:
        named = request.path_params.get("server", "")
        if self.settings.identity == "path":
            return named or UNNAMED
        if named and named != peer:
            raise _Answered(403, "the path names another API server than the certificate")
        return peer or UNNAMED

    async def _body(self, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > self.settings.body_bytes:
                        raise self._too_large()
                    parts.append(part)
        except TimeoutError:
            raise _Answered(503, "the body did not arrive in time", drain=False) from None
        request.scope[_READ] = True
        return b"".join(parts)

    async def _drain(self, request: Request) -> None:
        """Read on for a while: who is still sending would see a broken connection instead of the answer."""
        left, more = self.settings.body_bytes, True
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                while more and left > 0:
                    message = await request.receive()
                    more = message["type"] == "http.request" and message.get("more_body", False)
                    left -= len(message.get("body", b""))

    async def _stored(self, submission: Submission) -> Receipt:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Receipt | Refusal] = loop.create_future()

        def answered(answer: Receipt | Refusal) -> None:
            loop.call_soon_threadsafe(_resolve, waiter, answer)

        self._committer.submit(submission, answered)
        # A client that goes away does not take its batch along: the writer has it, and the gate must count it.
        answer = await asyncio.shield(waiter)
        if isinstance(answer, Refusal):
            raise _Answered(503, answer.reason)
        return answer

    def _refused(self, answer: _Answered) -> Response:
        headers = {"connection": "close"}
        if answer.code == 503:
            headers["retry-after"] = str(self.settings.retry_after)
        if answer.code == 401:
            headers["www-authenticate"] = "Bearer"
        return PlainTextResponse(f"{answer.words}\n", answer.code, headers)

    def _too_large(self) -> _Answered:
        return _Answered(413, f"more than {self.settings.body_bytes} bytes")

    def _count(self, code: int) -> None:
        self.metrics.responses[code] = self.metrics.responses.get(code, 0) + 1


def _resolve(waiter: asyncio.Future[Receipt | Refusal], answer: Receipt | Refusal) -> None:
    if not waiter.done():
        waiter.set_result(answer)


def _declared(headers: Mapping[str, str]) -> int | None:
    """The body's size as its header says; None without one."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None
