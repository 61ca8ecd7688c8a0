"""What a receiver is told: places, limits and times. Sizes are bytes, times seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
UNNAMED: Final = "unnamed"
"""The API server of batches that carry no usable name."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What may be deleted: closed segments that are older than seconds, or the oldest beyond bytes.

    None keeps for ever. sinks: names that must all have taken a segment first; empty means that none has, so that
    nothing is deleted unless untaken says so.
    """

    seconds: float | None = None
    bytes: int | None = None
    sinks: tuple[str, ...] = ()
    untaken: bool = False


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where events are kept, and how much of them.

    limit: of all segments together; None has no limit but the disk. reserve: what stays free on the file system.
    window_events, window_seconds: at least that many of the newest events, no older than that, are known again when
    a batch is retried. servers: API servers told apart; more are kept together under UNNAMED.
    """

    directory: Path
    segment_bytes: int = 128 * MIB
    segment_seconds: float = 3600.0
    limit: int | None = None
    reserve: int = 512 * MIB
    window_events: int = 500_000
    window_seconds: float = 600.0
    servers: int = 256
    retention: Retention = Retention()


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The receiver's certificate chain and key in PEM, and the authority of client certificates if they are wanted."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How clients reach the receiver.

    tls: None is plain HTTP. tokens: a file with one bearer token a line. identity: "path" or "certificate".
    body_bytes: of one batch; more is answered 413. pending_bytes: of all bodies in memory together.
    """

    host: str
    port: int
    tls: TlsSettings | None = None
    tokens: Path | None = None
    identity: str = "path"
    body_bytes: int = 32 * MIB
    pending_bytes: int = 128 * MIB
    connections: int = 512
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    stop_seconds: float = 35.0
    retry_after: int = 5
