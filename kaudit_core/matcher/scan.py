"""A log as Arrow record batches: every record's place, outcome and rule, and the fields that others search by.

Compiled code lays out the records that it judges; the odd ones are judged by the reference and put in at their place.
A malformed record has its place and outcome, and null for all else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from kaudit_core.events.lines import Replayed, begins_with_list, records_of_line
from kaudit_core.events.records import Line, Record, Tail, read_records
from kaudit_core.events.segments import Segment, SegmentStream, open_segment
from kaudit_core.matcher._native import CompiledPolicy, OpenSegment, PolicyWorker
from kaudit_core.policy.types import LEVELS, STAGES
from kaudit_core.verification.findings import GRAVITY
from kaudit_core.verification.judge import Judge

_TEXTS: Final = (
    *("auditID", "verb", "requestURI", "user", "sourceIP", "userAgent"),
    *("namespace", "apiGroup", "resource", "subresource", "name", "requestReceivedTimestamp"),
)
_NAMES: Final = pa.dictionary(pa.int8(), pa.string())
SCHEMA: Final = pa.schema(
    [
        pa.field("segment", pa.dictionary(pa.int32(), pa.string())),
        *(pa.field(name, pa.int64()) for name in ("line", "offset", "size")),
        pa.field("outcome", _NAMES),
        pa.field("rule", pa.int32()),
        pa.field("level", _NAMES),
        pa.field("stage", _NAMES),
        pa.field("code", pa.int64()),
        *(pa.field(name, pa.string()) for name in _TEXTS),
        pa.field("groups", pa.list_(pa.field("item", pa.string()))),
    ]
)
BLOCK: Final = 4 * 1024 * 1024
_NUMBERS: Final = 8
_GROUPS: Final = _NUMBERS + 2 * len(_TEXTS)
# Of a set of findings the gravest, its lowest bit, is the outcome; the bits are those of the first of these.
_DECIDED: Final = ("unexpected-event", "level-above", "unexpected-body", "unexpected-stage", "level-below")
_OUTCOME_OF_SET: Final = bytes(
    GRAVITY.index(next((name for bit, name in enumerate(_DECIDED) if found >> bit & 1), "agrees"))
    for found in range(256)
)


def scan_segment(
    segment: Segment, compiled: CompiledPolicy, judge: Judge, max_line: int, block: int = BLOCK
) -> Iterator[pa.RecordBatch]:
    """The records of one segment in their order, a batch a block; raises SegmentError behind the last one."""
    with open_segment(segment) as stream:
        listed, head = begins_with_list(stream, max_line)
        if listed:
            records = read_records(Replayed(head, stream), newest=segment.newest, max_line=max_line)
            yield _batch(_rows(segment, judge, (one for one in records if isinstance(one, Record))))
            return
        yield from _scan(segment, stream, head, PolicyWorker(compiled, True), judge, block, max_line)


def _scan(
    segment: Segment, stream: SegmentStream, head: bytes, worker: PolicyWorker, judge: Judge, block: int, max_line: int
) -> Iterator[pa.RecordBatch]:
    source = OpenSegment(Replayed(head, stream), block, max_line)
    worker.begin(0)
    lines, more = 1, True
    while more:
        more, _ = worker.advance(source, 1)
        odd: list[Record] = []
        for _, line, offset, size, data, unfinished in worker.odd():
            ending = ("failure" if source.failed else "end") if unfinished else "newline"
            found = records_of_line(
                Line(lines + line, offset, size, data, ending),  # type: ignore[arg-type]
                newest=segment.newest,
                max_line=max_line,
            )
            odd += [one for one in found if not isinstance(one, Tail)]
        batch = _native_batch(segment, worker, lines, judge.rules)
        if odd:
            both = pa.Table.from_batches([batch, _batch(_rows(segment, judge, odd))]).sort_by("offset")
            batch = both.combine_chunks().to_batches()[0]
        if batch.num_rows:
            yield batch
        lines += worker.lines
    if source.failure is not None:
        raise source.failure


def _native_batch(segment: Segment, worker: PolicyWorker, lines: int, rules: int) -> pa.RecordBatch:
    """What compiled code has laid out, without another copy."""
    import pyarrow.compute as pc

    raw = [pa.py_buffer(worker.column(index)) for index in range(_GROUPS + 3)]
    rows = raw[0].size // 8

    def number(kind: pa.DataType, index: int) -> Any:
        return pa.Array.from_buffers(kind, rows, [None, raw[index]])

    def named(index: int, names: tuple[str, ...]) -> Any:
        return pa.DictionaryArray.from_arrays(number(pa.int8(), index), pa.array(names))

    rule, code = number(pa.int32(), 3), number(pa.int64(), 4)
    outcome = pa.Array.from_buffers(pa.int8(), rows, [None, pa.py_buffer(bytes(raw[7]).translate(_OUTCOME_OF_SET))])
    texts = [
        pa.Array.from_buffers(pa.string(), rows, [None, raw[at], raw[at + 1]]) for at in range(_NUMBERS, _GROUPS, 2)
    ]
    names = pa.Array.from_buffers(
        pa.string(), raw[_GROUPS + 1].size // 4 - 1, [None, raw[_GROUPS + 1], raw[_GROUPS + 2]]
    )
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([segment.path])),
        pc.add(number(pa.int64(), 2), lines),
        number(pa.int64(), 0),
        number(pa.int64(), 1),
        pa.DictionaryArray.from_arrays(outcome, pa.array(GRAVITY)),
        pc.if_else(pc.equal(rule, rules), None, rule),
        named(5, LEVELS),
        named(6, STAGES),
        pc.if_else(pc.equal(code, 0), None, code),
        *texts,
        pa.Array.from_buffers(SCHEMA.field("groups").type, rows, [None, raw[_GROUPS]], children=[names]),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def _rows(segment: Segment, judge: Judge, records: Any) -> list[dict[str, Any]]:
    """Records as rows, judged by the reference."""
    rows = []
    for record in records:
        verdict = judge.judge(record)
        row = {"segment": segment.path, "line": record.line, "offset": record.offset, "size": record.size}
        row |= {"outcome": verdict.outcome, "rule": verdict.rule if verdict.decided else None}
        rows.append(row | (_fields(record.event) if record.event is not None else {}))
    return rows


def _fields(event: Mapping[str, Any]) -> dict[str, Any]:
    user, reference = event.get("user") or {}, event.get("objectRef") or {}
    code = (event.get("responseStatus") or {}).get("code") or None
    fields = {name: event.get(name) or "" for name in ("auditID", "verb", "requestURI", "userAgent")}
    fields |= {name: reference.get(name) or "" for name in ("namespace", "apiGroup", "resource", "subresource", "name")}
    return fields | {
        "level": event["level"],
        "stage": event["stage"],
        "code": code if code is not None and abs(code) < 2**63 else None,
        "user": user.get("username") or "",
        "groups": list(user.get("groups") or ()),
        "sourceIP": (event.get("sourceIPs") or [""])[-1],
        "requestReceivedTimestamp": event.get("requestReceivedTimestamp") or "",
    }
