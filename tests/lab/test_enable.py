"""Enabling on three masters: once each, one at a time, proved, announced truthfully, and only where needed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kaudit_core.cli.main import main
from kaudit_core.provisioning.files import kept_name
from tests.lab.deploying import (
    CONFIGMAPS_ONLY,
    LOG,
    POLICY,
    SECRETS_ONLY,
    STATE,
    Run,
    ask,
    enable,
    events_about,
    exists,
    go_back,
    records,
    succeed,
    timers,
    touched_files,
    without_deployment,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
HOSTS = ["m1", "m2", "m3"]
FIRST, SECOND = (hashlib.sha256(policy.encode()).hexdigest() for policy in (SECRETS_ONLY, CONFIGMAPS_ONLY))


@dataclass
class Story:
    """What was done to the masters of this module, in order, and what was found in between."""

    lab: Lab
    directory: Path
    booted: dict[str, str]
    untouched: dict[str, tuple[str, str]] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)

    def policy(self, text: str) -> Path:
        """The one policy file of this cluster's owner, with new content."""
        path = self.directory / "policy.yaml"
        path.write_text(text)
        return path


@pytest.fixture(scope="module")
def story(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with Lab(hosts=3) as lab:
        yield Story(lab, tmp_path_factory.mktemp("story"), {host: lab.read(host, MANIFEST) for host in HOSTS})


@pytest.fixture(scope="module")
def announced(story: Story) -> Run:
    """Check mode before anything was deployed."""
    before = {host: touched_files(story.lab, host) for host in HOSTS}
    run = succeed(enable(story.lab, story.policy(SECRETS_ONLY), "--check", "--diff"))
    story.untouched = {host: (before[host], touched_files(story.lab, host)) for host in HOSTS}
    return run


@pytest.fixture(scope="module")
def enabled(story: Story, announced: Run) -> Run:
    run = succeed(enable(story.lab, story.policy(SECRETS_ONLY), "--diff"))
    for host in HOSTS:
        ask(story.lab, host, "secret")
        story.logs[host] = story.directory / f"{host}.log"
        story.logs[host].write_text(story.lab.read(host, LOG))
    return run


@pytest.fixture(scope="module")
def repeated(story: Story, enabled: Run) -> Run:
    return succeed(enable(story.lab, story.policy(SECRETS_ONLY), "--diff"))


@pytest.fixture(scope="module")
def changed(story: Story, repeated: Run) -> Run:
    return succeed(enable(story.lab, story.policy(CONFIGMAPS_ONLY)))


@pytest.fixture(scope="module")
def back(story: Story, changed: Run) -> Run:
    """rollback.yml, when all tests of the changed policy are done."""
    return succeed(go_back(story.lab))


def manifest_diff(run: Run, host: str) -> str:
    """What a run showed of a host's manifest: the lines that come and go."""
    shown = [part.partition("\nTASK [")[0] for part in run.text.split(f"--- before: {MANIFEST}")[1:]]
    mine = next(part for part in shown if f"changed: [{host}]" in part)
    return without_deployment("\n".join(re.findall(r"^[+-] .*$", mine, re.MULTILINE)))


@pytest.mark.parametrize("host", HOSTS)
def test_check_mode_says_changed(announced: Run, host: str) -> None:
    assert announced.recap[host]["changed"] > 0, announced.text


def test_check_mode_restarts_nothing(announced: Run) -> None:
    assert [] == announced.restarts


@pytest.mark.parametrize("host", HOSTS)
def test_check_mode_leaves_every_bit_of_the_host(story: Story, announced: Run, host: str) -> None:
    before, after = story.untouched[host]

    assert before == after


def test_check_mode_shows_the_flags_that_come(announced: Run) -> None:
    assert f"+    - --audit-log-path={LOG}" in manifest_diff(announced, "m1")


@pytest.mark.parametrize("host", HOSTS)
def test_the_manifest_becomes_what_check_mode_announced(announced: Run, enabled: Run, host: str) -> None:
    assert manifest_diff(announced, host) == manifest_diff(enabled, host)


def test_check_mode_announces_what_happens_to_kubeadms_configuration(announced: Run, enabled: Run) -> None:
    def shown(run: Run) -> list[str]:
        return re.findall(r"^[+-] .*$", run.text.partition("Kubeadm | Keep the stored")[2], re.MULTILINE)[:20]

    assert shown(announced) == shown(enabled)
    assert "--- before: kube-system/kubeadm-config" in announced.text


def test_each_master_is_restarted_once_and_in_order(enabled: Run) -> None:
    assert HOSTS == enabled.restarts


def test_never_two_masters_are_down(enabled: Run) -> None:
    assert 1 == enabled.most_down


@pytest.mark.parametrize("host", HOSTS)
def test_verify_agrees_with_the_policy(
    story: Story, enabled: Run, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["verify", "--policy", str(story.policy(SECRETS_ONLY)), "--format", "json", str(story.logs[host])])
    summary = json.loads(capsys.readouterr().out)

    assert (0, summary["events"]) == (code, summary["outcomes"]["agrees"])
    assert summary["events"] > 0


def test_a_second_run_changes_nothing(repeated: Run) -> None:
    assert dict.fromkeys(HOSTS, 0) == {host: counts["changed"] for host, counts in repeated.recap.items()}


def test_a_second_run_restarts_nothing(repeated: Run) -> None:
    assert [] == repeated.restarts


def test_a_changed_policy_restarts_each_once(changed: Run) -> None:
    assert (HOSTS, 1) == (changed.restarts, changed.most_down)


@pytest.mark.parametrize("host", HOSTS)
def test_a_changed_policy_takes_effect(story: Story, changed: Run, host: str) -> None:
    configmap, secret = ask(story.lab, host, "configmap"), ask(story.lab, host, "secret")

    assert ["Metadata"] == events_about(story.lab, host, configmap)
    assert [] == events_about(story.lab, host, secret)


@pytest.mark.parametrize("host", HOSTS)
def test_the_record_shows_both_policies(story: Story, changed: Run, host: str) -> None:
    entries = [(entry["policy_sha256"], entry["outcome"]) for entry in records(story.lab, host)]

    assert [(FIRST, "deployed"), (SECOND, "deployed")] == entries


@pytest.mark.parametrize(("sha256", "policy"), [(FIRST, SECRETS_ONLY), (SECOND, CONFIGMAPS_ONLY)])
def test_both_policies_are_kept(story: Story, changed: Run, sha256: str, policy: str) -> None:
    assert policy == story.lab.read("m3", f"{STATE}/policies/{sha256}.yaml")


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_is_left_of_the_way(story: Story, changed: Run, host: str) -> None:
    left = [name for name in ("pending.json", "restore", "restored") if exists(story.lab, host, f"{STATE}/{name}")]

    assert ("", []) == (timers(story.lab, host), left)


@pytest.mark.parametrize("host", HOSTS)
def test_the_first_manifest_is_kept(story: Story, changed: Run, host: str) -> None:
    assert story.booted[host] == story.lab.read(host, f"{STATE}/originals/{kept_name(MANIFEST)}")


def test_a_log_that_may_fill_its_disk_is_refused(story: Story, changed: Run) -> None:
    """Before any master is touched, with both sizes and the file system."""
    before = {host: touched_files(story.lab, host) for host in HOSTS}
    run = enable(story.lab, story.policy(CONFIGMAPS_ONLY), apiserver_audit_log_max_backup=1_000_000)

    assert (True, []) == (run.code != 0, run.restarts)
    assert f"{LOG}: the log may take 104,857,705 MB (max_size x (max_backup + 1)), and /" in run.said
    assert before == {host: touched_files(story.lab, host) for host in HOSTS}


def test_going_back_restarts_each_once(back: Run) -> None:
    assert (HOSTS, 1) == (back.restarts, back.most_down)


@pytest.mark.parametrize("host", HOSTS)
def test_the_policy_before_is_in_effect_again(story: Story, back: Run, host: str) -> None:
    configmap, secret = ask(story.lab, host, "configmap"), ask(story.lab, host, "secret")

    assert ["Metadata"] == events_about(story.lab, host, secret)
    assert [] == events_about(story.lab, host, configmap)


@pytest.mark.parametrize("host", HOSTS)
def test_going_back_is_a_deployment_in_the_record(story: Story, back: Run, host: str) -> None:
    assert [FIRST, SECOND, FIRST] == [entry["policy_sha256"] for entry in records(story.lab, host)]
    assert SECRETS_ONLY == story.lab.read(host, POLICY)
