"""Event lists as an API server sends them, and what a spool holds afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kaudit_core.events.records import Record, read_records
from kaudit_core.events.segments import find_segments, open_segment
from kaudit_core.receiver.event_list import read_batch
from kaudit_core.receiver.settings import SpoolSettings
from kaudit_core.receiver.spool import Receipt, Refusal, Spool, Submission

HOSTILE = '\x00\x1b[31m"\\\u2028\u202e{}\n,]}\r</script>\ud800'
"""What a client may put into its user agent, as far as JSON can carry it."""


def event(number: int, size: int = 0, **more: Any) -> bytes:
    """One event as the API server's encoder writes it; size: bytes of an added body."""
    value = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse" if size else "Metadata",
        "auditID": f"00000000-0000-4000-8000-{number:012}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/default/pods/p{number}",
        "verb": "get",
        "user": {"username": "alice", "groups": ["system:authenticated"]},
        "sourceIPs": ["192.0.2.7"],
        "userAgent": "kubectl/v1.35.0",
        "objectRef": {"resource": "pods", "namespace": "default", "name": f"p{number}", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": f"2026-11-21T05:00:00.{number % 1_000_000:06}Z",
        "stageTimestamp": f"2026-11-21T05:00:01.{number % 1_000_000:06}Z",
        **({"responseObject": {"data": "x" * size}} if size else {}),
        **more,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def body(items: Iterable[bytes]) -> bytes:
    """An EventList of items, as the webhook backend sends it."""
    joined = b",".join(items)
    return b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[' + joined + b"]}\n"


def settings(directory: Path, **more: Any) -> SpoolSettings:
    """A spool that does not mind how full the disk of the test is."""
    return SpoolSettings(**{"directory": directory, "reserve": 0, **more})


def commit(spool: Spool, items: Sequence[bytes], server: str = "master-1") -> Receipt | Refusal:
    """Store one batch."""
    (answer,) = spool.commit([Submission(server, read_batch(body(items)), "127.0.0.1")])
    return answer


def lines(directory: Path, server: str = "master-1") -> list[bytes]:
    """What the segments of an API server hold, in the order in which the verifier reads them."""
    place = directory / "segments" / server
    if not place.is_dir() or not any(place.iterdir()):
        return []
    found = find_segments([str(place)])
    assert [] == found.errors + found.ignored
    held: list[bytes] = []
    for segment in found.segments:
        with open_segment(segment) as stream:
            held += stream.readall().split(b"\n")[:-1]
    return held


def problems(directory: Path, server: str = "master-1") -> list[str]:
    """Why lines of an API server's segments are no events, as the verifier sees them."""
    said = []
    for segment in find_segments([str(directory / "segments" / server)]).segments:
        with open_segment(segment) as stream:
            for record in read_records(stream, newest=segment.newest):
                if not isinstance(record, Record) or record.problem:
                    said.append(str(record))
    return said


def misplaced(held: Sequence[bytes], batches: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Events that stand before an earlier one of their own batch."""
    places = {line: place for place, line in enumerate(held)}
    return [
        later
        for batch in batches
        for earlier, later in zip(batch, batch[1:], strict=False)
        if earlier in places and later in places and places[earlier] >= places[later]
    ]
