"""kaudit_core.receiver.event_list."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.json_text import JsonError, parse
from kaudit_core.events.records import Record, read_records
from kaudit_core.receiver.event_list import Event, read_batch, read_event, read_event_carefully
from tests.receiver.batches import HOSTILE, body, event

REAL = Path(__file__).resolve().parent.parent / "corpus" / "real"
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.just(HOSTILE)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
MEMBERS = sorted(json.loads(event(1, 1)))
PLACES = st.sampled_from([*MEMBERS, "annotations", "impersonatedUser", "requestObject", "other"])


@st.composite
def odd_events(draw: st.DrawFn) -> bytes:
    """Events with a few members that may be of any type, and perhaps a few bytes that are anything."""
    value: dict[str, Any] = json.loads(event(draw(st.integers(0, 9))))
    for member in draw(st.lists(PLACES, max_size=3)):
        inner = draw(st.booleans()) and isinstance(value.get(member), dict)
        holder = value[member] if inner else value
        holder[draw(st.sampled_from(["uid", "groups", "extra", "code", "name"])) if inner else member] = draw(VALUES)
    data = bytearray(json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"\n", b"\xff", b"\x00", b"\\", b"1.", b"}", b""])
        )
    return bytes(data)


def stored(data: bytes) -> list[bytes]:
    return [one.line for one in read_batch(data).events]


def reasons(data: bytes) -> list[tuple[int | None, bytes]]:
    return [(one.item, one.data) for one in read_batch(data).unreadable]


@given(odd_events())
def test_quick_reading_agrees_with_the_careful_one(data: bytes) -> None:
    """What msgspec takes for an event is one for the reader that judges logs, with the same line and time."""
    assert read_event_carefully(data) == read_event(data)


@given(odd_events())
def test_a_stored_line_is_a_record_of_the_verifier(data: bytes) -> None:
    """The verifier finds one event in a stored line, or a duplicate key, which it reports itself."""
    read = read_event(data)
    if isinstance(read, Event):
        (record,) = read_records(io.BytesIO(read.line), newest=False)
        assert isinstance(record, Record)

        assert record.event is not None or record.code == "duplicate-key"


@given(st.lists(odd_events(), max_size=4), st.booleans())
def test_everything_sent_is_stored_or_quarantined(items: list[bytes], torn: bool) -> None:
    """A readable list gives an answer for each item, in their order; a broken one keeps what it can't give."""
    data = body(items)[: -3 if torn else None]
    batch = read_batch(data)
    try:
        parse(data)
    except JsonError:
        kept = sum(len(one.line) - 1 for one in batch.events) + sum(len(one.data) for one in batch.unreadable)
        assert batch.unreadable
        assert kept >= len(data) - len(body([])) - len(items)
    else:
        assert len(items) == len(batch.events) + len(batch.unreadable)


@pytest.mark.parametrize("log", sorted(REAL.rglob("*.log")), ids=lambda path: path.parent.name)
def test_real_events_keep_their_bytes(log: Path) -> None:
    """Events of real API servers are stored byte for byte."""
    records = list(read_records(io.BytesIO(log.read_bytes()), newest=False))
    text = log.read_bytes()
    items = [
        text[one.offset : one.offset + one.size].strip() for one in records if isinstance(one, Record) and one.event
    ]

    assert [item + b"\n" for item in items] == stored(body(items))


def test_newlines_between_tokens_become_blanks() -> None:
    """A list that was sent over many lines gives one line an event, with nothing else changed."""
    item = json.dumps(json.loads(event(1)), indent=2).encode()

    assert [item.replace(b"\n", b" ") + b"\n"] == stored(body([item]))


def test_hostile_strings_stay_one_line() -> None:
    """Whatever a client puts into a string, the event is one line with the same value."""
    (line,) = stored(body([event(1, userAgent=HOSTILE)]))

    assert 1 == line.count(b"\n")
    assert HOSTILE == json.loads(line)["userAgent"]


def test_an_unreadable_item_is_named_by_its_place() -> None:
    """The events beside an unreadable item are stored."""
    data = body([event(0), b'{"level":"Loud"}', event(2), b"7"])

    assert [event(0) + b"\n", event(2) + b"\n"] == stored(data)
    assert [(1, b'{"level":"Loud"}'), (3, b"7")] == reasons(data)


def test_a_list_broken_in_the_middle_gives_what_comes_before() -> None:
    """From the first byte that is no JSON on, the body is one unreadable piece."""
    data = body([event(0), event(1), b'{"level":', event(3)])

    assert [event(0) + b"\n", event(1) + b"\n"] == stored(data)
    assert [(2, data[data.index(b'{"level":,') :])] == reasons(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="no-json"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"kind":"EventList","apiVersion":"v2","items":[]}', id="another-version"),
        pytest.param(b'{"kind":"EventList","items":{}}', id="items-are-no-list"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order-mark"),
    ],
)
def test_a_body_that_is_no_list_is_kept_whole(data: bytes) -> None:
    """A body without any event is unreadable as a whole."""
    assert [] == stored(data)
    assert [(None, data)] == reasons(data)


@pytest.mark.parametrize("items", [b"[]", b"null"])
def test_an_empty_list_is_nothing(items: bytes) -> None:
    """Neither stored nor unreadable."""
    data = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":' + items + b"}"

    assert [] == stored(data) + reasons(data)


def test_a_single_event_is_taken() -> None:
    """A body that is an event and no list is one event."""
    assert [event(1) + b"\n"] == stored(event(1) + b"\n")


def test_nesting_as_deep_as_go_reads_is_taken() -> None:
    """What is too deep for the quick reading is left to the careful one."""
    deep = event(1)[:-1] + b',"requestObject":' + b"[" * 5000 + b"]" * 5000 + b"}"

    assert [deep + b"\n", event(2) + b"\n"] == stored(body([deep, event(2)]))


def test_other_content_has_another_digest() -> None:
    """A forged event with the Audit-ID of another one is not taken for it."""
    first, second = read_batch(body([event(1), event(1, userAgent="curl/8")])).events

    assert first.digest != second.digest
