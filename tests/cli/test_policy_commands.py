"""`kaudit policy lint | evaluate | explain` as scripts use them: input, output, exit codes."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kaudit_core.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
GOOD = f"""\
{HEAD}omitStages: [RequestReceived]
rules:
- level: None
  users: [bob]
- level: Request
  verbs: [list]
  omitStages: [ResponseStarted]
  omitManagedFields: true
- level: Metadata
  userGroups: [devs]
"""
LENIENT = f"{HEAD}rules:\n- level: None\n  verb: [list]\n"
"""Loads, but broader than it looks."""
REFUSED = f"{HEAD}rules:\n- level: Everything\n- level: Metadata\n  nonResourceURLs: [healthz]\n"
SINCE_1_36 = f'{HEAD}rules:\n- level: Metadata\n  resources:\n  - group: "*"\n'
HOSTILE = "\x1b]0;x\x07\x1b[2J\u202e\u2066\r"
"""Sets a terminal's title, clears it, turns text round, goes back to the line's start."""
POLICY_ACTIONS = ("lint", "evaluate", "explain")
RAW = frozenset(letter for letter in HOSTILE if not letter.isprintable())


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def answers(self) -> list[dict[str, Any]]:
        """Standard output, a JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def report(self) -> Any:
        """Standard output as one JSON text."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; `stdin` is what it reads there."""

    def command(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = main(arguments)
        except SystemExit as exit_:
            assert isinstance(exit_.code, int)
            code = exit_.code
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return command


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Write a file and return its path."""

    def write(data: str | bytes, name: str = "policy.yaml") -> str:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(path)

    return write


File = Callable[..., str]


def lines(*requests: Any) -> bytes:
    """Requests as JSON lines."""
    return b"".join(json.dumps(request).encode() + b"\n" for request in requests)


def started(*arguments: str | bytes) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "kaudit_core.cli.main", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def finished(*arguments: str | bytes, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run a command in a process of its own, to its end."""
    with started(*arguments) as process:
        out, err = process.communicate(stdin, timeout=60)
    return process.returncode, out, err


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


# all of them


def evaluate_or_explain(policy: str) -> list[list[str]]:
    """The commands that load a policy as the server does."""
    asked = ["policy", "evaluate", "--policy", policy, os.devnull]
    return [asked, ["policy", "explain", "--policy", policy, "--uri", "/healthz"]]


@pytest.mark.parametrize("at", [0, 1], ids=["evaluate", "explain"])
def test_a_refused_policy_is_exit_code_2(run: Run, file: File, at: int) -> None:
    """Every reason is on standard error, with its line, and nothing on standard output."""
    path = file(REFUSED)
    result = run(*evaluate_or_explain(path)[at])

    assert (2, "") == result[:2]
    assert f"{path}:4:" in result.err and f"{path}:6:" in result.err
    assert "refuses" in result.err


@pytest.mark.parametrize("at", [0, 1], ids=["evaluate", "explain"])
def test_a_lenient_policy_is_loaded_with_a_warning(run: Run, file: File, at: int) -> None:
    """As the server does; the warning is on standard error only."""
    path = file(LENIENT)
    result = run(*evaluate_or_explain(path)[at])

    assert 0 == result.code
    assert f"warning: {path}:5:" in result.err and "verbs" in result.err
    assert "warning" not in result.out


@pytest.mark.parametrize("at", [0, 1], ids=["evaluate", "explain"])
def test_a_good_policy_is_loaded_without_a_word(run: Run, file: File, at: int) -> None:
    """Standard error stays empty."""
    result = run(*evaluate_or_explain(file(GOOD))[at])

    assert (0, "") == (result.code, result.err)


@pytest.mark.parametrize("at", [0, 1], ids=["evaluate", "explain"])
def test_the_version_decides_what_loads(run: Run, file: File, at: int) -> None:
    """Group "*" loads from 1.36."""
    command = evaluate_or_explain(file(SINCE_1_36))[at]

    assert 2 == run(*command).code
    assert 0 == run(*command, "--kubernetes-version", "1.37").code


def commands_with(path: str) -> dict[str, list[str]]:
    """Every command that reads a file, with this one in each place."""
    return {
        "lint": ["policy", "lint", path],
        "evaluate-policy": ["policy", "evaluate", "--policy", path, os.devnull],
        "evaluate-requests": ["policy", "evaluate", "--policy", "GOOD", path],
        "explain": ["policy", "explain", "--policy", path, "--uri", "/"],
    }


@pytest.mark.parametrize("command", commands_with(""))
@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("no-such-file", "No such file", id="missing"),
        pytest.param(".", "directory", id="directory"),
        pytest.param("", "can't be read", id="empty-name"),
        pytest.param("a\0b", "can't be read", id="name-with-a-zero"),
        pytest.param("GOOD/x", "Not a directory", id="below-a-file"),
        pytest.param(HOSTILE, "No such file", id="hostile-name"),
        pytest.param("\udcff", "No such file", id="name-that-is-not-utf-8"),
    ],
)
def test_an_unreadable_file_is_exit_code_2(run: Run, file: File, command: str, name: str, words: str) -> None:
    """One clear line on standard error, nothing on standard output, nothing raw."""
    good = file(GOOD)
    arguments = [argument.replace("GOOD", good) for argument in commands_with(name)[command]]
    result = run(*arguments)

    assert (2, "") == result[:2]
    assert words in result.err
    assert 1 == result.err.count("\n")
    assert not RAW & set(result.err)


def test_lint_of_an_unreadable_file_prints_no_json_either(run: Run) -> None:
    """A script that expects one object does not get a list."""
    assert (2, "") == run("policy", "lint", "--format", "json", "no-such-file")[:2]


@pytest.mark.parametrize("version", ["1.21", "1.38", "2.0", "latest", "", "1", "1.35.x", "v", HOSTILE])
@pytest.mark.parametrize("command", POLICY_ACTIONS)
def test_a_bad_version_is_a_usage_error(run: Run, file: File, command: str, version: str) -> None:
    """Exit code 2, and what can be written instead."""
    path = file(GOOD)
    arguments = {
        "lint": [path],
        "evaluate": ["--policy", path, os.devnull],
        "explain": ["--policy", path, "--uri", "/"],
    }
    result = run("policy", command, f"--kubernetes-version={version}", *arguments[command])

    assert (2, "") == result[:2]
    assert "1.35" in result.err or "1.22 to 1.37" in result.err
    assert not RAW & set(result.err)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["policy"], id="no-command"),
        pytest.param(["policy", "polish"], id="no-such-command"),
        pytest.param(["policy", HOSTILE], id="hostile-command"),
        pytest.param(["policy", "lint"], id="lint-what"),
        pytest.param(["policy", "lint", "--form", "json", "x"], id="no-abbreviations"),
        pytest.param(["policy", "lint", "--format", "xml", "x"], id="no-such-format"),
        pytest.param(["policy", "evaluate", "x"], id="evaluate-without-policy"),
        pytest.param(["policy", "evaluate", "--policy", "x"], id="evaluate-what"),
        pytest.param(["policy", "evaluate", "--policy", "x", "y", "z"], id="evaluate-two-files"),
        pytest.param(["policy", "explain", "--policy", "x"], id="explain-what"),
        pytest.param(["policy", "lint", f"--{HOSTILE}", "x"], id="hostile-option"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    """Usage on standard error, nothing on standard output."""
    result = run(*arguments)

    assert (2, "") == result[:2]
    assert "usage: kaudit" in result.err
    assert not RAW & set(result.err)


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_text_is_never_raw_on_the_output(run: Run, tmp_path: Path, form: str) -> None:
    """Names of files, users, paths, fields and values: whatever others wrote is escaped on both outputs."""
    text = json.dumps(HOSTILE)
    policy = f"{HEAD}rules:\n- level: Metadata\n  users: [{text}]\n  {text}: [{text}]\n- level: None\n  verbs: [x]\n"
    odd = tmp_path / (HOSTILE.replace("/", "") + "\udcff.yaml")
    odd.write_bytes(policy.encode())
    refused = tmp_path / (HOSTILE + "refused")
    refused.write_text(f"{HEAD}rules:\n- level: {text}\n  omitStages: [{text}]\n")
    ran = [run("policy", "lint", "--format", form, str(path)) for path in (odd, refused)]
    asking = ("--uri", "/api/v1/namespaces/%1b%5b2J%e2%80%ae%ff/pods", "--user", HOSTILE + "\udcff", "--group", HOSTILE)
    explain = ("policy", "explain", "--format", form, "--method", HOSTILE)
    ran += [run(*explain, "--policy", str(path), *asking) for path in (odd, refused)]
    asked = lines({"user": "x", "verb": HOSTILE}, {"method": HOSTILE, "requestURI": "/" + HOSTILE, "user": HOSTILE})
    ran.append(run("policy", "evaluate", "--policy", str(odd), "-", stdin=asked))

    assert [1, 1, 0, 2, 0] == [result.code for result in ran]
    for result in ran:
        shown = (result.out + result.err).replace("\n", "")
        assert shown.isprintable(), ascii(next(letter for letter in shown if not letter.isprintable()))


def test_bytes_that_are_not_utf_8_reach_no_output_raw(tmp_path: Path) -> None:
    """Arguments and file names may be any bytes; what is written is UTF-8."""
    policy = os.fsencode(tmp_path) + b"/\xff\x1b[2J.yaml"
    Path(os.fsdecode(policy)).write_text(LENIENT)
    asked = (b"--uri", b"/healthz/%ff", b"--user", b"\xff\xe2\x80\xae", b"--group", b"\x9b")
    for arguments in ([b"lint", policy], [b"explain", b"--policy", policy, *asked]):
        code, out, err = finished("policy", *arguments)

        assert code in (0, 1)
        assert (out + err).decode().replace("\n", "").isprintable()
        assert b"Traceback" not in err


# help


def all_commands() -> list[tuple[str, ...]]:
    """The command line as the contract has it, as far as it is there."""
    return [("verify",), ("version",), ("policy",), *(("policy", action) for action in POLICY_ACTIONS)]


@pytest.mark.parametrize("command", [(), *all_commands()], ids=lambda command: " ".join(command) or "kaudit")
def test_help_carries_examples(run: Run, command: tuple[str, ...]) -> None:
    """Every --help shows what to type, on standard output."""
    result = run(*command, "--help")

    assert (0, "") == (result.code, result.err)
    examples = result.out.partition("\nexamples:\n")[2].splitlines()
    assert any(line.strip().startswith(("kaudit", "echo")) for line in examples)
    assert any(" ".join(("kaudit", *command)) in line for line in examples)


def test_examples_of_the_help_can_be_typed(run: Run, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of the policy commands runs as it stands, next to a policy and some requests."""
    monkeypatch.chdir(Path(file(GOOD)).parent)
    file(lines({"verb": "get"}), "requests.jsonl")
    typed = 0
    for action in POLICY_ACTIONS:
        help_ = run("policy", action, "--help").out.partition("\nexamples:\n")[2].replace("\\\n", " ")
        for line in help_.splitlines():
            before, pipe, after = line.strip().rpartition(" | ")
            words = shlex.split(after.partition(" < ")[0])
            stdin = GOOD.encode() if " < " in after else shlex.split(before)[1].encode() if pipe else b""
            typed += 1
            assert 0 == run(*words[1:], stdin=stdin).code, line
    assert typed >= 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_scripts_are_printed(run: Run, shell: str) -> None:
    """For each shell that the library knows; they name the commands."""
    result = run("--print-completion", shell)

    assert (0, "") == (result.code, result.err)
    assert "evaluate" in result.out and "verify" in result.out


# a process of its own


def test_a_process_of_its_own_answers_the_same(file: File) -> None:
    """Standard input, output and exit code, as a shell sees them."""
    asked = lines({"verb": "list"}) + b"x\n"
    code, out, err = finished("policy", "evaluate", "--policy", file(LENIENT), "-", stdin=asked)
    first, second = out.splitlines()

    assert 2 == code
    assert 0 == json.loads(first)["rule"] and "error" in json.loads(second)
    assert 2 == err.count(b"\n") and err.startswith(b"warning: ")


def test_a_broken_pipe_leaves_no_traceback(file: File) -> None:
    """`kaudit ... | head` ends quietly with exit code 141, as other tools do."""
    requests = file(lines({"verb": "list"}) * 20_000, "requests.jsonl")
    with started("policy", "evaluate", "--policy", file(GOOD), requests) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)

    assert (141, b"") == (process.returncode, err)


def test_an_interrupt_leaves_one_line(file: File) -> None:
    """Ctrl-C while the command waits for input: exit code 130 and no traceback."""
    with started("policy", "evaluate", "--policy", file(LENIENT), "-") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"warning: ")
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        process.wait(timeout=60)

    assert (130, b"kaudit: interrupted\n") == (process.returncode, err)


@pytest.mark.parametrize(
    ("redirect", "code"),
    [
        pytest.param("</dev/null >/dev/full", 2, id="full-disk"),
        pytest.param("</dev/null >&-", 2, id="closed-output"),
        pytest.param("<&-", 2, id="closed-input"),
        pytest.param("</dev/null 2>&-", 1, id="closed-error-output"),
    ],
)
def test_streams_that_are_not_there_leave_no_traceback(file: File, redirect: str, code: int) -> None:
    """Input or output that can't be had is exit code 2, never that of a finding; standard error can be spared."""
    command = shlex.join([sys.executable, "-m", "kaudit_core.cli.main", "policy", "lint", file(GOOD), "-"])
    ran = subprocess.run(["sh", "-c", f"{command} {redirect}"], cwd=ROOT, capture_output=True, timeout=60)

    assert code == ran.returncode
    assert b"Traceback" not in ran.stderr


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
