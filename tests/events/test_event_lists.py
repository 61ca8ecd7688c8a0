"""records: EventLists that are spread over lines, at the beginning of a segment."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.records import Record, Tail, read_records
from tests.events.logs import EVENT, MINIMAL, OTHER, encoded, event, event_list, read, records
from tests.events.test_records import Dribble

LIST = event_list(event(), event(auditID="a-2"), event(auditID="a-3"))
PRETTY = json.dumps(LIST, indent=2).encode()
ITEM_A_LINE = b'{"kind":"EventList","metadata":{},"items":[{"level":"x"},\n' + EVENT + b",\n" + OTHER + b"]}"
LAYOUTS = {
    "pretty": (PRETTY, 3),
    "blank-lines-inside": (PRETTY.replace(b"\n", b"\n\r\n \n"), 3),
    "carriage-returns": (PRETTY.replace(b"\n", b"\r\n"), 3),
    "indented": (b" \t" + PRETTY, 3),
    "brace-and-kind": (b'{ "kind": "EventList",\n "items": [' + EVENT + b" ,\n" + OTHER + b" ] }", 2),
    "item-a-line": (ITEM_A_LINE, 3),
    "comma-first": (b'{"items":[' + EVENT + b"\n," + OTHER + b"\n]}", 2),
    "items-close-on-the-item's-line": (b'{"items":[' + EVENT + b",\n" + OTHER + b"]\n}", 2),
    "colon-on-a-line": (b'{"items"\n:\n[\n' + EVENT + b"\n]\n}", 1),
    "brackets-and-quotes-in-strings": (
        b'{"items":[\n' + encoded(event(userAgent='}]{[\\"', verb="\\")) + b"\n,\n" + EVENT + b"]}",
        2,
    ),
    "empty": (b'{"kind":"EventList",\n"items":[]}', 0),
}


def places(data: bytes, found: list[Record]) -> list[tuple[int, int]]:
    """Line and offset of each record's first byte, as they should be and as they are alike."""
    for record in found:
        assert data.count(b"\n", 0, record.offset) + 1 == record.line
    return [(record.line, record.offset) for record in found]


@pytest.mark.parametrize(("body", "count"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("before", [b"", b"\n \r\n\n"], ids=["first", "behind-blank-lines"])
@pytest.mark.parametrize("behind", [b"", b"\n", b"\n\n" + OTHER + b"\n"], ids=["alone", "newline", "event-behind"])
def test_list_over_lines_is_read_in_every_layout(body: bytes, count: int, before: bytes, behind: bytes) -> None:
    """The items are records where they stand, and reading goes on behind the list."""
    data = before + body + behind
    found = records(data)
    places(data, found)

    assert [True] * count + [False] * behind.count(OTHER) == [record.in_list for record in found]
    assert all(data[record.offset :][: record.size].strip() for record in found)
    for record in found:
        piece = json.loads(data[record.offset :][: record.size])
        assert piece == (record.event or {"level": "x"})


@pytest.mark.parametrize("between", [b"\n", b"\n\n", b"\r\n \n"], ids=ascii)
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_lists_follow_each_other(between: bytes, newest: bool) -> None:
    """Several lists, over lines or on one, and then events: everything is read."""
    one_line = encoded(event_list(MINIMAL))
    data = between.join([PRETTY, PRETTY, one_line, ITEM_A_LINE, one_line, EVENT, b""])
    found = records(data, newest=newest)

    assert [True] * 11 + [False] == [record.in_list for record in found]
    assert ["not-an-event"] == [record.code for record in found if record.event is None]
    assert places(data, found) == sorted(places(data, found))


def test_unterminated_line_behind_a_list_is_a_tail() -> None:
    """The list is whole; what is still being written stands behind it."""
    found = read(PRETTY + b"\n" + EVENT[:40], newest=True)

    assert Tail(PRETTY.count(b"\n") + 2, len(PRETTY) + 1, 40) == found[-1]
    assert 4 == len(found)


@pytest.mark.parametrize(
    ("junk", "number", "offset"),
    [
        pytest.param(b" // end\n", 0, 1, id="same-line"),
        pytest.param(b"\n}\n", 1, 1, id="brace-behind"),
        pytest.param(b"\n, \n", 1, 1, id="comma-behind"),
        pytest.param(EVENT[:9] + b"\n", 0, 0, id="torn-event-on-the-same-line"),
    ],
)
def test_junk_behind_a_list_is_malformed_by_itself(junk: bytes, number: int, offset: int) -> None:
    """A whole list is not lost to what follows it; no list is looked for behind that."""
    data = PRETTY + junk + EVENT + b"\n" + PRETTY
    found = records(data)

    assert [None] * 3 == [record.code for record in found[:3]]
    assert (PRETTY.count(b"\n") + 1 + number, len(PRETTY) + offset) == (found[3].line, found[3].offset)
    assert (None, event()) == (found[3].event, found[4].event)
    assert 5 + PRETTY.count(b"\n") + 1 == len(found)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(json.dumps(event(), indent=1).encode(), id="pretty-event"),
        pytest.param(json.dumps({"kind": "PodList", "items": []}, indent=1).encode(), id="other-list"),
        pytest.param(PRETTY[:-2], id="torn-list"),
        pytest.param(PRETTY[:-6] + b"\n" + PRETTY, id="list-glued-to-a-torn-one"),
        pytest.param(PRETTY.replace(b",\n", b"\n", 1), id="comma-missing"),
        pytest.param(b"[\n" + PRETTY + b"\n]", id="list-of-lists"),
        pytest.param(EVENT + b"\n" + PRETTY, id="list-behind-an-event"),
        pytest.param(b'{"items":[\n' + b"[" * 10_001 + b"]" * 10_001 + b"]}", id="too-deep"),
        pytest.param(b'{"items":[\n' + b"[" * 10_001 + b"]" * 10_001 + b"]}}", id="too-deep-with-a-brace-behind"),
    ],
)
def test_lines_that_are_no_list_are_read_one_by_one(data: bytes) -> None:
    """Each line is then what it is by itself."""
    lines = data.split(b"\n")
    found = records(data + b"\n")

    assert [len(line) + 1 for line in lines] == [record.size for record in found]
    assert list(range(1, len(lines) + 1)) == [record.line for record in found]
    assert not any(record.in_list for record in found)


def test_list_that_repeats_a_key_is_one_malformed_record() -> None:
    """Its lines are not read one by one; what follows is."""
    body = b'{"items":[\n' + EVENT + b'],\n"items":[]}\n'
    found = records(body + OTHER + b"\n")

    assert [("duplicate-key", 1, 0, len(body)), (None, 4, len(body), len(OTHER) + 1)] == [
        (record.code, record.line, record.offset, record.size) for record in found
    ]


def test_bound_is_that_of_a_line() -> None:
    """Blank lines before the list do not count, the bytes of the list do."""
    data = b"\n\n" + PRETTY + b"\n"

    assert 3 == len(records(data + EVENT + b"\n", max_line=len(PRETTY) + 1)) - 1
    assert PRETTY.count(b"\n") + 2 == len(records(data + EVENT + b"\n", max_line=len(PRETTY)))


def test_first_line_that_reaches_the_bound_is_a_line() -> None:
    """A line that begins like a list and leaves no room for more of it is read by itself."""
    line = b'{"items":['

    for bound in (len(line) - 1, len(line), len(line) + 1):
        expected = "torn" if bound >= len(line) else "too-long"
        assert [expected] == [record.code for record in records(line + b"\n", max_line=bound)]


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_pieces_do_not_matter_to_lists(step: int, newest: bool) -> None:
    """Lists, found or not, do not depend on how the bytes arrive."""
    for data in (PRETTY + b"\n" + ITEM_A_LINE + EVENT, PRETTY[:-9], PRETTY + b" x\n" + EVENT[:40]):
        assert read(data, newest=newest) == list(read_records(Dribble(data, step), newest=newest))


@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_failed_read_in_a_list_leaves_its_lines(newest: bool) -> None:
    """What was read of a list comes line by line, the cut line as torn, and then the error."""
    found = read_records(Dribble(PRETTY[:-2], 10, OSError("gone")), newest=newest)
    got = []
    with pytest.raises(OSError, match="gone"):
        for record in found:
            got.append(record)

    assert PRETTY[:-2].count(b"\n") + 1 == len(got)
    assert all(isinstance(record, Record) for record in got)


def test_failed_read_behind_a_list_leaves_its_items() -> None:
    """A list that is whole is read."""
    found = read_records(Dribble(PRETTY + b"\n", 10, OSError("gone")), newest=True)

    assert [True] * 3 == [isinstance(next(found), Record) for _ in range(3)]
    with pytest.raises(OSError, match="gone"):
        next(found)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{\n" * 50_000, id="open-braces"),
        pytest.param(b"{\n" + b'"a":1,\n' * 50_000, id="list-that-never-ends"),
        pytest.param(b'{"items":[\n]}\n{"a",\n' * 15_000, id="lists-and-torn-lines"),
        pytest.param(b'{"items":[\n]}\n' * 25_000, id="small-lists"),
        pytest.param(b'{"items":[\n]}\n}\n' * 15_000, id="lists-with-a-brace-behind"),
    ],
)
def test_looking_ahead_takes_time_in_proportion_to_the_bytes(data: bytes) -> None:
    """A log made to be slow is not: each byte is looked at a few times."""
    begin = time.process_time()
    records(data)

    assert time.process_time() - begin < 5


ITEMS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(event, auditID=st.text(), userAgent=st.text('{}[],:"\\\n\u00e4 x'), requestObject=st.lists(st.text())),
    max_size=4,
)


@given(
    st.lists(st.tuples(ITEMS, st.sampled_from([None, 0, 1, 3, "\t"]), st.booleans())),
    st.lists(st.sampled_from([EVENT, b"", b"{", b"}", b"{}", EVENT[:30], b'"', b","])),
)
def test_lists_before_any_lines_lose_no_item(
    lists: list[tuple[list[dict[str, Any]], Any, bool]], lines: list[bytes]
) -> None:
    """Every item of every list at the beginning is read, whatever stands behind the lists."""
    bodies = [json.dumps(event_list(*items), indent=indent, ensure_ascii=raw).encode() for items, indent, raw in lists]
    data = b"\n".join([*bodies, *lines, b""])
    found = records(data)
    places(data, found)

    expected = [item for items, _, _ in lists for item in items]
    assert expected == [record.event for record in found if record.in_list]
