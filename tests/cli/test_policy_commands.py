"""`kaudit policy lint | evaluate | explain` as scripts use them: input, output, exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.commands import GOOD, LENIENT, RAW, REFUSED, SINCE_1_36, File, Run, lines

# lint


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(GOOD, 0, id="good"),
        pytest.param(json.dumps({"apiVersion": "audit.k8s.io/v1", "rules": [{"level": "None"}]}), 0, id="only-notes"),
        pytest.param(LENIENT, 1, id="strict-finding"),
        pytest.param(REFUSED, 1, id="refused"),
        pytest.param("rules: [", 1, id="not-yaml"),
        pytest.param("", 1, id="empty"),
        pytest.param(b"\xff\xfe\x00", 1, id="not-utf-8"),
    ],
)
def test_lint_exits_by_its_findings(run: Run, file: File, data: str | bytes, form: str, code: int) -> None:
    """0 for nothing but notes, 1 for anything that a strict reader or the server refuses."""
    result = run("policy", "lint", "--format", form, file(data))

    assert (code, "") == (result.code, result.err)
    assert result.out


def test_lint_reports_every_error_with_its_place(run: Run, file: File) -> None:
    """All at once, each with file, line, field and what to do."""
    path = file(REFUSED)
    result = run("policy", "lint", path)
    first, second, verdict = result.out.splitlines()

    assert first.startswith(f"{path}:4:") and "rules[0].level" in first
    assert second.startswith(f"{path}:6:") and "nonResourceURLs" in second
    assert f"{path}: refused: an API server 1.35 does not start with it" == verdict


def test_lint_json_has_every_finding(run: Run, file: File) -> None:
    """One object for one policy."""
    path = file(LENIENT)
    report = run("policy", "lint", "--format", "json", path).report
    (finding,) = report["findings"]

    assert (path, True, False) == (report["source"], report["accepted"], report["strict"])
    assert 64 == len(report["sha256"])
    assert {"code", "severity", "path", "line", "column", "message"} == set(finding)
    assert ("unknown-field", "strict", "rules[0].verb", 5) == tuple(
        finding[key] for key in ("code", "severity", "path", "line")
    )


def test_lint_reads_many_and_the_worst_counts(run: Run, file: File) -> None:
    """A list in JSON; an unreadable file among them is 2, and the others are reported all the same."""
    good, bad = file(GOOD, "good.yaml"), file(REFUSED, "bad.yaml")
    result = run("policy", "lint", "--format", "json", good, "no-such-file", bad)

    assert 2 == result.code
    assert [good, bad] == [report["source"] for report in result.report]
    assert "no-such-file" in result.err
    assert 1 == run("policy", "lint", good, bad).code


def test_lint_reads_standard_input(run: Run) -> None:
    """A dash is standard input."""
    result = run("policy", "lint", "-", stdin=GOOD.encode())

    assert (0, "-: good, 3 rules\n", "") == result


def test_lint_follows_the_version(run: Run, file: File) -> None:
    """Group "*" is good from 1.36 and refused before."""
    path = file(SINCE_1_36)

    assert 1 == run("policy", "lint", path).code
    assert 1 == run("policy", "lint", "--kubernetes-version", "v1.35.4+k3s1", path).code
    assert 0 == run("policy", "lint", "--kubernetes-version", "1.36", path).code


# evaluate


def test_evaluate_answers_attributes(run: Run, file: File) -> None:
    """The keys of the contract, one answer a line, in order."""
    asked = lines(
        {"user": "alice", "groups": ["devs"], "verb": "list", "resource": "pods", "resourceRequest": True},
        {"user": "bob", "verb": "list", "path": "/healthz"},
        {"user": "eve", "verb": "get", "path": "/healthz"},
        {},
    )
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=asked)
    received = ["RequestReceived"]

    assert (0, "") == (result.code, result.err)
    assert [
        {"rule": 1, "level": "Request", "omitStages": [*received, "ResponseStarted"], "omitManagedFields": True},
        {"rule": 0, "level": "None", "omitStages": received, "omitManagedFields": False},
        {"rule": None, "level": "None", "omitStages": received, "omitManagedFields": False},
        {"rule": None, "level": "None", "omitStages": received, "omitManagedFields": False},
    ] == result.answers


def test_evaluate_answers_requests_with_their_attributes(run: Run, file: File) -> None:
    """A method and a URI are resolved first, and the attributes are added under the keys they can be asked with."""
    asked = lines({"method": "GET", "requestURI": "/api/v1/namespaces/x/pods?watch=1", "user": "u", "groups": ["devs"]})
    policy = file(GOOD)
    (answer,) = run("policy", "evaluate", "--policy", policy, "-", stdin=asked).answers
    attributes = answer.pop("attributes")

    assert {
        "user": "u",
        "groups": ["devs"],
        "verb": "watch",
        "namespace": "x",
        "apiGroup": "",
        "apiVersion": "v1",
        "resource": "pods",
        "subresource": "",
        "name": "",
        "path": "/api/v1/namespaces/x/pods",
        "resourceRequest": True,
    } == attributes
    assert [answer] == run("policy", "evaluate", "--policy", policy, "-", stdin=lines(attributes)).answers


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        pytest.param({}, None, id="no-user"),
        pytest.param({"groups": ["devs"]}, None, id="groups-without-a-user"),
        pytest.param({"user": None, "groups": ["devs"]}, None, id="user-null"),
        pytest.param({"user": "", "groups": ["devs"]}, 2, id="empty-name"),
    ],
)
@pytest.mark.parametrize("request_", [{"verb": "get", "path": "/x"}, {"method": "GET", "requestURI": "/x"}])
def test_evaluate_tells_nobody_from_an_empty_name(
    run: Run, file: File, request_: dict[str, Any], who: dict[str, Any], rule: int | None
) -> None:
    """No "user" key is an unauthenticated request, which no rule about users or groups sees."""
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=lines(request_ | who))

    assert (0, rule) == (result.code, result.answers[0]["rule"])
    if "requestURI" in request_:
        assert who.get("user") == result.answers[0]["attributes"].get("user")


def test_evaluate_says_where_a_uri_can_not_be_resolved(run: Run, file: File) -> None:
    """That is an answer, not a failure: the server gives no decision either."""
    asked = lines({"method": "GET", "requestURI": "/api/v1/watch"}, {"method": "GET", "requestURI": "%zz"})
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=asked)

    assert (0, "") == (result.code, result.err)
    assert [{"error"}, {"error"}] == [set(answer) for answer in result.answers]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"{", id="not-json"),
        pytest.param(b"[]", id="not-an-object"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"verb":"get"} {"verb":"get"}', id="two-objects"),
        pytest.param(b'{"user":1}', id="user-not-text"),
        pytest.param(b'{"groups":"devs"}', id="groups-not-a-list"),
        pytest.param(b'{"groups":[null]}', id="group-not-text"),
        pytest.param(b'{"verb":["get"]}', id="verb-not-text"),
        pytest.param(b'{"resourceRequest":"true"}', id="kind-not-a-truth-value"),
        pytest.param(b'{"method":1,"requestURI":"/"}', id="method-not-text"),
        pytest.param(b'{"verb":NaN}', id="not-a-number"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"verb":"\x1b\xe2\x80\xae', id="hostile"),
    ],
)
def test_a_bad_request_line_keeps_the_answers_aligned(run: Run, file: File, bad: bytes) -> None:
    """It is answered with its error and its line, said on standard error too, and the exit code is 2."""
    asked = lines({"verb": "list"}) + bad + b"\n" + lines({"verb": "get"})
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=asked)
    first, second, third = result.answers

    assert 2 == result.code
    assert (1, None) == (first["rule"], third["rule"])
    assert {"error"} == set(second) and "line 2" in second["error"]
    assert "-:2:" in result.err and 1 == result.err.count("\n")
    assert not RAW & set(result.out + result.err)


def test_evaluate_skips_blank_lines(run: Run, file: File) -> None:
    """Blank lines are no requests; line ends of Windows and a missing last one do not matter."""
    asked = b'\n  \n{"verb":"list"}\r\n\r\n{"verb":"get"}'
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=asked)

    assert (0, [1, None]) == (result.code, [answer["rule"] for answer in result.answers])
    assert (0, "") == run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=b"")[:2]


def test_evaluate_reads_the_policy_from_standard_input(run: Run, file: File) -> None:
    """A dash is standard input for the policy as well, when the requests come from a file."""
    result = run("policy", "evaluate", "--policy", "-", file(b'{"verb":"list"}', "asked"), stdin=GOOD.encode())

    assert (0, 1) == (result.code, result.answers[0]["rule"])


def test_evaluate_refuses_standard_input_twice(run: Run) -> None:
    """The second reader would find nothing, and answer nothing without a word."""
    result = run("policy", "evaluate", "--policy", "-", "-", stdin=GOOD.encode())

    assert (2, "") == result[:2]
    assert "standard input" in result.err


# explain


EXPLAIN = ("--method", "GET", "--uri", "/api/v1/namespaces/x/pods?watch=1", "--user", "alice", "--group", "devs")


def test_explain_shows_the_decision_and_its_reasons(run: Run, file: File) -> None:
    """Attributes, the deciding rule with its line, and why each earlier rule did not match."""
    path = file(GOOD)
    result = run("policy", "explain", "--policy", path, *EXPLAIN)

    assert (0, "") == (result.code, result.err)
    assert "  verb             watch\n" in result.out
    assert f"decided by        rule 2 (line 11) of {path}\nlevel             Metadata\n" in result.out
    assert '  rule 0 (line 5)  users: "alice" is not in ["bob"]\n' in result.out
    assert '  rule 1 (line 7)  verbs: "watch" is not in ["list"]\n' in result.out


def test_explain_json_is_what_evaluate_answers_and_more(run: Run, file: File) -> None:
    """The same object, with the attributes and the reasons."""
    path = file(GOOD)
    report = run("policy", "explain", "--format", "json", "--policy", path, *EXPLAIN).report
    request = {"method": "GET", "requestURI": EXPLAIN[3], "user": "alice", "groups": ["devs"]}
    asked = run("policy", "evaluate", "--policy", path, "-", stdin=lines(request))

    assert [0, 1] == [earlier["rule"] for earlier in report.pop("notMatched")]
    assert asked.answers == [report]


def test_explain_without_a_user_is_not_authenticated(run: Run, file: File) -> None:
    """Groups are then not looked at; an empty --user is a user."""
    path = file(GOOD)
    uri = ("--uri", "/healthz", "--group", "devs", "--format", "json")
    nobody = run("policy", "explain", "--policy", path, *uri).report
    nameless = run("policy", "explain", "--policy", path, "--user", "", *uri).report

    assert None is nobody["rule"] and "user" not in nobody["attributes"]
    assert "userGroups: the request has no user" == nobody["notMatched"][2]["why"]
    assert (2, "") == (nameless["rule"], nameless["attributes"]["user"])


@pytest.mark.parametrize("uri", ["/api/v1/watch", "%zz", "", "no-slash", "/a\x1b[2J", "/\x7f"])
def test_explain_of_a_uri_that_can_not_be_resolved(run: Run, file: File, uri: str) -> None:
    """Exit code 2 and the reason; there is nothing to explain."""
    result = run("policy", "explain", "--policy", file(GOOD), "--uri", uri)

    assert (2, "") == result[:2]
    assert "--uri" in result.err
    assert not RAW & set(result.err)


def test_evaluate_says_which_keys_it_does_not_know(run: Run, file: File) -> None:
    """A misspelt key must not give a confident answer in silence; each is named once."""
    asked = lines({"usr": "bob", "verb": "get"}, {"usr": "eve"}, {"method": "GET", "requestURI": "/", "verb": "list"})
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=asked)

    assert 0 == result.code
    assert [1, 1] == [result.err.count("'usr'"), result.err.count("'verb'")]


def test_evaluate_refuses_a_key_given_twice(run: Run, file: File) -> None:
    """Readers of JSON differ on which one counts."""
    result = run("policy", "evaluate", "--policy", file(GOOD), "-", stdin=b'{"verb":"get","verb":"list"}\n')

    assert 2 == result.code
    assert "verb" in result.err
