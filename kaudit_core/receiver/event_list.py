"""Reading a request's body: each readable event as the line that is stored, everything else as what can't be read.

A stored line is the item's own bytes. Two readings give the same answer: msgspec's, which checks types while it
scans, and the careful one, which is what `kaudit verify` takes for an event and decides wherever the first refuses.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import msgspec

from kaudit_core.events.event_shape import API_VERSIONS, event_problem, list_problem, looks_like_list
from kaudit_core.events.json_text import JsonError, element_spans, parse

_VERSIONS: Final = (None, "", *API_VERSIONS)
_ITEMS: Final = re.compile(
    rb'\A\s*\{(?:\s*"(?:kind|apiVersion)"\s*:\s*"[^"\\]*"\s*,|\s*"metadata"\s*:\s*\{\s*\}\s*,)*\s*"items"\s*:\s*\['
)
_DECODER: Final = json.JSONDecoder()
_DIGEST: Final = 16

REFUSED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that the careful reader has to decide on."""


class Event(NamedTuple):
    """One event: its line with the newline, the digest of that line, and its stageTimestamp as written."""

    line: bytes
    digest: bytes
    time: str | None


class Unreadable(NamedTuple):
    """What is no event: its place in the list (None for a whole body), why, and its bytes."""

    item: int | None
    reason: str
    data: bytes


@dataclass(slots=True)
class Batch:
    """One request's events in their order, and what could not be read."""

    events: list[Event] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes to be stored."""
        return sum(len(event.line) for event in self.events) + sum(len(one.data) for one in self.unreadable)


class _User(msgspec.Struct, gc=False):
    username: str | None = None
    uid: str | None = None
    groups: list[str] | None = None
    extra: dict[str, list[str] | None] | None = None


class _Reference(msgspec.Struct, gc=False):
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    apiGroup: str | None = None
    apiVersion: str | None = None
    resourceVersion: str | None = None
    subresource: str | None = None


class _Status(msgspec.Struct, gc=False):
    code: int | None = None
    status: str | None = None
    message: str | None = None
    reason: str | None = None


class _Shape(msgspec.Struct, gc=False):
    """What kaudit_core.events.event_shape asks of an event; other members are scanned and not kept."""

    level: Literal["None", "Metadata", "Request", "RequestResponse"]
    stage: Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
    requestURI: str
    kind: Literal["", "Event"] | None = None
    apiVersion: Literal["", "audit.k8s.io/v1", "audit.k8s.io/v1beta1"] | None = None
    auditID: str | None = None
    verb: str | None = None
    userAgent: str | None = None
    requestReceivedTimestamp: str | None = None
    stageTimestamp: str | None = None
    sourceIPs: list[str] | None = None
    user: _User | None = None
    impersonatedUser: _User | None = None
    objectRef: _Reference | None = None
    responseStatus: _Status | None = None
    annotations: dict[str, str] | None = None


class _List(msgspec.Struct):
    items: list[msgspec.Raw]
    kind: str | None = None
    apiVersion: str | None = None
    level: msgspec.Raw | None = None
    auditID: msgspec.Raw | None = None


_SHAPE: Final = msgspec.json.Decoder(_Shape)
_LIST: Final = msgspec.json.Decoder(_List)


def read_batch(body: bytes) -> Batch:
    """The events of an EventList in v1, or of a single event; never raises."""
    try:
        found = _LIST.decode(body)
    except REFUSED:
        return _read_carefully(body)
    if found.kind == "EventList" and found.apiVersion in _VERSIONS:
        return _batch(bytes(item) for item in found.items)
    return _read_carefully(body)


def read_event(data: bytes) -> Event | Unreadable:
    """One item's bytes as an event, or why it is none."""
    try:
        return _event(data, _SHAPE.decode(data).stageTimestamp)
    except REFUSED:
        return read_event_carefully(data)


def read_event_carefully(data: bytes) -> Event | Unreadable:
    """What read_event answers, by the reader that judges logs."""
    try:
        value, _ = parse(data)
    except JsonError as error:
        return Unreadable(None, f"{error.reason} (byte {error.offset})", data)
    problem = event_problem(value) if isinstance(value, dict) else "not an object"
    if problem:
        return Unreadable(None, problem, data)
    time = value.get("stageTimestamp")
    return _event(data, time if isinstance(time, str) else None)


def digest(line: bytes) -> bytes:
    """What tells events apart: all of their content, so server-made and client-made members alike."""
    return hashlib.sha256(line).digest()[:_DIGEST]


def _event(data: bytes, time: str | None) -> Event:
    # Outside of strings a newline is white space, and inside of them JSON has none.
    line = data.replace(b"\n", b" ") + b"\n"
    return Event(line, digest(line), time)


def _batch(items: Any) -> Batch:
    batch = Batch()
    for place, item in enumerate(items):
        read = read_event(item)
        if isinstance(read, Event):
            batch.events.append(read)
        else:
            batch.unreadable.append(read._replace(item=place))
    return batch


def _read_carefully(body: bytes) -> Batch:
    """A body that is not the usual list: odd but readable, a single event, or broken from some byte on."""
    try:
        value, _ = parse(body)
    except JsonError as error:
        return _salvage(body, f"{error.reason} (byte {error.offset})")
    if not isinstance(value, dict) or not looks_like_list(value):
        return _batch([body.strip()]) if isinstance(value, dict) else _whole(body, "not an object")
    if problem := list_problem(value):
        return _whole(body, problem)
    return _batch(body[begin:end] for begin, end in element_spans(body, "items"))


def _whole(body: bytes, reason: str) -> Batch:
    return Batch(unreadable=[Unreadable(None, reason, body)])


def _salvage(body: bytes, reason: str) -> Batch:
    """The items of a list before the byte where it stops being JSON; from the first broken one on it is one piece."""
    opening = _ITEMS.match(body)
    if not opening:
        return _whole(body, reason)
    text, at, whole = body.decode("latin-1"), opening.end(), []
    while True:
        begin = _skipped(text, at)
        try:
            _, at = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            break
        whole.append(body[begin:at])
        at = _skipped(text, at)
        if text[at : at + 1] != ",":
            begin = at
            break
        at += 1
    batch = _batch(whole)
    batch.unreadable.append(Unreadable(len(whole), reason, body[begin:]))
    return batch


def _skipped(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at
