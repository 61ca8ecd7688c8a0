"""What one JSON value of a log is: an event, each event of a list or an envelope, or the reason why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaudit_core.events.diagnosis import diagnosis
from kaudit_core.events.envelopes import Content, Envelope
from kaudit_core.events.event_shape import BODIES, event_problem, judged_objects, list_problem
from kaudit_core.events.json_text import (
    Facts,
    JsonError,
    element_spans,
    find_duplicate,
    is_utf8,
    parse,
    repeated_key,
    shown,
)


@dataclass(slots=True)
class Record:
    """One record: exactly one of event and problem is set.

    line: from 1, where the record begins. offset: bytes before it in the uncompressed segment.
    size: a line's bytes with its newline; an item's own bytes. One of many in an envelope has the envelope's place.
    problem: in words; code: the same as a short name for counting; both None for an event.
    in_list: an item of an EventList or of an envelope's list, or one of these that is malformed as a whole.
    """

    line: int
    offset: int
    size: int
    event: dict[str, Any] | None = None
    problem: str | None = None
    code: str | None = None
    invalid_utf8: bool = False
    in_list: bool = False


@dataclass(frozen=True, slots=True)
class Tail:
    """The unterminated last line of the newest segment: still being written, no record."""

    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    line: int
    offset: int
    size: int

    def malformed(self, problem: str, code: str, invalid_utf8: bool = False, in_list: bool = False) -> Record:
        return Record(self.line, self.offset, self.size, None, problem, code, invalid_utf8, in_list)


def list_records(data: bytes, place: Place, value: dict[str, Any], facts: Facts) -> list[Record]:
    """One record an item of an EventList; one for the whole when the list itself can't be trusted."""
    duplicate = find_duplicate(value, facts, ("items",))
    problem = list_problem(value)
    if duplicate or problem:
        code = "duplicate-key" if duplicate else "not-an-event"
        reason = f"duplicate key {duplicate}" if duplicate else str(problem)
        return [place.malformed(reason, code, invalid_utf8=facts.invalid_utf8, in_list=True)]
    records = []
    line, counted = place.line, 0
    for item, (begin, end) in zip(value.get("items") or (), element_spans(data, "items"), strict=True):
        line, counted = line + data.count(b"\n", counted, begin), begin
        invalid_utf8 = facts.invalid_utf8 and not is_utf8(data[begin:end])
        item_place = Place(line, place.offset + begin, end - begin)
        records.append(value_record(item_place, item, facts, invalid_utf8, in_list=True))
    return records


def value_record(place: Place, value: Any, facts: Facts, invalid_utf8: bool, in_list: bool = False) -> Record:
    if not isinstance(value, dict):
        return place.malformed(f"not an object: {shown(value)}", "not-an-object", invalid_utf8, in_list)
    if duplicate := _duplicate(value, facts):
        return place.malformed(f"duplicate key {duplicate}", "duplicate-key", invalid_utf8, in_list)
    if problem := event_problem(value):
        return place.malformed(problem, "not-an-event", invalid_utf8, in_list)
    return Record(place.line, place.offset, place.size, value, None, None, invalid_utf8, in_list)


def _duplicate(event: dict[str, Any], facts: Facts) -> str | None:
    """A key repeated where the server never repeats one, in words."""
    if not facts.doubled:
        return None
    in_bodies = ((path, repeated_key(value, facts)) for path, value in judged_objects(event))
    found = find_duplicate(event, facts, BODIES)
    return found or next((f"{key} in {path}" for path, key in in_bodies if key), None)


def enveloped_records(place: Place, envelope: Envelope, value: dict[str, Any], facts: Facts) -> list[Record]:
    """One record for each content of an envelope, at the envelope's place; one for the whole if it repeats a key."""
    held = value[envelope.member]
    opaque = (envelope.member,) if isinstance(held, dict) and envelope.contents[0].value is held else ()
    if duplicate := find_duplicate(value, facts, opaque):
        problem = f"duplicate key {duplicate}"
        return [place.malformed(problem, "duplicate-key", facts.invalid_utf8, envelope.listed)]
    return [_enveloped(place, content, facts, envelope.listed) for content in envelope.contents]


def _enveloped(place: Place, content: Content, facts: Facts, listed: bool) -> Record:
    """One content as a record. The text of one of many is shorter than it stands in the log: escapes are undone."""
    inside, event = content.value, None
    problem, code = content.problem, content.code
    if isinstance(inside, str):
        data = inside.encode()
        place = Place(place.line, place.offset, len(data)) if listed else place
        try:
            event, own = parse(data)
        except JsonError as error:
            problem, code = diagnosis(data, error)
        else:
            facts = Facts(facts.invalid_utf8, own.doubled)
    else:
        event = inside
    if code:
        return place.malformed(f"{content.where}: {problem}", code, facts.invalid_utf8, listed)
    record = value_record(place, event, facts, facts.invalid_utf8, listed)
    if record.problem is not None:
        record.problem = f"{content.where}: {record.problem}"
    return record
