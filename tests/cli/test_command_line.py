"""What holds for all commands: usage, unreadable files, hostile text, help, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import (
    GOOD,
    HEAD,
    HOSTILE,
    LENIENT,
    POLICY_ACTIONS,
    RAW,
    REFUSED,
    ROOT,
    SINCE_1_36,
    File,
    Run,
    finished,
    lines,
    started,
)


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
