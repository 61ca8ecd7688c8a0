"""records: what a line that is not JSON is said to be."""

from __future__ import annotations

import json

import pytest

from tests.events.logs import EVENT, OTHER, codes, encoded, event, event_list, records

FULL = encoded(
    event(
        user={"username": "\u00e4", "groups": ["a", "b"], "extra": {"k": ["v"]}},
        sourceIPs=["::1"],
        responseStatus={"code": 200},
        requestObject={"n": [1, -2.5e3, True, None, {}, []], "items": [{"a": "\\"}]},
        annotations={},
    )
)


@pytest.mark.parametrize(
    ("junk", "at"),
    [
        pytest.param(b" x", 1, id="word"),
        pytest.param(b" // c", 1, id="comment"),
        pytest.param(b"}", 0, id="brace"),
        pytest.param(b",", 0, id="comma"),
        pytest.param(b' "text"', 1, id="string"),
        pytest.param(b" {}", 1, id="object"),
        pytest.param(b'{"kind":"Ev', 0, id="torn-event"),
    ],
)
@pytest.mark.parametrize("ending", [b"\n", b""], ids=["newline", "unterminated"])
def test_junk_behind_an_event_is_extra_data(junk: bytes, at: int, ending: bytes) -> None:
    """The event is whole; what is wrong stands behind it."""
    (record,) = records(EVENT + junk + ending)

    assert ("extra-data", None) == (record.code, record.event)
    assert f"not JSON: extra data after the event at byte {len(EVENT) + at}" == record.problem


@pytest.mark.parametrize("data", [b"{} x", b"1 2", b"[] {}", b'{"a":1}}'])
def test_junk_behind_something_else_is_extra_data(data: bytes) -> None:
    """What is no event is not called one."""
    (record,) = records(data + b"\n")

    assert "extra-data" == record.code
    assert str(record.problem).startswith("not JSON: extra data at byte ")


def test_event_in_a_body_is_not_the_second_event_of_a_line() -> None:
    """Two events on a line are one behind the other."""
    holder = encoded(event(requestObject=event()))

    assert ["extra-data"] == codes(holder + b" x\n")
    (record,) = records(holder + OTHER + b"\n")
    assert f"two events on one line: another event begins at byte {len(holder)}" == record.problem


@pytest.mark.parametrize("junk", [b"x", b'","verb":"get"}', b"[", b'"', b"}", b"\xff"], ids=ascii)
def test_junk_before_an_event_is_not_a_torn_event(junk: bytes) -> None:
    """A line is glued to a torn one only when it begins as an event does."""
    (record,) = records(junk + EVENT + b"\n")

    assert record.code in ("not-json", "extra-data")
    assert "glued" not in str(record.problem)


@pytest.mark.parametrize("first", [EVENT, FULL], ids=["short", "with-everything"])
def test_event_behind_a_torn_one_is_glued_wherever_that_was_torn(first: bytes) -> None:
    """In a key, a string, an escape, a number or between two tokens: the second event's place is named."""
    for cut in range(1, len(first)):
        (record,) = records(first[:cut] + OTHER + b"\n")
        assert "glued" == record.code
        assert str(record.problem).endswith(f": another event begins at byte {cut}")


@pytest.mark.parametrize("indent", [None, 0], ids=["compact", "spaced"])
@pytest.mark.parametrize(
    "envelope", [event_list(event(), event()), {"items": [event(), event()]}], ids=["kind", "bare"]
)
def test_torn_list_is_torn_wherever_it_was_torn(envelope: dict[str, object], indent: int | None) -> None:
    """Its own items are not glued to it."""
    body = encoded(envelope) if indent is None else json.dumps(envelope).encode()
    for cut in range(1, len(body)):
        assert ["torn"] == codes(body[:cut] + b"\n")


def test_event_behind_a_torn_list_is_glued() -> None:
    """Where the list breaks off inside an item, the event behind it is seen."""
    body = encoded(event_list(event(), event()))[:-40]
    (record,) = records(body + OTHER + b"\n")

    assert f"a line glued to a torn one: another event begins at byte {len(body)}" == record.problem


def test_list_with_a_syntax_error_is_not_glued_at_an_item() -> None:
    """The error is named where it is, not where some item begins."""
    body = encoded(event_list(event(), event(), event())).replace(b'"level":', b'"level"', 1)
    (record,) = records(body + b"\n")

    assert "not-json" == record.code
    at = body.index(b'"level"') + len('"level"')
    assert f"at byte {at}" in str(record.problem)
