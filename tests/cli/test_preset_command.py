"""`kaudit policy preset` as scripts use it: what it prints, in which form, and how it refuses."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kaudit_core.cli.main import main
from kaudit_core.policy.composition import compose
from kaudit_core.policy.presets import NAMES, load

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "\x1b]0;x\x07\u202e"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `kaudit policy` in this process: exit code, standard output, standard error."""

    def command(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            code = main(["policy", *arguments])
        except SystemExit as exit_:
            assert isinstance(exit_.code, int)
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """A file with one rule."""
    path = tmp_path / "rules.yaml"
    path.write_text("- {level: None, users: ['1e3']}\n")
    return str(path)


def test_list_tells_all_of_each(run: Run) -> None:
    """Purpose, cost and blind spots, in the order of the names."""
    code, out, err = run("preset", "list")

    assert (0, "") == (code, err)
    assert list(NAMES) == [line for line in out.splitlines() if line and not line.startswith(" ")]
    for name in NAMES:
        preset = load(name)
        told = (preset.purpose, preset.cost, *preset.blind_spots)
        assert [] == [text for text in told if text not in " ".join(out.split())]


def test_list_as_json(run: Run) -> None:
    """The same for scripts."""
    code, out, err = run("preset", "list", "--format", "json")
    listed = json.loads(out)

    assert (0, "", list(NAMES)) == (code, err, [each["name"] for each in listed])
    assert {"name", "purpose", "cost", "blindSpots"} == set(listed[0])
    assert list(load("secure").blind_spots) == listed[0]["blindSpots"]


@pytest.mark.parametrize("name", NAMES)
def test_show_prints_what_lint_finds_good(run: Run, name: str) -> None:
    """The YAML, which strict lint takes from standard input without a word."""
    code, out, err = run("preset", "show", name)
    lint = run("lint", "-", stdin=out)

    assert (0, "", compose({"preset": name}).text) == (code, err, out)
    assert (0, "") == (lint[0], lint[2])
    assert 1 == lint[1].count("\n") and ": good, " in lint[1]


def test_show_takes_every_option(run: Run, rules: str) -> None:
    """The options are the role's variables, so the bytes are the role's."""
    options = ["--rules-before", rules, "--rules-after", "-", "--without-tokens", "--omit-managed-fields"]
    options += [
        "--group-override",
        "a=b=write-bodies",
        "--group-override",
        "c=None",
        "--namespace-override",
        "shop=ack",
    ]
    code, out, err = run("preset", "show", "gce", *options, stdin='[{"level": "Metadata", "verbs": ["get"]}]')
    expected = compose(
        {
            "preset": "gce",
            "rules_before": [{"level": "None", "users": ["1e3"]}],
            "group_overrides": [{"group": "a=b", "preset": "write-bodies"}, {"group": "c", "level": "None"}],
            "namespace_overrides": [{"namespace": "shop", "preset": "ack"}],
            "rules_after": [{"level": "Metadata", "verbs": ["get"]}],
            "without_tokens": True,
            "omit_managed_fields": True,
        }
    )

    assert (0, expected.text, "") == (code, out, err)


def test_show_as_json(run: Run, rules: str) -> None:
    """The policy as one text, its hash, and where each rule comes from."""
    code, out, err = run("preset", "show", "metadata", "--format", "json", "--rules-before", rules)
    shown = json.loads(out)

    assert (0, "") == (code, err)
    assert [{"index": 0, "from": "rules_before[0]"}, {"index": 1, "from": "preset"}] == shown["rules"]
    assert hashlib.sha256(shown["policy"].encode()).hexdigest() == shown["sha256"]
    assert {"name", "purpose", "cost", "blindSpots", "sha256", "rules", "policy"} == set(shown)


refusals = {
    "unknown": (["safe"], 'NAME: "safe" is no preset; write one of secure, '),
    "hostile": ([HOSTILE], 'NAME: "\\\\u001b]0;x\\\\u0007\\\\u202e" is no preset; '),
    "override-without-name": (
        ["ack", "--group-override", "devs"],
        "--group-override[0].group: must be the name of a group",
    ),
    "override-of-nothing": (
        ["ack", "--group-override", "devs=safe"],
        '--group-override[0].preset: "safe" is no preset; ',
    ),
    "no-namespace": (
        ["ack", "--namespace-override", "A=ack"],
        '--namespace-override[0].namespace: "A" can be no namespace',
    ),
    "too-new": (
        ["ack", "--omit-managed-fields", "--kubernetes-version", "1.22"],
        "--omit-managed-fields is unknown before Kubernetes 1.23",
    ),
    "no-file": (["ack", "--rules-before", "no-such-file"], "no-such-file: can't be read: "),
    "two-inputs": (
        ["ack", "--rules-before", "-", "--rules-after", "-"],
        "--rules-before and --rules-after can't both be ",
    ),
    "bad-rule": (["ack", "--rules-after", "-"], '--rules-after[0].level: "x" is no level: write one of None, '),
}


@pytest.mark.parametrize(("arguments", "message"), refusals.values(), ids=refusals)
def test_show_refuses_in_one_line(run: Run, arguments: list[str], message: str) -> None:
    """Exit code 2, nothing on standard output, the option and what to do on standard error."""
    code, out, err = run("preset", "show", *arguments, stdin="- level: x\n")

    assert (2, "") == (code, out)
    assert err.startswith(f"kaudit: {message.replace(chr(92) * 2, chr(92))}")
    assert 1 == err.count("\n") and err[:-1].isprintable()


def test_show_refuses_what_can_not_be_read(run: Run) -> None:
    """A list that is none, with its place."""
    code, out, err = run("preset", "show", "ack", "--rules-before", "-", stdin="- [")

    assert (2, "") == (code, out)
    assert err.startswith("kaudit: -:2:1: ")


def test_an_empty_list_of_rules_is_none(run: Run) -> None:
    """An empty file changes nothing."""
    assert (0, compose({"preset": "ack"}).text, "") == run("preset", "show", "ack", "--rules-before", "-")


@pytest.mark.parametrize("arguments", [["preset"], ["preset", "show"], ["preset", "list", "x"], ["preset", "polish"]])
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    """Usage on standard error."""
    code, out, err = run(*arguments)

    assert (2, "") == (code, out)
    assert "usage: kaudit" in err


@pytest.mark.parametrize("command", [("preset",), ("preset", "list"), ("preset", "show")], ids=" ".join)
def test_examples_of_the_help_can_be_typed(run: Run, command: tuple[str, ...]) -> None:
    """Each runs as it stands."""
    code, out, err = run(*command, "--help")
    examples = out.partition("\nexamples:\n")[2].splitlines()

    assert (0, "") == (code, err)
    assert examples
    for line in examples:
        assert 0 == run(*shlex.split(line.partition(" > ")[0])[2:])[0], line
