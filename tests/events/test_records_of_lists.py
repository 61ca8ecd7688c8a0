"""records of EventList bodies: items, what is malformed, what is torn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaudit_core.events.records import Tail
from tests.events.logs import EVENT, MINIMAL, OTHER, codes, encoded, event, event_list, read, records

ITEMS = [MINIMAL, event(userAgent="\u00e4\u20ac\U0001f600"), event(requestObject={"items": [1]})]


@pytest.mark.parametrize("envelope", [event_list(*ITEMS), {"items": ITEMS}], ids=["kind", "no-kind"])
@pytest.mark.parametrize("indent", [None, 2, "\t"], ids=["one-line", "pretty", "tabs"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n\n"], ids=["unterminated", "newline", "blank-line"])
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_event_list_gives_one_record_an_item(
    envelope: dict[str, Any], indent: int | str | None, ending: str, newest: bool
) -> None:
    """Items are records with exact bytes, in a saved body of any layout."""
    data = (json.dumps(envelope, indent=indent, ensure_ascii=False) + ending).encode()
    found = records(data, newest=newest)

    assert ITEMS == [record.event for record in found]
    assert ITEMS == [json.loads(data[record.offset : record.offset + record.size]) for record in found]
    assert [data.count(b"\n", 0, record.offset) + 1 for record in found] == [record.line for record in found]
    assert all(record.in_list for record in found)


def test_event_lists_stand_among_lines() -> None:
    """A receiver's file may hold bodies and events; offsets are those of the file."""
    data = EVENT + b"\n" + encoded(event_list(MINIMAL, MINIMAL)) + b"\n" + encoded(event_list()) + b"\n" + OTHER + b"\n"
    found = records(data)

    assert [1, 2, 2, 4] == [record.line for record in found]
    assert [False, True, True, False] == [record.in_list for record in found]
    assert MINIMAL == json.loads(data[found[2].offset : found[2].offset + found[2].size])


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"kind": "EventList"}, id="no-items"),
        pytest.param({"kind": "EventList", "items": None}, id="null-items"),
        pytest.param({"kind": "EventList", "items": []}, id="empty-items"),
        pytest.param({"items": []}, id="empty-items-without-kind"),
    ],
)
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_empty_event_list_has_no_records(value: dict[str, Any], newest: bool) -> None:
    """A list without items gives nothing, terminated or not."""
    assert [] == read(encoded(value) + b"\n", newest=newest)
    assert [] == read(encoded(value), newest=newest)


def test_broken_item_is_malformed_by_itself() -> None:
    """Items that are no events are malformed one by one; the others are read."""
    twice = '{"level":"None",' + json.dumps(MINIMAL)[1:]
    items = ["7", json.dumps(MINIMAL), '{"kind":"Pod"}', twice, "null", json.dumps(event())]
    found = records(f'{{"kind":"EventList","items":[{" , ".join(items)}]}}\n'.encode())

    assert ["not-an-object", None, "not-an-event", "duplicate-key", "not-an-object", None] == [
        record.code for record in found
    ]
    assert [len(item) for item in items] == [record.size for record in found]


def test_duplicate_keys_in_the_body_of_an_item_are_legal() -> None:
    """What holds for a line's event holds for an item."""
    item = json.dumps(MINIMAL)[:-1].encode() + b',"verb":"patch","requestObject":{"a":1,"a":2}}'

    assert [None] == codes(b'{"items":[' + item + b"]}\n")


def test_invalid_utf8_is_a_fact_of_its_item() -> None:
    """Only the item with the bytes is flagged."""
    data = encoded({"items": [MINIMAL, {**MINIMAL, "userAgent": "X"}]}).replace(b"X", b"\xff") + b"\n"

    assert [False, True] == [record.invalid_utf8 for record in records(data)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b'{"kind":"EventList","apiVersion":"v1","items":[{}]}', "not-an-event", id="other-version"),
        pytest.param(b'{"kind":"EventList","items":{}}', "not-an-event", id="items-no-list"),
        pytest.param(b'{"kind":"EventList","items":[],"items":[{}]}', "duplicate-key", id="items-twice"),
        pytest.param(b'{\n"kind":"EventList","items":[],"items":[{}]}', "duplicate-key", id="items-twice-over-lines"),
    ],
)
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_list_that_cannot_be_trusted_is_one_malformed_record(data: bytes, code: str, newest: bool) -> None:
    """When the envelope is wrong its items are not guessed at; complete it is no tail either."""
    (record,) = records(data, newest=newest)

    assert (code, None, len(data)) == (record.code, record.event, record.size)


def test_torn_event_list_is_a_tail_or_torn() -> None:
    """Half a body is what half a line is."""
    data = encoded(event_list(MINIMAL, MINIMAL))[:-5]

    assert [Tail(1, 0, len(data))] == read(data, newest=True)
    assert ["torn"] == codes(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{\n" + EVENT + b"\n", id="torn-first-line"),
        pytest.param(b'{\n"items": [' + b"\n" + EVENT + b"\n", id="torn-document"),
        pytest.param(b"{\n}\n" + EVENT + b"\n", id="other-document"),
        pytest.param(b'{\n"items":[]\n' + EVENT + b"\n", id="list-that-is-torn"),
    ],
)
def test_lone_brace_that_opens_no_event_list_is_a_line(data: bytes) -> None:
    """If no EventList begins there the segment is read line by line."""
    found = records(data)

    assert ["torn", None] == [found[0].code, found[-1].code]
    assert data.count(b"\n") == len(found)


def test_event_list_longer_than_allowed_is_read_line_by_line() -> None:
    """A document is held whole only up to the limit of a line."""
    data = json.dumps(event_list(*ITEMS), indent=1).encode() + b"\n"
    found = records(data, max_line=len(data) - 1)

    assert data.count(b"\n") == len(found)
    assert ITEMS == [record.event for record in records(data, max_line=len(data))]
