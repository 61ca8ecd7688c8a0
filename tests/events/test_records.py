"""records: lines and EventList items, what is malformed and why, and what survives beside it."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.records import Record, Tail, read_records
from kaudit_core.events.segments import Segment, open_segment
from tests.events.logs import EVENT, MINIMAL, OTHER, codes, encoded, event, read, records

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


class Dribble(io.RawIOBase):
    """A stream that gives a few bytes at a time and may fail at its end."""

    def __init__(self, data: bytes, step: int, failure: OSError | None = None) -> None:
        super().__init__()
        self.pieces: Iterator[bytes] = iter([data[at : at + step] for at in range(0, len(data), step)])
        self.failure = failure

    def read(self, size: int = -1, /) -> bytes:
        piece = next(self.pieces, b"")
        if not piece and self.failure:
            raise self.failure
        return piece


def test_each_line_is_a_record() -> None:
    """Events come in order with line, offset and size."""
    assert [
        Record(1, 0, len(EVENT) + 1, event()),
        Record(2, len(EVENT) + 1, len(OTHER) + 1, event(auditID="a-2")),
    ] == read(EVENT + b"\n" + OTHER + b"\n")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty-segment"),
        pytest.param(b"\n\n", id="empty-lines"),
        pytest.param(b" \t\r\n\r\n", id="white-space"),
        pytest.param(b"\n  ", id="unterminated-white-space"),
    ],
)
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_blank_lines_are_no_records(data: bytes, newest: bool) -> None:
    """White space alone is neither a record nor a tail."""
    assert [] == read(data, newest=newest)


def test_blank_lines_count_as_lines() -> None:
    """Line numbers and offsets go on over blank lines."""
    (record,) = records(b"\n \n" + EVENT + b"\n")

    assert (3, 3) == (record.line, record.offset)


def test_carriage_return_before_a_newline_is_white_space() -> None:
    """CRLF line ends are read, and the size counts both bytes."""
    assert [(None, len(EVENT) + 2)] == [(record.code, record.size) for record in records(EVENT + b"\r\n")]


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1e", "\x85", "\u2028"], ids=ascii)
def test_only_a_newline_ends_a_line(separator: str) -> None:
    """Other characters that some tools take for line ends do not end one."""
    assert 1 == len(records(EVENT + separator.encode() + OTHER + b"\n"))


def test_line_separator_inside_a_string_is_text() -> None:
    """U+2028 in a string stays in its event."""
    data = json.dumps(event(userAgent="a\u2028b"), ensure_ascii=False).encode() + b"\n"

    assert [event(userAgent="a\u2028b")] == [record.event for record in records(data)]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        pytest.param(EVENT[:-20], "torn", "torn: ends before its closing brace", id="cut-line-is-torn"),
        pytest.param(EVENT[:50] + OTHER, "glued", "another event begins at byte 50", id="event-after-torn-is-glued"),
        pytest.param(EVENT + OTHER, "glued", "two events on one line", id="two-events-on-a-line-are-glued"),
        pytest.param(
            EVENT[:50] + b'{"level":"Metadata","auditID":"x"}', "glued", "at byte 50", id="item-after-torn-is-glued"
        ),
        pytest.param(
            EVENT[:50] + json.dumps(event()).encode(), "glued", "at byte 50", id="spaced-event-after-torn-is-glued"
        ),
        pytest.param(b"  " + EVENT[:-9], "torn", "torn", id="indented-event-is-not-glued-to-itself"),
        pytest.param(
            encoded(event(requestObject={"kind": "Event", "apiVersion": "v1"}))[:-3],
            "torn",
            "torn",
            id="core-event-in-a-body-is-not-glued",
        ),
        pytest.param(b"\0" * 100, "nul-bytes", "the first at byte 0", id="nul-run"),
        pytest.param(b"\0\0" + EVENT, "nul-bytes", "NUL bytes", id="nul-run-before-an-event"),
        pytest.param(EVENT[:10] + b"\0" + EVENT[10:], "nul-bytes", "the first at byte 10", id="nul-in-an-event"),
        pytest.param(b"hello", "not-json", "not JSON: expecting value at byte 0", id="text"),
        pytest.param(b'{"a" 1}', "not-json", "at byte 5", id="syntax-error"),
        pytest.param(b"\xff\xfe", "not-json", "not JSON", id="binary"),
        pytest.param(b"\xef\xbb\xbf" + EVENT, "byte-order-mark", "a byte order mark at byte 0", id="byte-order-mark"),
        pytest.param(b"[1]", "not-an-object", "not an object: a list", id="list"),
        pytest.param(b"null", "not-an-object", "not an object: null", id="null"),
        pytest.param(b'{"level":"None",' + EVENT[1:], "duplicate-key", 'duplicate key "level"', id="duplicate-key"),
        pytest.param(
            EVENT[:-1] + b',"user":{"uid":"","uid":""}}', "duplicate-key", '"uid" in "user"', id="nested-duplicate"
        ),
        pytest.param(
            EVENT[:-1] + b',"requestObject":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
            "too-deep",
            "deeper than 10,000",
            id="too-deep",
        ),
        pytest.param(
            b'2026-11-21T00:06:33.040169672Z AUDIT: id="ac41" stage="RequestReceived" ip="127.0.0.1"',
            "legacy-format",
            "legacy format: set --audit-log-format=json",
            id="legacy-format",
        ),
        pytest.param(
            b'2026-11-21T00:06:33Z AUDIT: id="x" user-agent="' + EVENT + b'"',
            "legacy-format",
            "legacy format",
            id="legacy-format-with-an-event-as-user-agent",
        ),
    ],
)
def test_malformed_line_is_one_record_with_its_reason(line: bytes, code: str, words: str) -> None:
    """The reason is named, the bytes are counted, and the lines around it are read."""
    before, broken, after = records(EVENT + b"\n" + line + b"\n" + OTHER + b"\n")

    assert (code, None) == (broken.code, broken.event)
    assert words in str(broken.problem)
    assert (2, len(EVENT) + 1, len(line) + 1) == (broken.line, broken.offset, broken.size)
    assert [event(), event(auditID="a-2")] == [before.event, after.event]
    assert (3, broken.offset + broken.size) == (after.line, after.offset)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"kind": "Pod"}, 'kind is "Pod"', id="kind"),
        pytest.param({"kind": 1}, "kind is 1", id="kind-number"),
        pytest.param({"apiVersion": "audit.k8s.io/v1alpha1"}, 'apiVersion is "audit.k8s.io/v1alpha1"', id="version"),
        pytest.param({"apiVersion": "v1"}, 'apiVersion is "v1"', id="core-version"),
        pytest.param({"level": "metadata"}, 'level is "metadata"', id="level-in-small-letters"),
        pytest.param({"level": None}, "level is null", id="level-null"),
        pytest.param({"level": ["Metadata"]}, "level is a list", id="level-list"),
        pytest.param({"stage": "Done"}, 'stage is "Done"', id="stage"),
        pytest.param({"requestURI": 1}, "requestURI is 1", id="uri-number"),
        pytest.param({"requestURI": None}, "requestURI is null", id="uri-null"),
        pytest.param({"auditID": 7}, "auditID is 7", id="audit-id-number"),
        pytest.param({"verb": ["get"]}, "verb is a list", id="verb-list"),
        pytest.param({"userAgent": {}}, "userAgent is an object", id="user-agent-object"),
        pytest.param({"stageTimestamp": 5}, "stageTimestamp is 5", id="timestamp-number"),
        pytest.param({"sourceIPs": "1.1.1.1"}, 'sourceIPs is "1.1.1.1"', id="source-ips-string"),
        pytest.param({"sourceIPs": ["::1", 1]}, "sourceIPs[1] is 1", id="source-ip-number"),
        pytest.param({"user": "admin"}, 'user is "admin"', id="user-string"),
        pytest.param({"user": {"username": 1}}, "user.username is 1", id="username-number"),
        pytest.param({"user": {"groups": "g"}}, 'user.groups is "g"', id="groups-string"),
        pytest.param({"user": {"groups": ["g", None]}}, "user.groups[1] is null", id="group-null"),
        pytest.param({"user": {"extra": []}}, "user.extra is a list", id="extra-list"),
        pytest.param({"user": {"extra": {"a": "b"}}}, "user.extra holds", id="extra-of-strings"),
        pytest.param({"impersonatedUser": []}, "impersonatedUser is a list", id="impersonated-user-list"),
        pytest.param({"objectRef": "pods/x"}, 'objectRef is "pods/x"', id="reference-string"),
        pytest.param({"objectRef": {"name": 1}}, "objectRef.name is 1", id="reference-name-number"),
        pytest.param({"responseStatus": 200}, "responseStatus is 200", id="status-number"),
        pytest.param({"responseStatus": {"code": "200"}}, 'responseStatus.code is "200"', id="code-string"),
        pytest.param({"responseStatus": {"code": True}}, "responseStatus.code is true", id="code-boolean"),
        pytest.param({"responseStatus": {"message": 1}}, "responseStatus.message is 1", id="message-number"),
        pytest.param({"annotations": ["a"]}, "annotations is a list", id="annotations-list"),
        pytest.param({"annotations": {"a": 1}}, 'annotations["a"] is 1', id="annotation-number"),
    ],
)
def test_wrong_field_makes_no_event_and_is_named(fields: dict[str, Any], field: str) -> None:
    """JSON that is no audit event says which field is wrong."""
    (record,) = records(encoded(event(**fields)) + b"\n")

    assert "not-an-event" == record.code
    assert f"not an audit event: {field}" in str(record.problem)


@pytest.mark.parametrize("missing", ["level", "stage", "requestURI"])
def test_event_needs_what_it_is_judged_by(missing: str) -> None:
    """Without level, stage or URI nothing can be judged."""
    (record,) = records(encoded({name: value for name, value in event().items() if name != missing}) + b"\n")

    assert f"not an audit event: {missing} is missing" == record.problem


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MINIMAL, id="no-kind-no-version-no-id"),
        pytest.param(event(apiVersion="audit.k8s.io/v1beta1"), id="older-version"),
        pytest.param(event(auditID="", verb="", requestURI=""), id="empty-strings"),
        pytest.param(event(user={}), id="user-of-a-401"),
        pytest.param(event(user={"groups": None, "extra": {"a": ["b"], "c": None}}), id="null-lists"),
        pytest.param(event(objectRef=None, annotations=None, sourceIPs=None, user=None, verb=None), id="null-fields"),
        pytest.param(event(level="None", stage="Panic"), id="none-and-panic"),
        pytest.param(event(requestObject=[{"op": "add"}], responseObject="text"), id="bodies-of-any-kind"),
        pytest.param(event(authenticationMetadata={"x": 1}, later=[1]), id="fields-of-later-versions"),
        pytest.param(event(items=[]), id="event-with-items"),
        pytest.param({**MINIMAL, "items": [1]}, id="items-beside-a-level"),
    ],
)
def test_go_may_write_it_so_it_is_an_event(value: dict[str, Any]) -> None:
    """What Go may leave out or write as null is not required."""
    assert [value] == [record.event for record in records(encoded(value) + b"\n")]


def test_invalid_utf8_is_a_fact_of_its_record() -> None:
    """The flag stands at the record that holds the bytes, malformed or not."""
    bad = encoded(event(userAgent="X")).replace(b"X", b"\xff")
    flags = [(record.code, record.invalid_utf8) for record in records(b"\n".join((EVENT, bad, bad[:-1], EVENT, b"")))]

    assert [(None, False), (None, True), ("torn", True), (None, False)] == flags


def test_line_longer_than_allowed_is_one_malformed_record() -> None:
    """The limit counts the line without its newline; the next line is read."""
    fits = EVENT.ljust(300)
    longer = EVENT.ljust(301)
    found = records(fits + b"\n" + longer + b"\n" + OTHER + b"\n", max_line=300)

    assert [(None, 301), ("too-long", 302), (None, len(OTHER) + 1)] == [(found.code, found.size) for found in found]
    assert "longer than 300 bytes" == found[1].problem


def test_limit_is_64_mib_by_default() -> None:
    """The default limit is named in the words people use."""
    data = b" " * (64 * 2**20) + b"1\n"

    assert ["longer than 64 MiB"] == [record.problem for record in records(data)]


def test_line_longer_than_allowed_is_not_held_in_memory() -> None:
    """Memory stays near the limit, however long the line is."""
    stream = Dribble(b"x" * 64 * 2**20 + b"\n", 2**16)
    tracemalloc.start()
    try:
        (record,) = list(read_records(stream, newest=False, max_line=2**20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(record, Record)
    assert 64 * 2**20 + 1 == record.size
    assert peak < 8 * 2**20


def test_unterminated_last_line_of_the_newest_segment_is_a_tail() -> None:
    """A live file's last line is no record, even when it happens to be whole."""
    found = read(EVENT + b"\n" + OTHER, newest=True)

    assert Tail(2, len(EVENT) + 1, len(OTHER)) == found[-1]
    assert 2 == len(found)


def test_unterminated_last_line_elsewhere_is_torn() -> None:
    """In a segment that is no longer written, an event without its newline is malformed though complete."""
    (record,) = records(EVENT)

    assert ("torn", None, len(EVENT)) == (record.code, record.event, record.size)
    assert "torn: the segment ends before the line does" == record.problem


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(EVENT[:-5], "torn", id="cut"),
        pytest.param(b"hello", "torn", id="text"),
        pytest.param(b"\0\0", "nul-bytes", id="nul-bytes"),
        pytest.param(EVENT[:50] + OTHER, "glued", id="glued"),
    ],
)
def test_unterminated_line_elsewhere_keeps_a_better_reason(data: bytes, code: str) -> None:
    """Torn is the reason unless the line shows another one."""
    assert [code] == codes(data)
    assert [Tail(1, 0, len(data))] == read(data, newest=True)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_pieces_of_the_stream_do_not_matter(step: int) -> None:
    """Records do not depend on how the bytes arrive."""
    data = EVENT + b"\n\n" + EVENT[:30] + b"\r\n\0\n" + OTHER

    assert read(data) == list(read_records(Dribble(data, step), newest=False))


@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_failed_read_comes_after_the_records_before_it(newest: bool) -> None:
    """All that was read is delivered, the cut line as torn, then the error is raised."""
    found = read_records(Dribble(EVENT + b"\n" + OTHER[:20], 10, OSError("gone")), newest=newest)
    first, torn = next(found), next(found)

    assert [None, "torn"] == [record.code for record in (first, torn) if isinstance(record, Record)]
    with pytest.raises(OSError, match="gone"):
        next(found)


def covered(data: bytes, newest: bool, max_line: int) -> list[tuple[int, int]]:
    """Where records and tail begin and end."""
    return [
        (found.offset, found.offset + (found.length if isinstance(found, Tail) else found.size))
        for found in read(data, newest=newest, max_line=max_line)
    ]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: not (isinstance(value, dict) and isinstance(value.get("items"), list)))
EVENTS = st.builds(event, auditID=st.text(), userAgent=st.text(), requestObject=JSON_VALUES)
LINES = st.one_of(
    EVENTS.map(encoded),
    JSON_VALUES.map(encoded),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")),
    st.just(EVENT[:40]),
    st.just(b"\0\0"),
)


@given(st.lists(JSON_VALUES | EVENTS), st.sampled_from([b"\n", b"\r\n"]))
def test_values_written_as_lines_come_back_with_their_places(values: list[Any], ending: bytes) -> None:
    """Each value is one record at its offset with its size; events are unchanged."""
    lines = [encoded(value) + ending for value in values]
    found = records(b"".join(lines))

    assert [sum(map(len, lines[:index])) for index in range(len(lines))] == [record.offset for record in found]
    assert [len(line) for line in lines] == [record.size for record in found]
    assert all(record.event == value for record, value in zip(found, values, strict=True) if record.code is None)


@given(st.lists(LINES), st.integers(min_value=0))
def test_splitting_at_a_record_boundary_changes_nothing(lines: list[bytes], cut: int) -> None:
    """Two halves of a log hold the records of the whole."""
    lines = [line + b"\n" for line in lines]
    cut %= len(lines) + 1
    first, second = b"".join(lines[:cut]), b"".join(lines[cut:])
    moved = [(found.line + cut, found.offset + len(first), found.event) for found in records(second)]

    whole = [(found.line, found.offset, found.event) for found in records(first + second)]
    assert [(found.line, found.offset, found.event) for found in records(first)] + moved == whole


@given(
    st.one_of(st.binary(), st.lists(LINES).map(b"\n".join), st.text(alphabet='{}[]",:\0 \r\n').map(str.encode)),
    st.booleans(),
    st.sampled_from([5, 64, 2**20]),
)
def test_any_bytes_are_covered_without_an_error(data: bytes, newest: bool, max_line: int) -> None:
    """Records, blank lines and the tail cover the input, each byte once, and nothing is ever raised."""
    at = 0
    for begin, end in [*covered(data, newest, max_line), (len(data), len(data))]:
        assert not data[at:begin].strip(b" \t\r\n")
        assert at <= begin <= end
        at = end


needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared corpus is not beside the repository")


@needs_corpus
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        pytest.param("ack/audit.log", {None: 1930}, id="ack"),
        pytest.param("everything/audit.log", {None: 2678}, id="everything"),
        pytest.param("truncate-batch/audit.log", {None: 2712}, id="truncate-batch"),
        pytest.param("disk-full/audit.log", {None: 599, "glued": 1}, id="disk-full"),
        pytest.param("legacy/audit.log", {"legacy-format": 1181}, id="legacy"),
        pytest.param("webhook/received.log", {None: 398}, id="webhook"),
    ],
)
def test_real_logs_are_read_to_the_last_byte(name: str, counts: dict[str | None, int]) -> None:
    """Logs of a real API server have the records and the defects that they are known to have."""
    path = CORPUS / name
    with open_segment(Segment(str(path), False, False)) as stream:
        found = [record for record in read_records(stream, newest=False) if isinstance(record, Record)]

    assert counts == Counter(record.code for record in found)
    assert path.stat().st_size == sum(record.size for record in found)


@needs_corpus
def test_reading_resumes_after_the_glued_line() -> None:
    """Where the disk was full one record is malformed; the one behind the next newline is an event."""
    found = records((CORPUS / "disk-full/audit.log").read_bytes())
    (broken,) = [index for index, record in enumerate(found) if record.code]

    assert 301 == found[broken].line
    assert "another event begins at byte 8275" in str(found[broken].problem)
    assert found[broken].offset + found[broken].size == found[broken + 1].offset
    assert found[broken + 1].event is not None


@needs_corpus
def test_real_log_as_an_event_list_gives_the_same_events() -> None:
    """A body made of real events holds what the lines hold."""
    lines = (CORPUS / "ack/audit.log").read_bytes().splitlines()
    body = b'{"kind":"EventList","items":[' + b",".join(lines) + b"]}"
    found = records(body)

    assert lines == [body[record.offset : record.offset + record.size] for record in found]
    assert [json.loads(line) for line in lines] == [record.event for record in found]
