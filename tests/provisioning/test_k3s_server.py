"""How a k3s or RKE2 server is started, read from units, drop-ins, variables and configuration files."""

from __future__ import annotations

import dataclasses

import pytest

from kaudit_core.provisioning.k3s.distribution import DISTRIBUTIONS, K3S
from kaudit_core.provisioning.k3s.server import ServerFiles, read_server
from kaudit_core.provisioning.k3s.silence import is_silent, warning
from kaudit_core.provisioning.k3s.unit import UnitFile, environment_files, environment_of
from kaudit_core.provisioning.k3s.words import quoted, split_words
from kaudit_core.provisioning.refusal import EditRefused
from tests.provisioning.units import (
    CONFIG,
    CONFIGS,
    MERGED,
    PLAIN,
    UNIT,
    WITH_ARGUMENTS,
    WITHOUT_ARGUMENTS,
    k3s,
    placed,
    rke2,
)

SILENT = "apiVersion: audit.k8s.io/v1\nkind: Policy\nmetadata:\n  creationTimestamp: null\nrules:\n- level: None\n"


def values(files: ServerFiles) -> list[str]:
    """The arguments that the API server gets."""
    return [argument.value for argument in read_server(files).arguments]


@pytest.mark.parametrize("unit", [pytest.param(text, id=name) for name, text in WITHOUT_ARGUMENTS.items()])
def test_unit_without_arguments_leaves_the_word_to_the_files(unit: str) -> None:
    """In every style of unit the configuration's list is what the API server gets."""
    view = read_server(k3s(unit, CONFIGS["arguments"]))

    assert ["profiling=false", "v=2"] == [argument.value for argument in view.arguments]
    assert [2, 3] == [argument.line for argument in view.arguments]
    assert not view.in_exec_start


@pytest.mark.parametrize("unit", [pytest.param(text, id=name) for name, text in WITH_ARGUMENTS.items()])
def test_arguments_in_exec_start_replace_the_whole_list(unit: str) -> None:
    """What the files say then counts for nothing, and is named as ignored."""
    view = read_server(k3s(unit, CONFIGS["arguments"]))

    assert 1 == len(view.arguments)
    assert UNIT == view.arguments[0].file
    assert unit.replace("\r", "")[: unit.replace("\r", "").index("--kube-apiserver-arg")].count("\n") + 1 == (
        view.arguments[0].line
    )
    assert ["profiling=false", "v=2"] == [argument.value for argument in view.ignored]


@pytest.mark.parametrize(("configs", "expected"), [pytest.param(*row, id=name) for name, row in MERGED.items()])
def test_files_are_merged_as_documented(configs: dict[str, str], expected: list[str]) -> None:
    """config.yaml first, then config.yaml.d by name; a later key replaces, `+` appends."""
    assert expected == values(k3s(PLAIN, placed(configs)))


places = {
    "flag": ("--config /srv/k.yaml", "", "/srv/k.yaml"),
    "flag-with-equals": ("--config=/srv/k.yaml", "", "/srv/k.yaml"),
    "short-flag": ("-c /srv/k.yaml", "", "/srv/k.yaml"),
    "variable": ("", "K3S_CONFIG_FILE='/srv/v.yaml'\n", "/srv/v.yaml"),
    "variable-wins": ("--config /srv/k.yaml", "# x\nK3S_CONFIG_FILE=/srv/v.yaml\n", "/srv/v.yaml"),
    "default": ("", "K3S_TOKEN=x\n", CONFIG),
}


@pytest.mark.parametrize(
    ("flags", "variables", "expected"), [pytest.param(*row, id=name) for name, row in places.items()]
)
def test_config_file_may_be_elsewhere(flags: str, variables: str, expected: str) -> None:
    """--config and K3S_CONFIG_FILE move config.yaml, and its drop-in directory with it."""
    unit = WITHOUT_ARGUMENTS["install-script"].replace("server", f"server {flags}".strip())
    configs = {expected: "kube-apiserver-arg: [a=1]\n", f"{expected}.d/x.yaml": "kube-apiserver-arg+: [b=2]\n"}
    view = read_server(k3s(unit, configs, k3s=variables))

    assert expected == view.config
    assert ["a=1", "b=2"] == [argument.value for argument in view.arguments]


def test_drop_in_of_the_unit_counts() -> None:
    """The last ExecStart after an empty one is the one in force."""
    files = k3s(PLAIN)
    more = UnitFile(
        f"{UNIT}.d/a.conf", "[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=v=3\n"
    )
    view = read_server(dataclasses.replace(files, unit_files=(*files.unit_files, more)))

    assert more == view.command.file
    assert {"v": "3"} == view.flags


def test_variables_are_put_in_as_systemd_does() -> None:
    """$NAME is split into words, ${NAME} stays in its own, $$ is a dollar sign, and `:` leaves everything as it is."""
    more = "--kube-apiserver-arg=a=1 --kube-apiserver-arg=b=2"
    unit = f'[Service]\nEnvironment="MORE={more}" C=3\nExecStart=/k3s server $MORE'
    arguments = f"{unit} --kube-apiserver-arg=c=${{C}} --kube-apiserver-arg=d=$$C $NONE\n"

    assert ["a=1", "b=2", "c=3", "d=$C"] == values(k3s(arguments))
    assert ["c=${C}", "d=$$C"] == values(k3s(arguments.replace("ExecStart=", "ExecStart=:")))


def test_environment_files_are_named_and_read() -> None:
    """%N is the unit's name; files come after Environment=, the later one wins."""
    files = [UnitFile("/etc/systemd/system/k3s-blue.service", WITHOUT_ARGUMENTS["install-script"])]

    names = ["/etc/default/k3s-blue", "/etc/sysconfig/k3s-blue", "/etc/systemd/system/k3s.service.env"]
    assert names == environment_files(files)
    assert {"A": "2", "B": "x y"} == environment_of(files, {names[0]: "A=1\nB='x y'\n", names[2]: "A=2\n; C=3\n"})


def test_rke2_has_a_key_for_the_policy() -> None:
    """The key gives --audit-policy-file; a kube-apiserver-arg comes behind it and wins; so does ExecStart."""
    config = "/etc/rancher/rke2/config.yaml"

    assert {"audit-policy-file": "/a"} == read_server(rke2("", {config: "audit-policy-file: /a\n"})).audit_flags
    both = {config: "audit-policy-file: /a\nkube-apiserver-arg: [audit-policy-file=/b]\n"}
    assert {"audit-policy-file": "/b"} == read_server(rke2("", both)).audit_flags
    unit = "[Service]\nExecStart=/usr/bin/rke2 server --audit-policy-file /c\n"
    assert {"audit-policy-file": "/c"} == read_server(rke2(unit, {config: "audit-policy-file: /a\n"})).audit_flags


def test_names_of_flags_are_those_of_the_server() -> None:
    """Dashes before a name, underscores in it and a + behind it make no other flag; no value means true."""
    config = {CONFIG: "kube-apiserver-arg: [--audit_log_path=/a, audit-log-path+=/b, audit-log-compress]\n"}

    assert {"audit-log-path": "/b", "audit-log-compress": "true"} == read_server(k3s(PLAIN, config)).audit_flags


@pytest.mark.parametrize(
    ("policy", "silent"),
    [
        pytest.param(SILENT, True, id="stub-of-the-cis-profile"),
        pytest.param(SILENT + "- level: Metadata\n", False, id="a-rule-behind-it"),
        pytest.param("rules: [", False, id="unreadable"),
    ],
)
def test_policy_that_logs_nothing_is_recognised(policy: str, silent: bool) -> None:
    """RKE2's CIS profile writes a policy with one rule of level None."""
    assert silent == is_silent(policy)
    assert silent == ("logs nothing" in warning("/etc/rancher/rke2/audit-policy.yaml", policy))


refused = {
    "openrc": ("#!/sbin/openrc-run\ncommand=/usr/local/bin/k3s\n", {}, "line 1, command_args: this is an OpenRC"),
    "no-exec-start": ("[Unit]\nA=b\n", {}, "ExecStart: the unit starts nothing"),
    "two-commands": (PLAIN + "ExecStart=/bin/true\n", {}, "line 3, ExecStart: the unit starts several commands"),
    "commands-in-a-line": ("[Service]\nExecStart=/k3s server ; /bin/true\n", {}, "several commands in one line"),
    "other-name": ("[Service]\nExecStart=@/k3s k3s server\n", {}, "a program under another name"),
    "shell": ("[Service]\nExecStart=/bin/sh -c 'k3s server'\n", {}, "starts /bin/sh, not k3s"),
    "agent": ("[Service]\nExecStart=/k3s agent\n", {}, "this is an agent; name the unit of the server"),
    "no-command": ("[Service]\nExecStart=/k3s --debug\n", {}, "no server is started here"),
    "only-prefix": ("[Service]\nExecStart=-\n", {}, "no program is named"),
    "open-quote": ("[Service]\n\nExecStart=/k3s server 'a\n", {}, "line 3, ExecStart: the quote ' is never closed"),
    "unknown-escape": ("[Service]\nExecStart=/k3s server \\q\n", {}, r"unknown quoting: the escape \\q"),
    "nul": ("[Service]\nExecStart=/k3s server \\x00\n", {}, "unknown quoting"),
    "config-by-http": ("[Service]\nExecStart=/k3s server --config http://x/y\n", {}, "no path on this host"),
    "config-not-yaml": (PLAIN, {CONFIG: "a: ["}, f"{CONFIG}, line 1: not readable"),
    "config-a-list": (PLAIN, {CONFIG: "- a\n"}, "this is no mapping"),
    "config-merge-key": (PLAIN, {CONFIG: "x: &x {a: 1}\n<<: *x\n"}, "a merge key"),
    "argument-a-mapping": (PLAIN, {CONFIG: "a: 1\nARG: {v: 2}\n"}, "line 2, ARG: this is no list"),
    "argument-in-a-list": (PLAIN, {CONFIG: "ARG: [{v: 2}]\n"}, "this is no list of texts"),
}


@pytest.mark.parametrize(("unit", "configs", "message"), [pytest.param(*row, id=name) for name, row in refused.items()])
def test_what_is_not_sure_is_refused_in_one_line(unit: str, configs: dict[str, str], message: str) -> None:
    """The message names file, line and field, and what to do."""
    with pytest.raises(EditRefused, match=message.replace("ARG", "kube-apiserver-arg")) as refusal:
        read_server(k3s(unit, {path: text.replace("ARG", "kube-apiserver-arg") for path, text in configs.items()}))

    assert "\n" not in str(refusal.value)
    assert "; " in str(refusal.value)


@pytest.mark.parametrize(
    "value", ["a", "a b", "it's", 'say "x"', "100%", "$HOME", "back\\slash", "%%n $$", "", "ü", "#x", ";"]
)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_quoted_word_is_read_back(value: str, quote: str) -> None:
    """What is written into ExecStart means what was wanted."""
    text = quoted(value, quote)
    (word,) = split_words(text, 0, len(text), UNIT, "ExecStart")

    assert value == word.value.replace("$$", "$")


def test_distributions_are_named() -> None:
    """Both are found by their names."""
    assert {"k3s", "rke2"} == set(DISTRIBUTIONS)
    assert K3S is DISTRIBUTIONS["k3s"]
