"""What comes after enabling: the logs are judged, drift is seen, and disabling gives every byte back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.deploying import (
    CONFIGMAPS_ONLY,
    ENVIRONMENT,
    LOG,
    LOGS,
    POLICY,
    QUICK,
    SECRETS_ONLY,
    STATE,
    Run,
    ask,
    audit_flags,
    enable,
    exists,
    succeed,
    timers,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
HOSTS = ["m1", "m2", "m3"]
CONFIGMAP = ["get", "configmap", "-n", "kube-system", "kubeadm-config", "-o", "jsonpath={.data.ClusterConfiguration}"]


@dataclass
class Life:
    """Three masters that audit by a second policy, and how they were before."""

    lab: Lab
    report: Path
    booted: dict[str, str]
    configmap: str

    def play(self, name: str, *more: str, **variables: Any) -> Run:
        """Run another playbook as a user would."""
        places = {
            "apiserver_audit_report_directory": str(self.report),
            "audit_verify_report_directory": str(self.report),
        }
        given = json.dumps({**QUICK, **places, **variables})
        with self.lab.poller() as poller:
            poller.wait_for(set(HOSTS))
            done = self.lab.ansible(f"kaudit.k8s.{name}", "-e", given, *more, check=False, env=ENVIRONMENT)
            return Run(done.returncode, done.stdout + done.stderr, poller.outages(), poller.most_down())

    def verified(self) -> dict[str, Any]:
        """The report of the last verify."""
        report: dict[str, Any] = json.loads((self.report / "verify.json").read_bytes())
        return report

    def status(self) -> dict[str, dict[str, Any]]:
        """The last status, by master."""
        return {each["master"]: each for each in json.loads((self.report / "status.json").read_bytes())["masters"]}


@pytest.fixture(scope="module")
def life(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    directory = tmp_path_factory.mktemp("life")
    policy = directory / "policy.yaml"
    with Lab(hosts=3) as lab:
        booted = {host: lab.read(host, MANIFEST) for host in HOSTS}
        made = Life(lab, directory / "report", booted, lab.kubectl("m1", CONFIGMAP).stdout)
        for text in (SECRETS_ONLY, CONFIGMAPS_ONLY):
            policy.write_text(text)
            succeed(enable(lab, policy))
            for host in HOSTS:
                ask(lab, host, "secret")
                ask(lab, host, "configmap")
        yield made


@pytest.fixture(scope="module")
def verified(life: Life) -> Run:
    return succeed(life.play("verify"))


@pytest.fixture(scope="module")
def disabled(life: Life, verified: Run) -> Run:
    return succeed(life.play("disable"))


def test_verify_judges_every_record_by_the_policy_of_its_time(life: Life, verified: Run) -> None:
    judged = life.verified()["masters"]

    assert [host for host in HOSTS for _ in range(2)] == [each["master"] for each in judged]
    assert 2 == len({each["policy"] for each in judged})
    assert {"agrees"} == set(life.verified()["total"]["outcomes"])


def test_verify_shows_a_line_for_each_master_and_policy(verified: Run) -> None:
    rows = [line.split() for line in verified.text.splitlines() if line.startswith("  m")]

    assert [host for host in HOSTS for _ in range(2)] == [row[0] for row in rows if row[-1] == "none"]


def test_verify_changes_and_restarts_nothing(verified: Run) -> None:
    assert [] == verified.restarts
    assert {0} == {counts["changed"] for counts in verified.recap.values()}


def test_what_verify_fetched_is_for_its_owner_only(life: Life, verified: Run) -> None:
    assert {0o700} == {path.stat().st_mode & 0o777 for path in (life.report, life.report / "m1")}


def test_verify_fails_with_the_finding_of_a_forged_line(life: Life, verified: Run) -> None:
    event = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "forged"}
    request = {"stage": "ResponseComplete", "requestURI": "/api/v1/pods", "verb": "list", "user": {"username": "eve"}}
    times = {"requestReceivedTimestamp": "2030-01-01T00:00:00.000000Z", "stageTimestamp": "2030-01-01T00:00:00.000000Z"}
    saved = life.lab.read("m2", LOG)
    life.lab.ssh("m2", ["sh", "-c", f"cat >>{LOG}"], input=json.dumps(event | request | times) + "\n")

    run = life.play("verify")
    # In place: the API server writes on into the same file.
    life.lab.ssh("m2", ["sh", "-c", f"cat >{LOG}"], input=saved)

    assert run.code != 0
    assert "the logs are not what their policies promise: 1 level-above" in run.said
    assert ["m2"] == [each["master"] for each in life.verified()["masters"] if each["findings"].get("level-above")]


def test_status_has_nothing_to_say_about_masters_as_deployed(life: Life, verified: Run) -> None:
    run = succeed(life.play("status"))

    assert {"on"} == {each["auditing"] for each in life.status().values()}
    assert [] == [found for each in life.status().values() for found in each["drift"]]
    assert "  MASTER  AUDITING  POLICY" in run.text
    assert all(each["log_bytes"] > 1000 for each in life.status().values())


def test_status_names_the_master_and_what_drifted(life: Life, verified: Run) -> None:
    before = life.lab.read("m3", POLICY)
    life.lab.ssh("m3", ["sh", "-c", f"echo '# edited' >>{POLICY}"])
    # As logrotate does it: the API server writes on into the file of before (pitfall P32).
    life.lab.ssh("m2", ["sh", "-ec", f"mv {LOG} {LOG}.1; install -m 0600 /dev/null {LOG}"])

    run = life.play("status")
    life.lab.ssh("m3", ["sh", "-c", f"cat >{POLICY}"], input=before)
    life.lab.ssh("m2", ["sh", "-ec", f"mv {LOG}.1 {LOG}"])

    assert run.code != 0
    assert "m2, m3: not as deployed" in run.said
    assert [f"{LOG} does not grow: it has no event of a request that was just made"] == life.status()["m2"]["drift"]
    assert [f"{POLICY} was changed since it was deployed"] == life.status()["m3"]["drift"]
    assert [] == life.status()["m1"]["drift"]


def test_disabling_in_check_mode_announces_and_touches_nothing(life: Life, verified: Run) -> None:
    run = succeed(life.play("disable", "--check", "--diff"))

    assert [] == run.restarts
    assert f"-    - --audit-log-path={LOG}" in run.text
    assert exists(life.lab, "m1", f"{STATE}/deployments.json")


def test_disabling_restarts_each_master_once_and_in_order(disabled: Run) -> None:
    assert HOSTS == disabled.restarts
    assert 1 == disabled.most_down


@pytest.mark.parametrize("host", HOSTS)
def test_disabling_gives_the_manifests_bytes_back(life: Life, disabled: Run, host: str) -> None:
    assert life.booted[host] == life.lab.read(host, MANIFEST)


@pytest.mark.parametrize("host", HOSTS)
def test_after_disabling_no_server_audits(life: Life, disabled: Run, host: str) -> None:
    size = life.lab.ssh(host, ["stat", "-c", "%s", LOG]).stdout
    ask(life.lab, host, "configmap")

    assert [] == audit_flags(life.lab, host)
    assert size == life.lab.ssh(host, ["stat", "-c", "%s", LOG]).stdout


def test_disabling_gives_kubeadms_configuration_back(life: Life, disabled: Run) -> None:
    assert life.configmap == life.lab.kubectl("m1", CONFIGMAP).stdout


@pytest.mark.parametrize("host", HOSTS)
def test_disabling_leaves_nothing_but_the_logs(life: Life, disabled: Run, host: str) -> None:
    found = [path for path in (STATE, POLICY, "/etc/kubernetes/audit", LOGS) if exists(life.lab, host, path)]

    assert [LOGS] == found
    assert "" == timers(life.lab, host)


def test_the_record_is_on_the_controller_when_it_leaves_the_host(life: Life, disabled: Run) -> None:
    entries = json.loads((life.report / "m1" / "deployments.json").read_bytes())

    assert ["deployed", "deployed", "disabled"] == [entry["outcome"] for entry in entries]


def test_disabling_again_changes_nothing(life: Life, disabled: Run) -> None:
    run = succeed(life.play("disable"))

    assert [] == run.restarts
    assert {0} == {counts["changed"] for counts in run.recap.values()}


def test_logs_go_where_they_are_not_to_be_kept(life: Life, disabled: Run) -> None:
    policy = life.report / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    succeed(enable(life.lab, policy, "--limit", "m1"))
    succeed(life.play("disable", "--limit", "m1", apiserver_audit_keep_logs=False))

    assert not exists(life.lab, "m1", LOGS)
