"""One event against one policy: each finding, its reason, and what is benign."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engines import EngineUnderTest, log_of, policy_of
from tests.verification.events import Event, path_event, pod_event

HEADER = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
METADATA = HEADER + "rules: [{level: Metadata}]\n"
EVERYTHING = HEADER + "rules: [{level: RequestResponse}]\n"
NO_MANAGED_FIELDS = HEADER + "omitManagedFields: true\nrules: [{level: RequestResponse}]\n"
ROOT = HEADER + "rules: [{level: None, nonResourceURLs: [/]}, {level: Metadata}]\n"
PODS = HEADER + (
    "rules: [{level: Request, resources: [{group: '', resources: [pods]}]}, {level: Metadata, users: [alice]}]\n"
)
BY_USER = HEADER + "rules: [{level: Request, users: [alice]}, {level: Metadata}]\n"

SECRETS = HEADER + (
    "rules: [{level: Metadata, resources: [{group: '', resources: [secrets]}]}, {level: RequestResponse}]\n"
)
SECRET = {"resource": "secrets", "namespace": "n", "name": "s", "apiVersion": "v1"}

MANAGED = {"metadata": {"managedFields": [{"manager": "kubectl"}]}}


def body(name: str, value: Any, **changes: Any) -> Event:
    """A create at RequestResponse with one body."""
    event = {"level": "RequestResponse", "verb": "create", "requestURI": "/api/v1/namespaces/x/pods", name: value}
    return pod_event(**{**event, **changes})


CASES = [
    pytest.param(METADATA, pod_event(), {"agrees"}, id="agrees"),
    pytest.param(METADATA, pod_event(level="Request"), {"level-above"}, id="above"),
    pytest.param(EVERYTHING, pod_event(), {"level-below"}, id="below"),
    pytest.param(METADATA, pod_event(level="None"), {"level-below"}, id="level-None-is-never-logged"),
    pytest.param(HEADER + "rules: [{level: None}]\n", pod_event(), {"unexpected-event"}, id="none-rule"),
    pytest.param(
        HEADER + "rules: [{level: Metadata, users: [bob]}]\n", pod_event(), {"unexpected-event"}, id="no-rule-matches"
    ),
    pytest.param(
        HEADER + "omitStages: [ResponseComplete]\nrules: [{level: Metadata}]\n",
        pod_event(),
        {"unexpected-stage"},
        id="stage-omitted-by-policy",
    ),
    pytest.param(
        HEADER + "rules: [{level: Metadata, omitStages: [Panic]}]\n",
        pod_event(stage="Panic"),
        {"unexpected-stage"},
        id="stage-omitted-by-rule",
    ),
    # bodies
    pytest.param(METADATA, pod_event(requestObject={}), {"unexpected-body"}, id="request-body-at-metadata"),
    pytest.param(METADATA, pod_event(requestObject=[]), {"unexpected-body"}, id="empty-list-is-a-body"),
    pytest.param(
        EVERYTHING, pod_event(requestObject={}), {"level-below", "unexpected-body"}, id="lower-of-both-levels-counts"
    ),
    pytest.param(
        METADATA,
        pod_event(level="RequestResponse", responseObject={}),
        {"level-above", "unexpected-body"},
        id="body-above-the-policy",
    ),
    pytest.param(
        EVERYTHING,
        pod_event(level="RequestResponse", stage="RequestReceived", responseObject={}),
        {"unexpected-body"},
        id="no-body-at-RequestReceived",
    ),
    pytest.param(
        EVERYTHING,
        pod_event(level="RequestResponse", stage="ResponseStarted", user={}, responseObject={"kind": "Status"}),
        {"agrees"},
        id="status-body-of-an-unauthenticated-request",
    ),
    pytest.param(EVERYTHING, pod_event(level="RequestResponse"), {"agrees"}, id="missing-body-is-no-finding"),
    # managed fields
    pytest.param(
        NO_MANAGED_FIELDS, body("responseObject", MANAGED), {"unexpected-managed-fields"}, id="managed-of-an-object"
    ),
    pytest.param(
        NO_MANAGED_FIELDS,
        body("responseObject", {"items": [{}, MANAGED]}),
        {"unexpected-managed-fields"},
        id="managed-of-an-item",
    ),
    pytest.param(
        NO_MANAGED_FIELDS,
        body("responseObject", {"kind": "Table", "rows": [{"object": MANAGED}]}),
        {"unexpected-managed-fields"},
        id="managed-of-a-table-row",
    ),
    pytest.param(
        NO_MANAGED_FIELDS,
        body("responseObject", {"rows": [{"object": MANAGED}]}),
        {"unexpected-managed-fields"},
        id="managed-of-a-row-of-unknown-kind",
    ),
    pytest.param(
        NO_MANAGED_FIELDS,
        body("responseObject", {"kind": "Thing", "rows": [{"object": MANAGED}]}),
        {"agrees"},
        id="rows-of-another-kind-are-its-own",
    ),
    pytest.param(NO_MANAGED_FIELDS, body("requestObject", {"spec": MANAGED}), {"agrees"}, id="managed-deeper-is-legal"),
    pytest.param(
        NO_MANAGED_FIELDS,
        body("requestObject", MANAGED, verb="patch", requestURI="/api/v1/namespaces/x/pods/p"),
        {"agrees"},
        id="patch-is-logged-as-sent",
    ),
    pytest.param(
        NO_MANAGED_FIELDS,
        body("responseObject", MANAGED, verb="patch", requestURI="/api/v1/namespaces/x/pods/p"),
        {"unexpected-managed-fields"},
        id="response-of-a-patch-is-stripped",
    ),
    pytest.param(EVERYTHING, body("responseObject", MANAGED), {"agrees"}, id="managed-kept-by-policy"),
    # the user that was judged
    pytest.param(BY_USER, pod_event(level="Request", impersonatedUser={"username": "bob"}), {"agrees"}, id="original"),
    pytest.param(BY_USER, pod_event(user={"username": "bob"}, level="Request"), {"level-above"}, id="other-user"),
    pytest.param(BY_USER, pod_event(user={}), {"agrees"}, id="empty-user-matches-no-rule-with-users"),
    # the cross-check
    pytest.param(
        METADATA,
        pod_event(
            verb="create",
            requestURI="/api/v1/pods",
            objectRef={
                "resource": "pods",
                "namespace": "y",
                "name": "n",
                "apiVersion": "v1",
                "uid": "u",
                "resourceVersion": "1",
            },
        ),
        {"agrees"},
        id="filled-in-from-the-body",
    ),
    pytest.param(
        METADATA,
        pod_event(
            stage="RequestReceived",
            verb="create",
            requestURI="/api/v1/pods",
            objectRef={"resource": "pods", "namespace": "y", "apiVersion": "v1"},
        ),
        {"inconsistent"},
        id="nothing-is-filled-in-at-RequestReceived",
    ),
    pytest.param(
        METADATA,
        pod_event(stage="RequestReceived", objectRef={**pod_event()["objectRef"], "uid": "u"}),
        {"inconsistent"},
        id="uid-is-not-known-at-RequestReceived",
    ),
    pytest.param(
        METADATA, path_event("/version", objectRef={"resource": "x"}), {"inconsistent"}, id="ref-of-no-resource"
    ),
    pytest.param(
        METADATA,
        pod_event(requestURI="/api/v1/namespaces/x/pods/%FF", objectRef={**pod_event()["objectRef"], "name": "\ufffd"}),
        {"agrees"},
        id="invalid-byte-in-the-path-is-logged-as-U+FFFD",
    ),
    # what is undecidable, and benign
    pytest.param(METADATA, path_event("x@y"), {"undecidable"}, id="opaque-uri"),
    pytest.param(METADATA, path_event("x@y", level="Request"), {"level-above", "undecidable"}, id="opaque-uri-no-rule"),
    pytest.param(
        METADATA, path_event("x@y", requestObject={}), {"unexpected-body", "undecidable"}, id="opaque-uri-with-body"
    ),
    pytest.param(METADATA, path_event("x:/y"), {"undecidable"}, id="opaque-uri-that-parses"),
    pytest.param(
        SECRETS,
        path_event("http://h/api/v1/namespaces/n/secrets/s", level="RequestResponse"),
        {"undecidable"},
        id="opaque-uri-of-any-look",
    ),
    pytest.param(
        SECRETS,
        pod_event(requestURI="x", objectRef=SECRET, level="RequestResponse"),
        {"level-above", "undecidable"},
        id="unparsable-uri-where-objectRef-still-tells",
    ),
    pytest.param(
        SECRETS,
        pod_event(requestURI="x:/api/v1/pods", objectRef=SECRET, level="RequestResponse", responseObject={}),
        {"level-above", "unexpected-body", "undecidable"},
        id="opaque-uri-where-objectRef-still-tells",
    ),
    pytest.param(METADATA, path_event("/x", verb="foo bar"), {"undecidable"}, id="http2-method-that-is-no-token"),
    pytest.param(METADATA, path_event("/x", verb="GET"), {"inconsistent"}, id="upper-case-verb"),
    pytest.param(METADATA, path_event("/x", verb=""), {"inconsistent"}, id="non-resource-without-verb"),
    pytest.param(METADATA, pod_event(verb=""), {"agrees"}, id="options-on-a-resource"),
    pytest.param(ROOT, path_event("/"), {"agrees"}, id="root-may-have-been-judged-as-empty-path"),
    pytest.param(ROOT, path_event("/", verb="connect"), {"agrees"}, id="connect-is-logged-as-root"),
    pytest.param(ROOT, path_event("/", level="Request"), {"level-above"}, id="root-that-neither-path-explains"),
]


@pytest.mark.parametrize(("policy", "event", "findings"), CASES)
def test_event_is_found_to_be(engine: EngineUnderTest, policy: str, event: Event, findings: set[str]) -> None:
    """Each event has exactly these findings."""
    summary = engine.verify(policy_of(policy), log_of(event))

    assert findings == set(summary.findings), summary.all_examples()
    assert 1 == sum(summary.outcomes.values())


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(path_event("x@y"), "uri-unparsable", id="uri-unparsable"),
        pytest.param(path_event("x:/y"), "path-ambiguous", id="path-ambiguous"),
        pytest.param(path_event("/x", verb="a b"), "unknown-method", id="unknown-method"),
    ],
)
def test_benign_reasons_only_fail_when_strict(engine: EngineUnderTest, event: Event, reason: str) -> None:
    """What a correct server can cause is exit code 0, and 1 with --strict."""
    summary = engine.verify(policy_of(METADATA), log_of(event))

    assert {reason: 1} == dict(summary.reasons)
    assert (0, 1) == (summary.exit_code(), summary.exit_code(strict=True))


@pytest.mark.parametrize(
    ("policy", "old", "new", "findings"),
    [
        pytest.param(METADATA, b"alice", b"al\xffce", {"undecidable"}, id="user-lost"),
        pytest.param(BY_USER, b"alice", b"al\xffce", {"undecidable"}, id="user-lost-where-rules-name-users"),
        pytest.param(
            METADATA, b'"Metadata"', b'"Request","userAgent":"\xff"', {"undecidable", "level-above"}, id="user-agent"
        ),
        pytest.param(PODS, b"alice", b"al\xffce", {"undecidable", "level-below"}, id="user-lost-where-only-pods-count"),
        pytest.param(METADATA, b"id-1", b"id-\xff", {"undecidable"}, id="elsewhere"),
        pytest.param(EVERYTHING, b"id-1", b"id-\xff", {"undecidable", "level-below"}, id="elsewhere-still-judged"),
    ],
)
def test_bytes_that_are_not_utf8_are_undecidable(
    engine: EngineUnderTest, policy: str, old: bytes, new: bytes, findings: set[str]
) -> None:
    """Go never writes such bytes: the record was damaged; what is left is still checked."""
    summary = engine.verify(policy_of(policy), log_of(pod_event()).replace(old, new))

    assert findings == set(summary.findings)
    assert {"invalid-utf8": 1} == dict(summary.reasons)


def test_replacement_character_matters_to_a_policy_that_has_one(engine: EngineUnderTest) -> None:
    """A logged U+FFFD may have been any byte: where a rule names one, the decision is open."""
    policy = policy_of(HEADER + 'rules: [{level: Request, users: ["\ufffd"]}, {level: Metadata}]\n')

    summary = engine.verify(policy, log_of(pod_event(user={"username": "\ufffd"})))

    assert {"invalid-utf8": 1} == dict(summary.reasons)


def test_gravest_finding_is_the_outcome_and_all_are_counted(engine: EngineUnderTest) -> None:
    """An event with several things wrong has one outcome and several findings."""
    policy = policy_of(HEADER + "omitStages: [ResponseComplete]\nrules: [{level: Metadata}]\n")
    event = pod_event(level="Request", requestObject={}, objectRef=None)

    summary = engine.verify(policy, log_of(event))

    assert {"level-above": 1} == dict(summary.outcomes)
    assert {"level-above", "unexpected-body", "unexpected-stage", "inconsistent"} == set(summary.findings)


def test_rules_levels_stages_and_bytes_are_counted(engine: EngineUnderTest) -> None:
    """Totals are exact; a record that no rule matched is under None."""
    policy = policy_of(HEADER + "rules: [{level: Metadata, users: [alice]}]\n")
    log = log_of(pod_event(), pod_event(), pod_event(user={"username": "bob"}))

    summary = engine.verify(policy, log)

    first, second, third = (len(line) for line in log.splitlines(keepends=True))
    assert {0: [2, first + second], None: [1, third]} == summary.rules
    assert (3, len(log)) == (summary.events, summary.bytes)
    assert ({"Metadata": 3}, {"ResponseComplete": 3}) == (dict(summary.levels), dict(summary.stages))


def test_a_finding_counts_once_for_a_record(engine: EngineUnderTest) -> None:
    """Two bodies too many are one finding about one record, and its example names both."""
    event = pod_event(requestObject={}, responseObject={})

    summary = engine.verify(policy_of(METADATA), log_of(event))

    assert {"unexpected-body": 1} == dict(summary.findings)
    (example,) = summary.examples["unexpected-body"]
    assert "requestObject" in example.why and "responseObject" in example.why
