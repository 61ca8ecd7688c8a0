"""Auditing goes into k3s and RKE2 by a drop-in file, or by ExecStart where that carries arguments already."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.k3s import hosts
from kaudit_core.provisioning.k3s.distribution import K3S
from kaudit_core.provisioning.k3s.edit import apply, check_version, remove
from kaudit_core.provisioning.k3s.server import ServerFiles, flag_of, read_server
from kaudit_core.provisioning.refusal import EditRefused
from tests.provisioning.units import (
    CONFIG,
    CONFIGS,
    DROP_IN,
    INTENT,
    LOG,
    PLAIN,
    POLICY,
    UNIT,
    WITH_ARGUMENTS,
    WITHOUT_ARGUMENTS,
    k3s,
    rke2,
)

BATCH = AuditIntent({**INTENT.flags, "audit-log-mode": "batch"}, annotations=INTENT.annotations)


def texts(files: ServerFiles) -> dict[str, str]:
    """Every text of a server."""
    return {**{file.path: file.text for file in files.unit_files}, **files.config_files}


def others(files: ServerFiles) -> list[str]:
    """The arguments that aren't about auditing."""
    found = [argument.value for argument in read_server(files).arguments]
    return [value for value in found if not flag_of(value)[0].startswith("audit-")]


def check_laws(files: ServerFiles, intent: AuditIntent) -> ServerFiles:
    """Exactly the intended flags, nothing else changed, done once, and taken back: the files after the edit."""
    edits = apply(files, intent)
    after = files.changed(edits)

    assert intent.flags == read_server(after).audit_flags
    assert others(files) == others(after)
    assert 1 == len(edits)
    assert {} == apply(after, intent)
    assert texts(files) == texts(after.changed(remove(after, intent)))
    return after


@pytest.mark.parametrize("configs", [pytest.param(each, id=name) for name, each in CONFIGS.items()])
@pytest.mark.parametrize("unit", [pytest.param(text, id=name) for name, text in WITHOUT_ARGUMENTS.items()])
def test_drop_in_is_the_usual_way(unit: str, configs: dict[str, str]) -> None:
    """A file of our own holds everything; unit and other files keep their bytes."""
    after = check_laws(k3s(unit, configs), INTENT)

    written = yaml.safe_load(after.config_files[DROP_IN])
    assert {"kube-apiserver-arg+": [f"{name}={value}" for name, value in INTENT.flags.items()]} == written
    assert "# kaudit.k8s/policy-sha256: 0123abcd\n" in after.config_files[DROP_IN]


@pytest.mark.parametrize("configs", [pytest.param(each, id=name) for name, each in CONFIGS.items()])
@pytest.mark.parametrize("unit", [pytest.param(text, id=name) for name, text in WITH_ARGUMENTS.items()])
def test_exec_start_is_edited_where_it_carries_arguments(unit: str, configs: dict[str, str]) -> None:
    """Only words are inserted, in the style of the argument before them; no file of ours comes beside it."""
    after = check_laws(k3s(unit, configs), INTENT)

    text = after.unit_files[0].text
    rest = iter(text)
    assert all(any(sign == other for other in rest) for sign in unit)
    assert DROP_IN not in after.config_files
    assert ("\r" in unit) == ("\r" in text)
    assert unit.count("\n") + 3 * ("\\" in unit) == text.count("\n")


def test_exec_start_of_the_article() -> None:
    """The lines stand as the install script writes them."""
    after = check_laws(k3s(WITH_ARGUMENTS["install-script"]), INTENT)

    assert (
        "ExecStart=/usr/local/bin/k3s \\\n"
        "    server \\\n"
        "\t'--kube-apiserver-arg=profiling=false' \\\n"
        f"\t'--kube-apiserver-arg=audit-policy-file={POLICY}' \\\n"
        f"\t'--kube-apiserver-arg=audit-log-path={LOG}' \\\n"
        "\t'--kube-apiserver-arg=audit-log-maxage=30' \\\n"
        "\t'--debug' \\\n\n"
    ) in after.unit_files[0].text


replaced = {
    "value": "--kube-apiserver-arg=audit-log-path=/old",
    "two-words": "--kube-apiserver-arg audit-log-path=/old",
    "quoted": "'--kube-apiserver-arg=audit-log-path=/old'",
    "dashes": "-kube-apiserver-arg=--audit_log_path=/old",
    "twice": "--kube-apiserver-arg=audit-log-path=/a --debug --kube-apiserver-arg=audit-log-path=/b",
}


@pytest.mark.parametrize("given_before", [pytest.param(text, id=name) for name, text in replaced.items()])
def test_flag_that_is_there_is_replaced(given_before: str) -> None:
    """One use stays, in its place and form (pitfall P12)."""
    files = k3s(PLAIN.replace("server", f"server {given_before} --x"))
    after = files.changed(apply(files, INTENT))

    assert INTENT.flags == read_server(after).audit_flags
    assert 3 == after.unit_files[0].text.count("audit-")
    assert after.unit_files[0].text.count("--x") == 1
    assert {} == apply(after, INTENT)


adopted = {
    "config-yaml": {CONFIG: "kube-apiserver-arg:\n  # old\n  - audit-log-path=/old\n  - v=2\n"},
    "only-key": {CONFIG: "kube-apiserver-arg:\n- audit-log-path=/old\n- --audit-policy-file=/p\n"},
    "one-text": {CONFIG: "kube-apiserver-arg: audit-log-path=/old\n"},
    "flow": {CONFIG: "kube-apiserver-arg: [audit-log-path=/old, v=2]\ntoken: x\n"},
    "drop-in": {f"{CONFIG}.d/audit.yaml": "kube-apiserver-arg+:\n- audit-log-path=/old\n- audit-log-path=/older\n"},
}


@pytest.mark.parametrize("configs", [pytest.param(each, id=name) for name, each in adopted.items()])
def test_flag_in_another_file_moves_into_ours(configs: dict[str, str]) -> None:
    """Of two with one name it isn't sure which one counts, so the other file loses its own."""
    files = k3s(PLAIN, configs)
    after = files.changed(apply(files, INTENT))

    assert INTENT.flags == read_server(after).audit_flags
    assert others(files) == others(after)
    assert {} == apply(after, INTENT)
    assert {} == read_server(after.changed(remove(after, INTENT))).audit_flags


@pytest.mark.parametrize("unit", [PLAIN, WITH_ARGUMENTS["continued"]], ids=["drop-in", "exec-start"])
def test_change_of_mind(unit: str) -> None:
    """What an earlier intent brought and this one doesn't name goes away."""
    files = k3s(unit)
    first = files.changed(apply(files, BATCH))
    second = first.changed(apply(first, INTENT, previous=BATCH))

    assert texts(files.changed(apply(files, INTENT))) == texts(second)
    assert texts(files) == texts(second.changed(remove(second, INTENT)))


def test_drop_in_that_others_edited_keeps_theirs() -> None:
    """Removal takes out exactly ours."""
    after = check_laws(k3s(), INTENT)
    more = after.config_files[DROP_IN] + "  - v=4\ntls-san: [a]\n"
    edits = remove(after.changed({DROP_IN: more}), INTENT)

    assert {"kube-apiserver-arg+": ["v=4"], "tls-san": ["a"]} == yaml.safe_load(edits[DROP_IN] or "")
    assert {DROP_IN: None} == remove(after.changed({DROP_IN: more.rpartition("  - v=4")[0] + "# note\n"}), INTENT)


@pytest.mark.parametrize("added", ["  - v=4\n", "tls-san: [a]\n"])
def test_drop_in_that_others_edited_is_not_written_anew(added: str) -> None:
    """What they added would be lost."""
    after = check_laws(k3s(), INTENT)
    touched = after.changed({DROP_IN: after.config_files[DROP_IN] + added})

    with pytest.raises(
        EditRefused, match=rf"{DROP_IN}, line \d+, [a-z+-]+: somebody added this to kaudit's own file; move it"
    ):
        apply(touched, BATCH, previous=INTENT)


def test_flag_changed_in_our_file_is_mended() -> None:
    """By hand, or twice."""
    after = check_laws(k3s(), INTENT)
    text = after.config_files[DROP_IN].replace("=30", "=7") + f"  - audit-log-path={LOG}\n"

    assert {DROP_IN: after.config_files[DROP_IN]} == apply(after.changed({DROP_IN: text}), INTENT)


def test_rke2_changes_its_mind_about_policy_and_mounts() -> None:
    """Its own keys are ours in our file."""
    first = AuditIntent({"audit-policy-file": "/a/p.yaml"}, (Mount("x", "/x", "/x"), Mount("y", "/y", "/y")))
    second = AuditIntent({"audit-policy-file": "/b/p.yaml"}, (Mount("x", "/z", "/x"),))
    once = check_laws(rke2(), first)
    twice = once.changed(apply(once, second, previous=first))

    assert texts(rke2().changed(apply(rke2(), second))) == texts(twice)


def test_unit_that_others_edited_keeps_theirs() -> None:
    """Words added or lost since stay as they are."""
    after = check_laws(k3s(WITH_ARGUMENTS["continued"]), INTENT)
    text = after.unit_files[0].text.replace("--debug", "--debug \\\n    --tls-san=a").replace("maxage=30", "maxage=7")
    edits = remove(after.changed({UNIT: text}), INTENT)

    assert WITH_ARGUMENTS["continued"].replace("--debug", "--debug \\\n    --tls-san=a") == edits[UNIT]


def test_comment_before_our_word_stays() -> None:
    """A line that somebody wrote between ours is not ours."""
    after = check_laws(k3s(WITH_ARGUMENTS["continued"]), INTENT)
    text = after.unit_files[0].text.replace(
        "    --kube-apiserver-arg=audit-log-path", "    # why\n    --kube-apiserver-arg=audit-log-path"
    )
    edits = remove(after.changed({UNIT: text}), INTENT)

    assert WITH_ARGUMENTS["continued"].replace("    --debug", "    # why\n    --debug") == edits[UNIT]


def test_drop_in_goes_where_exec_start_took_over() -> None:
    """A unit that was given arguments since silences the drop-in: it is removed, never both."""
    files = k3s().changed(apply(k3s(), INTENT))
    taken_over = files.changed({UNIT: WITH_ARGUMENTS["one-line"]})
    edits = apply(taken_over, INTENT)

    assert {DROP_IN, UNIT} == set(edits)
    assert edits[DROP_IN] is None
    assert INTENT.flags == read_server(taken_over.changed(edits)).audit_flags
    shared = taken_over.changed({DROP_IN: taken_over.config_files[DROP_IN] + "tls-san: [a]\n"})
    assert {"tls-san": ["a"]} == yaml.safe_load(apply(shared, INTENT)[DROP_IN] or "")


def test_nothing_of_ours_is_nothing_to_remove() -> None:
    """Neither in a drop-in, nor in ExecStart, nor anywhere."""
    assert {} == remove(k3s(), INTENT)
    assert {} == remove(k3s(WITH_ARGUMENTS["one-line"]), INTENT)
    assert {} == remove(k3s(PLAIN, {DROP_IN: "tls-san: [a]\n"}), INTENT)


def test_rke2_gets_its_own_keys() -> None:
    """The policy has a key; directories that no flag names become mounts of the container."""
    mounts = (
        Mount("policy", "/etc/kubernetes/audit", "/etc/kubernetes/audit"),
        Mount("ca", "/etc/pki/receiver", "/in/receiver"),
        Mount("more", "/srv/more", "/srv/more", read_only=False),
    )
    intent = AuditIntent({"audit-policy-file": "/etc/kubernetes/audit/p.yaml", "audit-log-maxage": "7"}, mounts)
    config = "/etc/rancher/rke2/config.yaml"
    after = check_laws(rke2("", {config: "profile: cis\n"}), intent)

    assert {
        "kube-apiserver-arg+": ["audit-log-maxage=7"],
        "audit-policy-file": "/etc/kubernetes/audit/p.yaml",
        "kube-apiserver-extra-mount+": ["/etc/pki/receiver:/in/receiver:ro", "/srv/more:/srv/more"],
    } == yaml.safe_load(after.config_files[f"{config}.d/99-kaudit.yaml"])


def test_rke2_in_exec_start() -> None:
    """Its own flags are used there too."""
    intent = AuditIntent({"audit-policy-file": "/p/p.yaml", "audit-log-maxage": "7"}, (Mount("a", "/a", "/b"),))
    after = check_laws(rke2("[Service]\nExecStart=/usr/bin/rke2 server --kube-apiserver-arg=v=2\n"), intent)
    text = after.unit_files[0].text

    new = "--audit-policy-file=/p/p.yaml --kube-apiserver-arg=audit-log-maxage=7 --kube-apiserver-extra-mount=/a:/b:ro"
    assert f"rke2 server --kube-apiserver-arg=v=2 {new}\n" in text


refused = {
    "both-places": (
        k3s(WITH_ARGUMENTS["one-line"], {CONFIG: "a: b\nkube-apiserver-arg:\n- audit-log-path=/old\n"}),
        f"{CONFIG}, line 3, kube-apiserver-arg: audit-log-path=/old is set here and flags .* in {UNIT} too; leave one",
    ),
    "later-file-replaces": (
        k3s(PLAIN, {f"{CONFIG}.d/zz.yaml": "kube-apiserver-arg: [v=2]\n"}),
        r"zz.yaml, line 1, kube-apiserver-arg: this replaces what 99-kaudit.yaml .*; write kube-apiserver-arg\+",
    ),
    "variable": (
        k3s("[Service]\nEnvironment=P=/x\nExecStart=/k3s server --kube-apiserver-arg=audit-log-path=${P}\n"),
        f"{UNIT}, line 3, ExecStart: --kube-apiserver-arg comes from a variable",
    ),
    "anchor": (
        k3s(PLAIN, {CONFIG: "kube-apiserver-arg: &a [audit-log-path=/old]\nx: *a\n"}),
        f"{CONFIG}, line 1, kube-apiserver-arg.*an anchor",
    ),
}


@pytest.mark.parametrize(("files", "message"), [pytest.param(*row, id=name) for name, row in refused.items()])
def test_what_is_not_safe_is_refused(files: ServerFiles, message: str) -> None:
    """One line with file, line and field, and what to do."""
    with pytest.raises(EditRefused, match=message) as refusal:
        apply(files, INTENT)

    assert "\n" not in str(refusal.value)


def test_old_server_is_refused_by_name() -> None:
    """Before config.yaml.d a drop-in would count for nothing."""
    check_version(K3S, "v1.35.4+k3s1")
    with pytest.raises(EditRefused, match=r"config.yaml.d: k3s v1.19.3\+k3s1 is older than 1.22 .*; upgrade k3s first"):
        check_version(K3S, "v1.19.3+k3s1")


VALUES = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cf", "Zl", "Zp"]), max_size=20
)
FLAGS = st.dictionaries(
    st.sampled_from(["audit-policy-file", "audit-log-path", "audit-log-mode", "audit-webhook-mode"]),
    VALUES.filter(lambda text: text.isprintable() and "$(" not in text),
    min_size=1,
)
WORDS = st.one_of(
    st.sampled_from(
        ["--debug", "'--tls-san=a b'", '"x\\ty"', "--kube-apiserver-arg=v=2", "--kube-apiserver-arg 'a=b c'"]
    ),
    st.sampled_from(
        ["--kube-apiserver-arg=oidc-groups-prefix=$$x", '"--kube-apiserver-arg=v=\\x41%%"', "--node-label k=v"]
    ),
)
GAPS = st.sampled_from([" ", "  ", " \\\n    ", " \\\n\t", " \\\n  # note\n  ", "\\\r\n "])


@st.composite
def starts(draw: st.DrawFn) -> str:
    """A unit whose ExecStart is written in some style."""
    words = draw(st.lists(st.tuples(GAPS, WORDS), max_size=5))
    ending = draw(st.sampled_from(["\n", " \\\n\n", "\nRestart=always\n", ""]))
    before = draw(st.sampled_from(["", "# c\n", "Environment=A=b\n"]))
    return f"[Service]\n{before}ExecStart=/opt/k3s server{''.join(gap + word for gap, word in words)}{ending}"


@given(unit=starts(), flags=FLAGS, configs=st.sampled_from(list(CONFIGS.values())))
def test_laws(unit: str, flags: dict[str, str], configs: dict[str, str]) -> None:
    """Any flags into any unit and configuration: exactly those, done once, and every byte given back."""
    check_laws(k3s(unit, configs), AuditIntent(flags))


@given(unit=starts(), first=FLAGS, second=FLAGS)
def test_change_of_mind_gives_the_bytes_back(unit: str, first: dict[str, str], second: dict[str, str]) -> None:
    """Applied over an earlier intent the second one counts alone, and goes without a trace."""
    files = k3s(unit)
    before, now = AuditIntent(first), AuditIntent(second)
    once = files.changed(apply(files, before))
    twice = once.changed(apply(once, now, previous=before))

    assert second == read_server(twice).audit_flags
    assert texts(files) == texts(twice.changed(remove(twice, now)))


HOSTS = {
    "usual": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n\n# others\n10.0.0.1 m1\n",
    "no-newline-at-the-end": "127.0.0.1 localhost\n10.0.0.1 m1",
    "one-line": "127.0.0.1 localhost",
    "empty": "",
    "crlf": "127.0.0.1 localhost\r\n10.0.0.1 m1\r\n",
    "comment-at-the-end": "127.0.0.1 localhost\n#x",
}
NAME = "audit-backend-webhook.kube-system.svc"


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTS.items()])
def test_hosts_line_comes_and_goes(text: str) -> None:
    """One marked line, the same when written again, moved with the address, gone without a trace."""
    once = hosts.put_all(text, {"10.43.7.9": (NAME,)})

    assert once == hosts.put_all(once, {"10.43.7.9": (NAME,)})
    assert sorted([*text.splitlines(), f"10.43.7.9 {NAME} {hosts.MARK}"]) == sorted(once.splitlines())
    assert text == hosts.remove(hosts.put_all(once, {"fd00::9": (NAME,)}))
    assert 1 == hosts.put_all(once, {"fd00::9": (NAME,)}).count(NAME)


@given(
    st.lists(st.sampled_from(["10.0.0.1 m1", "# c", "", "\t1.2.3.4\tx # y"])),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_hosts_gives_every_byte_back(lines: list[str], ended: bool, newline: str) -> None:
    """Whatever the file looks like."""
    text = newline.join(lines) + (newline if ended else "")

    assert text == hosts.remove(hosts.put_all(text, {"10.43.7.9": (NAME,)}))


def test_hosts_line_of_others_is_refused() -> None:
    """A name that is already another address would win over ours; the same address does no harm."""
    with pytest.raises(
        EditRefused, match=f"/etc/hosts, line 2, {NAME}: {NAME} is already 10.0.0.9 here, not 10.43.7.9; "
    ):
        hosts.put_all(f"127.0.0.1 localhost\n10.0.0.9 a {NAME}\n", {"10.43.7.9": (NAME,)})

    assert hosts.MARK in hosts.put_all(f"10.43.7.9 {NAME}\n", {"10.43.7.9": (NAME,)})
    with pytest.raises(ValueError, match="no host name"):
        hosts.put_all("", {"10.43.7.9": ("a b",)})
    with pytest.raises(ValueError, match="does not appear to be"):
        hosts.put_all("", {"receiver": (NAME,)})


def test_files_after_an_edit() -> None:
    """A unit stays one, a file that goes is gone, a new one is there."""
    files = k3s(PLAIN, {CONFIG: "a: b\n"}).changed({UNIT: "x", CONFIG: None, DROP_IN: "c: d\n"})

    assert {UNIT: "x", DROP_IN: "c: d\n"} == texts(files)
    assert dataclasses.replace(files, distribution=K3S) == files
