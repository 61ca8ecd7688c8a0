"""Real events, altered one at a time: what is found, with its line, and what no log alone can show."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Policy
from tests.engines import EngineUnderTest

ACK = Path(__file__).parents[1] / "corpus" / "real" / "ack"
Event = dict[str, Any]


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The managed-cluster policy of the excerpt."""
    policy = read_policy((ACK / "policy.yaml").read_bytes(), "policy.yaml").policy
    assert policy is not None
    return policy


@pytest.fixture(scope="module")
def log() -> list[bytes]:
    """Its real log."""
    return (ACK / "audit.log").read_bytes().splitlines(keepends=True)


def first(log: list[bytes], wanted: Callable[[Event], bool]) -> int:
    """Where the first real event stands that something is to be done to."""
    return next(index for index, line in enumerate(log) if wanted(json.loads(line)))


def _request(event: Event) -> bool:
    return bool(event["level"] == "Request" and event["verb"] == "list" and event["user"].get("username") == "admin")


def _metadata(event: Event) -> bool:
    return bool(event["level"] == "Metadata" and event.get("objectRef", {}).get("resource") == "secrets")


def _created(event: Event) -> bool:
    return event["level"] == "RequestResponse" and event["verb"] == "create" and "responseObject" in event


TAMPERINGS = [
    pytest.param(_request, {"level": "RequestResponse"}, "level-above", id="level-raised"),
    pytest.param(_created, {"level": "Metadata"}, "unexpected-body", id="level-lowered-below-its-bodies"),
    pytest.param(_metadata, {"level": "Request"}, "level-above", id="level-of-a-secret-raised"),
    pytest.param(_request, {"responseObject": {"kind": "List"}}, "unexpected-body", id="response-body-at-request"),
    pytest.param(_metadata, {"requestObject": {"data": {}}}, "unexpected-body", id="request-body-at-metadata"),
    pytest.param(
        _metadata, {"requestURI": "/healthz", "objectRef": None, "verb": "get"}, "unexpected-event", id="of-a-none-rule"
    ),
    pytest.param(_request, {"stage": "RequestReceived"}, "unexpected-stage", id="omitted-stage"),
    pytest.param(_request, {"objectRef.resource": "elsewhere"}, "inconsistent", id="objectRef-names-other-resource"),
    pytest.param(_request, {"objectRef.apiGroup": "apps"}, "inconsistent", id="objectRef-names-other-group"),
    pytest.param(_request, {"objectRef.subresource": "log"}, "inconsistent", id="objectRef-names-a-subresource"),
    pytest.param(_request, {"objectRef": None}, "inconsistent", id="objectRef-taken-away"),
    pytest.param(_request, {"verb": "create"}, "level-below", id="verb-of-another-method-falls-under-another-rule"),
    pytest.param(_request, {"verb": "get"}, "inconsistent", id="verb-that-needs-a-name"),
    pytest.param(_request, {"verb": "proxy"}, "inconsistent", id="verb-that-only-a-path-gives"),
    pytest.param(_request, {"verb": "escalate"}, "inconsistent", id="verb-of-no-method"),
    pytest.param(_request, {"requestURI": "/api/v1/secrets"}, "level-above", id="uri-changed-across-rules"),
    pytest.param(_request, {"requestURI": "/apis/batch/v1/jobs"}, "inconsistent", id="uri-changed-within-a-rule"),
    pytest.param(
        _request,
        {"user": {"username": "system:apiserver"}, "requestURI": "/api/v1/namespaces/x", "verb": "get"},
        "unexpected-event",
        id="user-changed-into-one-that-is-not-logged",
    ),
    pytest.param(_metadata, {"stage": "Nowhere"}, "malformed", id="stage-of-no-name"),
]


@pytest.mark.parametrize(("wanted", "change", "finding"), TAMPERINGS)
def test_tampering_is_found_and_named_with_its_line(
    engine: EngineUnderTest,
    policy: Policy,
    log: list[bytes],
    wanted: Callable[[Event], bool],
    change: Event,
    finding: str,
) -> None:
    """One altered event in a real log is the only one found, and its line and offset are right."""
    index = first(log, wanted)
    altered = [*log[:index], as_line(changed(json.loads(log[index]), change)), *log[index + 1 :]]

    summary = engine.verify(policy, b"".join(altered))

    grave = [example for example in summary.all_examples() if example.finding != "undecidable"]
    assert {(index + 1, len(b"".join(log[:index])))} == {(example.line, example.offset) for example in grave}
    assert finding in {example.finding for example in grave}, grave
    assert 0 != summary.exit_code()


def changed(event: Event, change: Event) -> Event:
    """An event with some fields replaced; "a.b" is a field of an object, None takes it away."""
    event = copy.deepcopy(event)
    for path, value in change.items():
        *parents, name = path.split(".")
        place = event
        for parent in parents:
            place = place[parent]
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return event


def as_line(event: Event) -> bytes:
    """One line of a log."""
    return json.dumps(event, ensure_ascii=False).encode() + b"\n"


def test_half_a_line_is_malformed_and_the_next_line_is_read(
    engine: EngineUnderTest, policy: Policy, log: list[bytes]
) -> None:
    """A line that was cut in the middle hurts nobody but itself."""
    torn = [*log[:5], log[5][: len(log[5]) // 2] + b"\n", *log[6:]]

    summary = engine.verify(policy, b"".join(torn))

    assert [6] == [example.line for example in summary.examples["malformed"]]
    assert 3 == summary.exit_code()
    assert len(log) == summary.events


def test_half_a_line_without_newline_swallows_the_next(
    engine: EngineUnderTest, policy: Policy, log: list[bytes]
) -> None:
    """A torn line that is glued to the next is one malformed record."""
    glued = [*log[:5], log[5][: len(log[5]) // 2], *log[6:]]

    summary = engine.verify(policy, b"".join(glued))

    assert [("glued", 6)] == [(example.reason, example.line) for example in summary.examples["malformed"]]
    assert len(log) - 1 == summary.events


UNSEEN = [
    pytest.param({"auditID": "another"}, id="audit-id"),
    pytest.param({"sourceIPs": ["10.0.0.1"]}, id="source-address"),
    pytest.param({"userAgent": "curl/7"}, id="user-agent"),
    pytest.param({"user.username": "mallory"}, id="user-that-no-rule-names"),
    pytest.param({"responseStatus": {"metadata": {}, "code": 403}}, id="status"),
    pytest.param({"requestReceivedTimestamp": "2020-01-01T00:00:00.000000Z"}, id="time"),
    pytest.param({"annotations": {"authorization.k8s.io/decision": "forbid"}}, id="annotations"),
    pytest.param({"impersonatedUser": {"username": "root"}}, id="impersonated-user"),
]


@pytest.mark.parametrize("change", UNSEEN)
def test_no_log_alone_shows_this_change(
    engine: EngineUnderTest, policy: Policy, log: list[bytes], change: Event
) -> None:
    """What neither the policy nor another field looks at can't be found without a seal or a second copy."""
    index = first(log, _request)
    altered = as_line(changed(json.loads(log[index]), change))

    summary = engine.verify(policy, altered)

    assert {"agrees": 1} == dict(summary.outcomes), change


def test_a_missing_event_is_not_seen(engine: EngineUnderTest, policy: Policy, log: list[bytes]) -> None:
    """Taking a whole line away leaves a log that agrees: only probes, counters and seals prove too little."""
    summary = engine.verify(policy, b"".join(log[:3] + log[4:]))

    assert 0 == summary.exit_code()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({"userAgent": "another"}, "userAgent", id="user-agent"),
        pytest.param({"user.username": "mallory"}, "user.username", id="user"),
        pytest.param({"requestURI": "/version?x"}, "requestURI", id="uri"),
    ],
)
def test_join_shows_stages_that_disagree(engine: EngineUnderTest, change: Event, found: str) -> None:
    """With --join a change in one stage of a request is found, because the other stages have the old value."""
    everything = ACK.parent / "everything"
    policy = read_policy((everything / "policy.yaml").read_bytes(), "policy.yaml").policy
    assert policy is not None
    log = (everything / "audit.log").read_bytes().splitlines(keepends=True)
    events = [json.loads(line) for line in log]
    index = next(
        number
        for number, event in enumerate(events)
        if event["stage"] == "ResponseComplete" and event["auditID"] == events[number - 1]["auditID"] and event["user"]
    )
    pair = log[index - 1] + as_line(changed(events[index], change))

    assert not engine.verify(policy, pair).findings["stages-disagree"]
    joined = engine.verify(policy, pair, join=True)

    assert [found] == [example.reason for example in joined.examples["stages-disagree"]]
    assert 1 == joined.exit_code()
