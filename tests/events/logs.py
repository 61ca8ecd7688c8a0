"""Events, lists of them, and what is read of them."""

from __future__ import annotations

import io
import json
from typing import Any

from kaudit_core.events.records import Record, Tail, read_records

MINIMAL: dict[str, Any] = {"level": "Metadata", "stage": "ResponseComplete", "requestURI": "/api/v1/pods"}


def event(**fields: Any) -> dict[str, Any]:
    return {"kind": "Event", "apiVersion": "audit.k8s.io/v1", **MINIMAL, "auditID": "a-1", **fields}


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


EVENT = encoded(event())
OTHER = encoded(event(auditID="a-2"))


def read(data: bytes, *, newest: bool = False, max_line: int = 64 * 2**20) -> list[Record | Tail]:
    return list(read_records(io.BytesIO(data), newest=newest, max_line=max_line))


def records(data: bytes, *, newest: bool = False, max_line: int = 64 * 2**20) -> list[Record]:
    return [record for record in read(data, newest=newest, max_line=max_line) if isinstance(record, Record)]


def codes(data: bytes, *, newest: bool = False) -> list[str | None]:
    return [record.code for record in records(data, newest=newest)]


def event_list(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, **fields, "items": list(items)}
