"""`kaudit verify` as scripts use it: input, output, exit codes."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.cli.main import main
from tests.engines import log_of
from tests.verification.events import path_event, pod_event

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
GOOD, ABOVE, TORN = log_of(pod_event()), log_of(pod_event(level="Request")), b'{"level":"Meta\n'


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A policy file."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def written(path: Path, data: bytes) -> str:
    """A file with these bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def verify_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run verify; return its exit code and its JSON."""
    code = main(["verify", "--format", "json", *arguments])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        pytest.param(GOOD, [], 0, id="agrees"),
        pytest.param(b"", [], 0, id="empty"),
        pytest.param(ABOVE, [], 1, id="finding"),
        pytest.param(log_of(path_event("x@y")), [], 0, id="benign"),
        pytest.param(log_of(path_event("x@y")), ["--strict"], 1, id="benign-strict"),
        pytest.param(TORN, [], 3, id="malformed"),
        pytest.param(ABOVE + TORN, [], 3, id="malformed-outweighs-findings"),
    ],
)
def test_exit_code_follows_the_findings(
    tmp_path: Path, policy: str, data: bytes, options: list[str], code: int
) -> None:
    """0, 1 and 3, in both formats."""
    log = written(tmp_path / "audit.log", data)

    for form in ("text", "json"):
        assert code == main(["verify", "--policy", policy, "--format", form, *options, log])


def test_json_has_the_keys_of_the_contract(tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts rely on these names and shapes."""
    log = written(tmp_path / "audit.log", GOOD + ABOVE + b'{"unterminated')

    code, report = verify_json(capsys, "--policy", policy, log)

    assert 1 == code
    assert {"agrees": 1, "level-above": 1} == report["outcomes"] == report["findings"]
    assert [{"index": 0, "events": 2, "bytes": len(GOOD + ABOVE)}] == report["rules"]
    assert {"Metadata": 1, "Request": 1} == report["levels"]
    assert {"ResponseComplete": 2} == report["stages"]
    tail = {"offset": len(GOOD + ABOVE), "length": 14}
    assert [{"path": log, "events": 2, "bytes": len(GOOD + ABOVE), "tail": tail}] == report["segments"]
    (example,) = report["examples"]
    assert {"finding", "reason", "segment", "line", "offset", "auditID", "stage", "rule", "why"} == set(example)
    assert ("level-above", log, 2, len(GOOD), "id-1", 0) == tuple(
        example[key] for key in ("finding", "segment", "line", "offset", "auditID", "rule")
    )
    assert policy == report["policies"][0]["source"]


def test_directory_is_read_in_time_order_with_the_live_file_last(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rotated and compressed segments come first; only the live file may end in the middle of a line."""
    logs = tmp_path / "logs"
    written(logs / "audit.log", GOOD + b'{"live')
    written(logs / "audit-2026-01-02T00-00-00.000.log", GOOD)
    written(logs / "audit-2026-01-01T00-00-00.000.log.gz", gzip.compress(GOOD))

    code, report = verify_json(capsys, "--policy", policy, str(logs))

    names = ["audit-2026-01-01T00-00-00.000.log.gz", "audit-2026-01-02T00-00-00.000.log", "audit.log"]
    assert (0, names) == (code, [os.path.basename(segment["path"]) for segment in report["segments"]])
    assert [None, None, {"offset": len(GOOD), "length": 6}] == [segment["tail"] for segment in report["segments"]]


def test_torn_line_in_an_older_segment_is_malformed(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody writes to a rotated segment any more."""
    written(tmp_path / "logs" / "audit.log", GOOD)
    written(tmp_path / "logs" / "audit-2026-01-02T00-00-00.000.log", GOOD + b'{"torn')

    code, report = verify_json(capsys, "--policy", policy, str(tmp_path / "logs"))

    assert (3, {"malformed": 1, "agrees": 2}) == (code, report["outcomes"])


def test_cut_off_gzip_is_read_as_far_as_it_goes(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was readable is judged, the rest is named, and the next segment is read all the same."""
    cut = written(tmp_path / "a.log.gz", gzip.compress(log_of(*[pod_event(auditID=str(n)) for n in range(5000)]))[:-40])
    whole = written(tmp_path / "b.log", GOOD)

    code, report = verify_json(capsys, "--policy", policy, cut, whole)

    assert 3 == code
    assert report["segments"][0]["events"] > 1000 and cut in report["segments"][0]["error"]
    assert 1 == report["segments"][1]["events"]


def test_standard_input_and_event_lists(
    policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A body that the webhook was sent is read item by item, without kinds, even without a final newline."""
    items = [pod_event(kind=None, apiVersion=None), pod_event(kind=None, apiVersion=None, level="Request")]
    body = json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))

    code, report = verify_json(capsys, "--policy", policy, "-")

    assert (1, {"agrees": 1, "level-above": 1}) == (code, report["outcomes"])
    assert "-" == report["segments"][0]["path"]
    offset = report["examples"][0]["offset"]
    assert items[1] == json.JSONDecoder().raw_decode(body.decode(), offset)[0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["--policy", "nowhere.yaml", "LOG"], 2, "nowhere.yaml", id="missing-policy"),
        pytest.param(["--policy", "LOG", "LOG"], 2, "refuses", id="log-as-policy"),
        pytest.param(["--policy", "-", "-"], 2, "standard input", id="standard-input-twice"),
        pytest.param(["--policy", "no\x1bwhere.yaml", "LOG"], 2, "no\\x1bwhere.yaml", id="hostile-file-name"),
    ],
)
def test_unusable_input_is_one_clear_line(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """Nothing on standard output; standard error names the file and what is wrong."""
    places = {"POLICY": policy, "LOG": written(tmp_path / "audit.log", GOOD)}

    assert code == main(["verify", *(places.get(argument, argument) for argument in arguments)])
    captured = capsys.readouterr()

    assert "" == captured.out
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_missing_log_is_named_and_the_others_are_judged(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One argument that can't be read is exit code 3, in the report and on standard error; nothing else is lost."""
    log = written(tmp_path / "audit.log", GOOD)

    code = main(["verify", "--policy", policy, "--format", "json", "nowhere.log", log])
    captured = capsys.readouterr()
    report = json.loads(captured.out)

    assert (3, {"agrees": 1}) == (code, report["outcomes"])
    assert {"nowhere.log"} == {segment["path"] for segment in report["segments"] if "error" in segment}
    assert "nowhere.log" in captured.err


def test_files_of_a_directory_that_are_not_read_are_named(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever looks like a log and is left out is said."""
    written(tmp_path / "logs" / "audit.log", GOOD)
    written(tmp_path / "logs" / "audit.log.bz2", b"BZh")

    assert 0 == main(["verify", "--policy", policy, str(tmp_path / "logs")])
    assert "audit.log.bz2: not read" in capsys.readouterr().err


def test_engine_that_is_not_there_is_an_error(
    tmp_path: Path, policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine asked for by name is never silently replaced."""
    monkeypatch.setenv("KAUDIT_ENGINE", "imaginary")

    assert 2 == main(["verify", "--policy", policy, written(tmp_path / "audit.log", GOOD)])
    assert "imaginary" in capsys.readouterr().err


def test_hostile_strings_are_escaped_and_tokens_hidden(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What clients chose never reaches a terminal raw, and credentials are not repeated."""
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"
    reference = {"resource": "\x1b[2J\u202e", "namespace": "x", "name": token, "apiVersion": "v1"}
    log = written(tmp_path / "audit.log", log_of(pod_event(auditID="\x1b]0;x\x07\u2066\n", objectRef=reference)))

    for form in ("text", "json"):
        assert 1 == main(["verify", "--policy", policy, "--format", form, log])
        shown = capsys.readouterr().out
        assert not set("\x1b\x07\u202e\u2066") & set(shown)
        assert token not in shown and "[token]" in shown


def test_audit_id_is_cut_and_its_tokens_are_hidden(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client chooses its Audit-ID: it may be megabytes, or a credential."""
    ids = ("a" * 100_000, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "Bearer abcdef0123456789")
    log = written(tmp_path / "audit.log", log_of(*(pod_event(level="Request", auditID=audit_id) for audit_id in ids)))

    _, report = verify_json(capsys, "--policy", policy, log)

    assert ["a" * 256, "[token]", "[token]"] == [example["auditID"] for example in report["examples"]]


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
def test_output_that_can_not_be_written_is_an_error(tmp_path: Path, policy: str, redirect: str) -> None:
    """A full disk or a closed output is exit code 2, never that of a finding, and no traceback."""
    log = written(tmp_path / "audit.log", GOOD)
    command = f'exec "$0" -m kaudit_core.cli.main verify --policy "$1" "$2" {redirect}'
    done = subprocess.run(["sh", "-c", command, sys.executable, policy, log], stderr=subprocess.PIPE, timeout=60)

    assert 2 == done.returncode
    assert b"Traceback" not in done.stderr


def test_examples_are_capped_and_totals_exact(tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--examples bounds what is kept of each finding, never what is counted."""
    log = written(tmp_path / "audit.log", ABOVE * 5)

    _, report = verify_json(capsys, "--policy", policy, "--examples", "2", log)

    assert ({"level-above": 5}, [1, 2]) == (report["findings"], [example["line"] for example in report["examples"]])


def test_a_line_over_the_limit_is_one_malformed_record(
    tmp_path: Path, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--max-line-bytes bounds the memory; reading resumes at the next line."""
    log = written(tmp_path / "audit.log", log_of(pod_event(userAgent="x" * 5000)) + GOOD)

    code, report = verify_json(capsys, "--policy", policy, "--max-line-bytes", "1000", log)

    assert (3, {"malformed": 1, "agrees": 1}) == (code, report["outcomes"])


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_interrupt_leaves_one_line(policy: str, name: str) -> None:
    """Ctrl-C ends with exit code 130 and without a traceback."""
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "kaudit_core.cli.main", "verify"]
    command += ["--policy", policy, name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stderr is not None
    # More than a pipe and the reader's buffer hold: once this is written, the command is in the middle of its work.
    process.stdin.write(GOOD * 4000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    # Standard input stays open, as a terminal's does: the thread that reads it never comes back.
    code = process.wait(timeout=60)

    assert (130, b"kaudit: interrupted\n") == (code, process.communicate()[1])
