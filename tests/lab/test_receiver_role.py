"""The role audit_receiver on real hosts, with a real API server that sends to what it set up."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.manifest import apply
from tests.lab.deploying import ENVIRONMENT, LOG, LOGS, Run, ask, exists, server, succeed, wait_until
from tests.lab.deploying import POLICY as POLICY_PATH
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
UNIT = "kaudit-receiver"
SPOOL = "/var/lib/kaudit-receiver"
SETTINGS = "/etc/kaudit-receiver"
ROOT = "/opt/kaudit-receiver"
HOSTS = ["m1", "m2"]
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
FLAGS = {
    "audit-policy-file": POLICY_PATH,
    "audit-log-path": LOG,
    "audit-webhook-config-file": "/etc/kubernetes/audit/webhook.yaml",
    "audit-webhook-initial-backoff": "1s",
    "audit-webhook-batch-max-wait": "1s",
}


@dataclass
class Receivers:
    """Two hosts of a lab with a receiver each, and the controller's directory."""

    lab: Lab
    directory: Path
    inventory: str
    output: list[str] = field(default_factory=list)

    def play(self, *more: str, **variables: Any) -> Run:
        """Run the playbook as a user would."""
        given = json.dumps({"audit_receiver_directory": str(self.directory), **variables})
        options = ["-i", self.inventory, "-e", given, "-vv", "--diff", *more]
        done = self.lab.ansible("kaudit.k8s.receiver", *options, check=False, env=ENVIRONMENT)
        self.output.append(done.stdout + done.stderr)
        return Run(done.returncode, self.output[-1], [], 0)

    def on(self, host: str, script: str, check: bool = True) -> str:
        """What a script on a host prints."""
        return self.lab.ssh(host, ["sh", "-c", script], check=check).stdout.strip()

    def process(self, host: str) -> str:
        """The process of a host's receiver."""
        return self.on(host, f"systemctl show --property=MainPID --value {UNIT}")

    def held(self) -> set[str]:
        """What both receivers hold of m1's events."""
        script = f"cat {SPOOL}/segments/m1/*.log 2>/dev/null || true"
        return {content(line) for host in HOSTS for line in self.on(host, script).splitlines()}

    def logged(self) -> set[str]:
        """What m1's API server logged since it sends."""
        return {content(line) for line in self.lab.read("m1", LOG).splitlines()}


def content(line: str) -> str:
    """An event without what only the log backend writes."""
    value = json.loads(line)
    return json.dumps({name: value[name] for name in sorted(value.keys() - {"kind", "apiVersion"})}, sort_keys=True)


def changes(run: Run) -> int:
    """How many tasks changed something."""
    return sum(counts["changed"] for counts in succeed(run).recap.values())


@pytest.fixture(scope="module")
def receivers(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    """Hosts without a receiver."""
    folder = tmp_path_factory.mktemp("receivers")
    with Lab(hosts=2) as lab:
        each = {host: {"audit_receiver_address": lab.hosts[host]} for host in HOSTS}
        inventory = folder / "hosts.yml"
        allowed = {"audit_receiver_allow_from": ["10.77.0.0/24"]}
        inventory.write_text(yaml.safe_dump({"receivers": {"hosts": each, "vars": allowed}}))
        yield Receivers(lab, folder / "controller", str(inventory))


@pytest.fixture(scope="module")
def checked(receivers: Receivers) -> Run:
    """Check mode, before anything is there."""
    run = succeed(receivers.play("--check"))
    for host in HOSTS:
        assert "0" == receivers.on(host, f"ls -d {ROOT} {SETTINGS} {SPOOL} 2>/dev/null | wc -l")
    assert not (receivers.directory / "authority").exists()
    return run


@pytest.fixture(scope="module")
def installed(receivers: Receivers, checked: Run) -> Run:
    return succeed(receivers.play())


@pytest.fixture(scope="module")
def sending(receivers: Receivers, installed: Run) -> Receivers:
    """m1's API server sends, by what the role made and printed and nothing else."""
    lab, side = receivers.lab, receivers.directory / "api-servers" / "m1"
    directory = str(Path(POLICY_PATH).parent)
    for name in ("webhook.yaml", "webhook.crt", "webhook.key"):
        lab.write("m1", f"{directory}/{name}", (side / name).read_text())
    lab.write("m1", POLICY_PATH, POLICY)
    pinned = "\n".join(re.findall(r'"m1: hostAliases or /etc/hosts: (.*)"', installed.text))
    lab.ssh("m1", ["sh", "-c", "cat >>/etc/hosts"], input=f"{pinned}\n")
    mounts = (Mount("policy", directory, directory), Mount("log", LOGS, LOGS, read_only=False))
    before = server(lab, "m1")
    lab.write("m1", MANIFEST, apply(lab.read("m1", MANIFEST), AuditIntent(FLAGS, mounts)))
    wait_until(lambda: server(lab, "m1") not in ("", before), "the API server is started again")
    lab.wait_until_ready()
    return receivers


def test_check_mode_announces_what_a_run_changes(checked: Run, installed: Run) -> None:
    assert changes(checked) >= 10
    assert f"ExecStart={ROOT}/" in checked.text
    for part in ("authority: made", "receiver m1: made", "API server m2: made"):
        assert part in checked.text


def test_a_second_run_changes_nothing(receivers: Receivers, installed: Run) -> None:
    """From a directory of wheels, and no index, as much as from the controller's own package."""
    (wheels,) = (receivers.directory / "wheels").iterdir()

    assert 0 == changes(receivers.play(audit_receiver_wheelhouse=str(wheels)))


def test_it_says_what_api_servers_need(receivers: Receivers, installed: Run) -> None:
    shown = json.loads((receivers.directory / "api-servers.json").read_text())

    assert "https://kaudit-receiver:8443/reportAuditEvent/<api-server>" == shown["url"]
    assert list(receivers.lab.hosts.values()) == shown["addresses"]
    for part in ("URL: https://", f"CA: {receivers.directory}", "pinned: kaudit-receiver = ", "--audit-webhook-config"):
        assert part in installed.text


def test_secrets_are_neither_shown_nor_readable(receivers: Receivers, installed: Run) -> None:
    """Not in any output, with differences and -vv, not for others on the controller or the host."""
    files = [path for path in receivers.directory.rglob("*") if path.is_file()]
    secret = [line for path in files if path.suffix in (".key", ".pem") for line in path.read_text().splitlines()]
    public = [line for path in files if path.suffix == ".crt" for line in path.read_text().splitlines()]
    lines = {line for line in secret if "-----" not in line} - set(public)

    assert lines and [] == [line for line in lines if line in "".join(receivers.output)]
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files if path.suffix != ".whl"}
    assert 0o700 == stat.S_IMODE(receivers.directory.stat().st_mode)
    assert "" == receivers.on("m1", f"runuser -u nobody -- cat {SETTINGS}/receiver.pem {SPOOL}/lock", check=False)


def test_the_service_is_hardened(receivers: Receivers, installed: Run) -> None:
    """As systemd itself judges it, and as the kernel shows it."""
    judged = receivers.on("m1", f"systemd-analyze security --no-pager {UNIT} | tail -1")
    status = receivers.on("m1", f"cat /proc/{receivers.process('m1')}/status")

    assert float(re.findall(r": ([\d.]+)", judged)[0]) <= 1.5, judged
    assert UNIT == receivers.on("m1", f"ps -o user:32= -p {receivers.process('m1')}")
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)


def test_log_and_receivers_hold_the_same_events(sending: Receivers) -> None:
    """Two receivers without coordination: one is stopped, the other killed, both come back, while m1 works."""
    lab = sending.lab
    names = [ask(lab, "m1", "secret")]
    sending.on("m1", f"systemctl stop {UNIT}")
    names.append(ask(lab, "m1", "configmap"))
    wait_until(lambda: any(names[-1] in line for line in sending.held()), "the other receiver has it")
    sending.on("m1", f"systemctl start {UNIT}")
    before = sending.process("m2")
    sending.on("m2", f"kill -9 {before}")
    names.append(ask(lab, "m1", "secret"))
    wait_until(lambda: sending.process("m2") not in ("0", before), "systemd starts it again")

    wait_until(lambda: any(names[-1] in line for line in sending.held()), "the last event")
    logged = sending.logged()
    wait_until(lambda: logged <= sending.held(), "all that was logged until now")
    assert [] == sorted(sending.held() - sending.logged())
    assert all(any(name in line for line in logged) for name in names)


def test_verify_reads_the_segments_like_any_log(sending: Receivers, tmp_path: Path) -> None:
    """On the host itself, with the package that is installed there."""
    ask(sending.lab, "m1", "secret")
    host = next(host for host in HOSTS if exists(sending.lab, host, f"{SPOOL}/segments/m1"))
    sending.lab.write(host, "/opt/policy.yaml", POLICY)
    command = f"{ROOT}/*/venv/bin/kaudit verify --format json --policy /opt/policy.yaml {SPOOL}/segments/m1/"

    assert {"agrees"} == set(json.loads(sending.on(host, command))["outcomes"])


def test_a_renewal_cuts_nobody_off(sending: Receivers) -> None:
    """New certificates are in use, on the same processes, and the API server's next events arrive."""
    processes = [sending.process(host) for host in HOSTS]
    before = json.loads((sending.directory / "api-servers.json").read_text())
    run = succeed(sending.play(audit_receiver_certificate_days=400, audit_receiver_renew_before_days=390))
    after = json.loads((sending.directory / "api-servers.json").read_text())
    name = ask(sending.lab, "m1", "secret")

    assert {"receiver m1", "API server m2"} < set(re.findall(r'"(.*): renewed', run.text))
    assert before["authority_sha256"] == after["authority_sha256"]
    assert before["receivers"]["m1"] != after["receivers"]["m1"]
    assert processes == [sending.process(host) for host in HOSTS]
    wait_until(lambda: any(name in line for line in sending.held()), "an event after the renewal")


def test_removing_keeps_the_events_until_asked(sending: Receivers) -> None:
    held = sending.held()
    succeed(sending.play("--check", audit_receiver_state="absent"))
    assert all(sending.process(host) != "0" for host in HOSTS)
    succeed(sending.play(audit_receiver_state="absent"))
    for host in HOSTS:
        gone = f"ls -d {ROOT} {SETTINGS} /etc/systemd/system/{UNIT}.service 2>/dev/null; getent passwd {UNIT}"
        assert "" == sending.on(host, gone, check=False)
        assert "700 root" == sending.on(host, f"stat -c '%a %U' {SPOOL}")
    assert held <= sending.held()
    assert not sending.directory.exists()

    succeed(sending.play(audit_receiver_state="absent", audit_receiver_remove_events=True))
    assert [False, False] == [exists(sending.lab, host, SPOOL) for host in HOSTS]


def test_in_the_cluster(receivers: Receivers, tmp_path: Path) -> None:
    """Manifests pass the API server's strict check, are applied, stay as they are, and go; claims only when asked."""
    given = {
        "kaudit_receivers": "m1",
        "audit_receiver_placement": "cluster",
        "audit_receiver_image": "registry.example/kaudit:0.1.0",
        "audit_receiver_cluster_ip": "10.96.0.77",
        "audit_receiver_allow_from": ["10.77.0.11", "10.77.1.0/24"],
        "audit_receiver_directory": str(tmp_path / "cluster"),
        # No scheduler and no controllers here: the API server's half is what is tested.
        "audit_receiver_ready_timeout": 0,
    }
    kinds = "deployments,services,secrets,poddisruptionbudgets,networkpolicies,persistentvolumeclaims"

    def there() -> list[str]:
        names = ["get", kinds, "--namespace=kaudit", "--output=name"]
        return sorted(receivers.lab.kubectl("m1", names, check=False).stdout.split())

    checked = succeed(receivers.play("--check", **given))
    assert "Deployment kaudit-receiver-1" in checked.text and [] == there()

    succeed(receivers.play(**given))
    assert 9 - 1 == len(there()), there()
    assert 0 == changes(receivers.play("--check", **given))
    key = (tmp_path / "cluster/receivers/cluster.pem").read_text().splitlines()[1]
    assert key not in "".join(receivers.output)

    succeed(receivers.play(**given, audit_receiver_state="absent"))
    assert ["persistentvolumeclaim/kaudit-receiver-0", "persistentvolumeclaim/kaudit-receiver-1"] == there()
