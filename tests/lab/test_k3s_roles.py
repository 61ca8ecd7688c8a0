"""The playbooks on three masters of k3s, by a stand-in: the same promises as with kubeadm, kept by a service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.deploying import (
    CONFIGMAPS_ONLY,
    LOG,
    SECRETS_ONLY,
    STATE,
    Run,
    arguments,
    ask,
    audit_flags,
    enable,
    events_about,
    exists,
    play,
    records,
    succeed,
    timers,
)
from tests.lab.lab import Lab
from tests.lab.masters import Profile

pytestmark = pytest.mark.lab
HOSTS = ["m1", "m2", "m3"]
POLICY = "/etc/rancher/k3s/audit/policy.yaml"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/99-kaudit.yaml"
FILES = "find /etc/rancher /etc/systemd/system /etc/hosts /etc/k3s -type f -exec sha256sum {} + 2>/dev/null | sort"


def configuration(lab: Lab, host: str) -> str:
    """Every file that says how the service is started, with its sum."""
    return lab.ssh(host, ["sh", "-c", FILES], check=False).stdout


@dataclass
class Story:
    """What is done to the masters of this module, in order."""

    lab: Lab
    policy: Path
    booted: dict[str, str]

    def give(self, text: str) -> Path:
        """The policy file of the cluster's owner, with new content."""
        self.policy.write_text(text)
        return self.policy


@pytest.fixture(scope="module")
def story(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with Lab(hosts=3, profile=Profile(distribution="k3s")) as lab:
        booted = {host: configuration(lab, host) for host in HOSTS}
        yield Story(lab, tmp_path_factory.mktemp("k3s") / "policy.yaml", booted)


@pytest.fixture(scope="module")
def announced(story: Story) -> Run:
    run = succeed(enable(story.lab, story.give(SECRETS_ONLY), "--check", "--diff"))
    assert story.booted == {host: configuration(story.lab, host) for host in HOSTS}
    return run


@pytest.fixture(scope="module")
def enabled(story: Story, announced: Run) -> Run:
    return succeed(enable(story.lab, story.give(SECRETS_ONLY)))


@pytest.fixture(scope="module")
def repeated(story: Story, enabled: Run) -> Run:
    return succeed(enable(story.lab, story.give(SECRETS_ONLY)))


@pytest.fixture(scope="module")
def verified(story: Story, repeated: Run) -> Run:
    report = f"audit_verify_report_directory={story.policy.parent}"
    return play(story.lab, "kaudit.k8s.verify", "-e", report, *arguments(story.policy, {}))


@pytest.fixture(scope="module")
def shown(story: Story, verified: Run) -> Run:
    report = f"apiserver_audit_report_directory={story.policy.parent}"
    return play(story.lab, "kaudit.k8s.status", "-e", report, *arguments(story.policy, {}))


@pytest.fixture(scope="module")
def changed(story: Story, shown: Run) -> Run:
    return succeed(enable(story.lab, story.give(CONFIGMAPS_ONLY)))


@pytest.fixture(scope="module")
def back(story: Story, changed: Run) -> Run:
    return succeed(play(story.lab, "kaudit.k8s.rollback", *arguments(None, {})))


@pytest.fixture(scope="module")
def disabled(story: Story, back: Run) -> Run:
    report = {"apiserver_audit_report_directory": str(story.policy.parent)}
    return succeed(play(story.lab, "kaudit.k8s.disable", *arguments(None, report)))


def test_check_mode_shows_the_drop_in_and_restarts_nothing(announced: Run) -> None:
    assert [] == announced.restarts
    assert f'+ - "audit-log-path={LOG}"' in announced.said


def test_each_master_is_restarted_once_and_never_two_are_down(enabled: Run) -> None:
    assert (HOSTS, 1) == (enabled.restarts, enabled.most_down)


def test_a_second_run_changes_nothing(repeated: Run) -> None:
    assert (dict.fromkeys(HOSTS, 0), []) == (
        {host: counts["changed"] for host, counts in repeated.recap.items()},
        repeated.restarts,
    )


def test_verify_agrees(verified: Run) -> None:
    assert 0 == verified.code, verified.text


def test_status_finds_no_drift(shown: Run) -> None:
    assert 0 == shown.code, shown.text


def test_a_changed_policy_restarts_each_once_and_takes_effect(story: Story, changed: Run) -> None:
    assert (HOSTS, 1) == (changed.restarts, changed.most_down)
    configmap, secret = ask(story.lab, "m3", "configmap"), ask(story.lab, "m3", "secret")
    assert ["Metadata"] == events_about(story.lab, "m3", configmap)
    assert [] == events_about(story.lab, "m3", secret)


def test_going_back_brings_the_policy_of_before(story: Story, back: Run) -> None:
    assert (HOSTS, 1) == (back.restarts, back.most_down)
    assert SECRETS_ONLY == story.lab.read("m2", POLICY)
    assert ["deployed"] * 3 == [entry["outcome"] for entry in records(story.lab, "m2")]


@pytest.mark.parametrize("host", HOSTS)
def test_disabling_gives_every_byte_back(story: Story, disabled: Run, host: str) -> None:
    left = [path for path in (STATE, POLICY, DROP_IN) if exists(story.lab, host, path)]

    assert (story.booted[host], [], "") == (configuration(story.lab, host), left, timers(story.lab, host))
    assert [] == audit_flags(story.lab, host)


def test_disabling_restarts_each_once(disabled: Run) -> None:
    assert (HOSTS, 1) == (disabled.restarts, disabled.most_down)
