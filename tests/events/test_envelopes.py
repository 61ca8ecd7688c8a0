"""envelopes: what clouds wrap audit events into, opened once and counted piece by piece."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.envelopes import MAX_CONTENTS
from kaudit_core.events.records import Tail
from tests.engines import EngineUnderTest, policy_of
from tests.events.logs import EVENT, OTHER, encoded, event, read, records
from tests.verification.events import pod_event

TEXT, SECOND = EVENT.decode(), OTHER.decode()


def entry(**payload: Any) -> dict[str, Any]:
    """A LogEntry of Cloud Logging."""
    return {"insertId": "1", "logName": "projects/p/logs/l", "resource": {"type": "k8s_cluster"}, **payload}


def subscription(*messages: Any) -> dict[str, Any]:
    """What a CloudWatch subscription delivers."""
    events = [{"id": str(index), "timestamp": 1, "message": message} for index, message in enumerate(messages)]
    return {"messageType": "DATA_MESSAGE", "owner": "1", "logStream": "kube-apiserver-audit-1", "logEvents": events}


def aks(log: Any, **fields: Any) -> dict[str, Any]:
    """A record of Azure Monitor."""
    properties = {"log": log, "stream": "stdout", "pod": "kube-apiserver-1"}
    return {"time": "t", "category": "kube-audit", "operationName": "o", "properties": properties, **fields}


SINGLE = {
    "cloud-logging-json": entry(jsonPayload=event()),
    "cloud-logging-text": entry(textPayload=TEXT),
    "logs-insights-row": {"@timestamp": "2026-01-01 00:00:00.000", "@message": TEXT, "@ptr": "x"},
    "logs-insights-parsed": {"@timestamp": "2026-01-01 00:00:00.000", "@message": event()},
    "cloudwatch-event": {"timestamp": 1, "ingestionTime": 2, "message": TEXT},
    "azure-line": aks(TEXT + "\n"),
    "azure-admin-line": aks(TEXT, category="kube-audit-admin"),
}
LISTED = {"cloudwatch-subscription": subscription, "azure-event-hub": lambda *logs: {"records": [*map(aks, logs)]}}


@pytest.mark.parametrize("envelope", SINGLE.values(), ids=SINGLE)
def test_envelope_on_a_line_is_the_event_in_it(envelope: dict[str, Any]) -> None:
    """The event is a record with the line's number, offset and size."""
    line = encoded(envelope) + b"\n"
    found = records(EVENT + b"\n" + line + OTHER + b"\n")

    assert (2, len(EVENT) + 1, len(line), event(), False) == (
        found[1].line,
        found[1].offset,
        found[1].size,
        found[1].event,
        found[1].in_list,
    )
    assert 3 == len(found)


@pytest.mark.parametrize("wrap", LISTED.values(), ids=LISTED)
@pytest.mark.parametrize("newline", [b"\n", b""], ids=["line", "saved-body"])
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_each_event_of_a_list_is_a_record(wrap: Any, newline: bytes, newest: bool) -> None:
    """All have the envelope's line and offset, and the bytes of their own text; a saved body needs no newline."""
    found = records(encoded(wrap(TEXT, SECOND)) + newline, newest=newest)

    assert [(1, 0, len(EVENT), event()), (1, 0, len(OTHER), event(auditID="a-2"))] == [
        (record.line, record.offset, record.size, record.event) for record in found
    ]


@pytest.mark.parametrize("wrap", LISTED.values(), ids=LISTED)
def test_empty_list_has_no_records(wrap: Any) -> None:
    """Nothing was delivered."""
    assert [] == records(encoded(wrap()) + b"\n")


def test_unterminated_envelope_is_a_tail_or_torn() -> None:
    """A single event's envelope is a line like any other."""
    line = encoded(aks(TEXT))

    assert [Tail(1, 0, len(line))] == read(line, newest=True)
    assert ["torn"] == [record.code for record in records(line)]


def test_gke_audit_log_can_not_be_decided() -> None:
    """It is another record than the server's: neither its level nor its URI are known."""
    (record,) = records(encoded(entry(protoPayload={"methodName": "io.k8s.core.v1.pods.get"})) + b"\n")

    assert ("cloud-audit-log", None) == (record.code, record.event)
    assert "protoPayload: a Cloud audit log" in str(record.problem)


BAD = {
    "message-is-a-number": ({"@timestamp": "", "@message": 5}, "not-an-event", "@message: not an audit event: it is 5"),
    "message-is-text": ({"@timestamp": "", "@message": "I0101 log"}, "not-json", "@message: not JSON"),
    "message-is-empty": ({"@timestamp": "", "@message": ""}, "not-json", "@message"),
    "message-was-cut": ({"@timestamp": "", "@message": TEXT[:90]}, "torn", "@message: torn"),
    "two-in-a-message": ({"@timestamp": "", "@message": TEXT + SECOND}, "glued", "@message: two events"),
    "message-is-a-list": (
        entry(jsonPayload=[event()]),
        "not-an-event",
        "jsonPayload: not an audit event: it is a list",
    ),
    "half-an-event": (aks('{"level":"Metadata"}'), "not-an-event", "properties.log: not an audit event: stage"),
    "key-twice-inside": (aks(TEXT[:-1] + ',"level":"None"}'), "duplicate-key", 'properties.log: duplicate key "level"'),
    "other-category": (aks("klog", category="kube-apiserver"), "other-log", 'category: another log: "kube-apiserver"'),
    "category-is-a-list": (aks("klog", category=[]), "other-log", "category: another log: a list"),
    "no-properties": ({"category": "kube-audit", "properties": None}, "not-an-event", "properties: not an audit event"),
    "no-log": ({"category": "kube-audit", "properties": {}}, "not-an-event", "properties.log: not an audit event"),
    "records-is-text": ({"records": "x"}, "not-an-event", "records: not an audit event: it is"),
    "record-is-a-number": ({"records": [7]}, "not-an-event", "records[0]: not an audit event: it is 7"),
    "nested": (aks(json.dumps(aks(TEXT))), "not-an-event", "properties.log: not an audit event: level is missing"),
    "nested-lists": ({"records": [{"records": [aks(TEXT)]}]}, "other-log", "records[0].category: another log: null"),
    "list-inside": (aks(json.dumps({"kind": "EventList", "items": []})), "not-an-event", 'kind is "EventList"'),
    "two-kinds": ({**aks(TEXT), **entry(textPayload=SECOND)}, "not-an-event", "not an audit event: level is missing"),
    "too-deep-inside": (aks("[" * 10_001 + "]" * 10_001), "too-deep", "properties.log"),
}


@pytest.mark.parametrize(("envelope", "code", "words"), BAD.values(), ids=BAD)
def test_what_is_no_event_has_its_reason(envelope: dict[str, Any], code: str, words: str) -> None:
    """One record, malformed, which says where it is wrong; its neighbours are unharmed."""
    first, bad, last = records(EVENT + b"\n" + encoded(envelope) + b"\n" + OTHER + b"\n")

    assert (None, code, None) == (first.code, bad.code, last.code)
    assert words in str(bad.problem)


def test_bad_one_of_a_list_leaves_the_others() -> None:
    """Each message stands for itself."""
    found = records(encoded(subscription(TEXT, 5, SECOND[:80], SECOND)) + b"\n")

    assert [None, "not-an-event", "torn", None] == [record.code for record in found]
    assert str(found[1].problem).startswith("logEvents[1].message: ")


def test_envelope_that_repeats_a_key_is_one_malformed_record() -> None:
    """Whoever reads the first and whoever reads the last would see different events."""
    line = encoded(aks(TEXT))[:-1] + b',"properties":{"log":"{}"}}\n'

    assert ["duplicate-key"] == [record.code for record in records(line)]


def test_repeated_keys_in_the_body_of_a_parsed_event_are_legal() -> None:
    """What is inside an event is judged as it is without an envelope."""
    held = EVENT[:-1] + b',"verb":"patch","requestObject":{"a":1,"a":2}}'
    line = encoded(entry(jsonPayload=0)).replace(b'"jsonPayload":0', b'"jsonPayload":' + held) + b"\n"

    assert [None] == [record.code for record in records(line)]


@pytest.mark.parametrize("key", ["@message", "records", "properties", "protoPayload", "logEvents"])
def test_event_with_an_envelope_s_key_is_an_event(key: str) -> None:
    """An event can't be exchanged for another one by a field that a later server may write."""
    found = records(encoded(event(**{**SINGLE["logs-insights-row"], **entry(), key: SECOND})) + b"\n")

    assert ["a-1"] == [(record.event or {})["auditID"] for record in found]


def test_damaged_bytes_are_a_fact_of_every_event_in_the_envelope() -> None:
    """Which of them was hit is not looked for."""
    line = encoded(subscription(TEXT, SECOND)).replace(b'"owner":"1"', b'"owner":"\xff"') + b"\n"

    assert [True, True] == [record.invalid_utf8 for record in records(line)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([TEXT, TEXT[:50]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["log", "message"]), inner, max_size=2),
    max_leaves=6,
)
KEYS = (
    *("records", "properties", "category", "logEvents", "messageType", "message", "timestamp", "ingestionTime"),
    *("@message", "@timestamp", "logName", "jsonPayload", "textPayload", "protoPayload"),
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.just("kube-audit"), max_size=5))
def test_envelopes_of_any_content_are_read(envelope: dict[str, Any]) -> None:
    """Whatever they hold, each record is an event or has a reason, and the next line is read."""
    *inside, last = records(encoded(envelope) + b"\n" + EVENT + b"\n")

    assert event() == last.event
    assert all((record.event is None) == bool(record.code) == bool(record.problem) for record in inside)


POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, users: [alice]}, {level: None}]\n"


def test_every_engine_judges_what_is_inside(engine: EngineUnderTest) -> None:
    """Events in envelopes have the findings that they have without; Cloud audit logs are undecidable and exit 1."""
    good, bad = json.dumps(pod_event()), json.dumps(pod_event(user={"username": "bob"}))
    log = [aks(good), subscription(good, bad), entry(jsonPayload=pod_event()), entry(protoPayload={})]
    summary = engine.verify(policy_of(POLICY), b"".join(encoded(envelope) + b"\n" for envelope in log))

    assert {"agrees": 3, "unexpected-event": 1, "undecidable": 1} == dict(summary.outcomes)
    assert {"cloud-audit-log": 1} == dict(summary.reasons)
    assert 1 == summary.exit_code()


def test_list_has_a_bound() -> None:
    """Records cost more memory than the bytes that make them: beyond the bound there is one for all."""
    found = [len(records(encoded({"records": [0] * count}) + b"\n")) for count in (MAX_CONTENTS, MAX_CONTENTS + 1)]

    assert [MAX_CONTENTS, 1] == found
