"""The webhook backend on real masters, with a real receiver on one of them: proved, refused, and taken away again."""

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

from tests.lab.deploying import (
    ENVIRONMENT,
    LOG,
    SECRETS_ONLY,
    STATE,
    Run,
    arguments,
    ask,
    audit_flags,
    exists,
    server,
    succeed,
    timers,
    touched_files,
    wait_until,
)
from tests.lab.lab import MANIFEST, Lab
from tests.receiver.certificates import Authority

pytestmark = pytest.mark.lab
UNIT, SPOOL = "kaudit-receiver", "/var/lib/kaudit-receiver"
KUBECONFIG = "/etc/kubernetes/audit/webhook.yaml"
QUICK = {"apiserver_audit_webhook_initial_backoff": "1s", "apiserver_audit_webhook_batch_max_wait": "1s"}
BOTH, WEBHOOK = ["log", "webhook"], ["webhook"]


@dataclass
class Site:
    """Two masters, a receiver on the second, and what the controller has of it."""

    lab: Lab
    folder: Path
    policy: Path
    inventory: str
    originals: dict[str, str]
    output: list[str] = field(default_factory=list)

    @property
    def receivers(self) -> Path:
        """The directory of the role audit_receiver."""
        return self.folder / "receivers"

    @property
    def from_receiver(self) -> dict[str, Any]:
        """What names the receiver in an inventory."""
        return {**QUICK, "apiserver_audit_webhook_receiver_directory": str(self.receivers)}

    def run(self, playbook: str, *more: str, **variables: Any) -> Run:
        """A play on both masters, with the differences shown."""
        given = {"audit_receiver_directory": str(self.receivers), "apiserver_audit_report_directory": str(self.folder)}
        options = ["-i", self.inventory, *arguments(self.policy, {**given, **variables}), "-vv", "--diff", *more]
        done = self.lab.ansible(f"kaudit.k8s.{playbook}", *options, check=False, env=ENVIRONMENT)
        self.output.append(done.stdout + done.stderr)
        return Run(done.returncode, self.output[-1], [], 0)

    def enable(self, *more: str, backends: list[str] = BOTH, **variables: Any) -> Run:
        """With what the receivers' role made, unless a URL is given."""
        given = {} if "apiserver_audit_webhook_url" in variables else self.from_receiver
        return self.run("enable", *more, apiserver_audit_backends=backends, **{**QUICK, **given, **variables})

    def on(self, host: str, script: str, check: bool = True) -> str:
        """What a script on a host prints."""
        return self.lab.ssh(host, ["sh", "-c", script], check=check).stdout.strip()

    def held(self, host: str) -> set[str]:
        """What the receiver holds of a master's events."""
        script = f"cat {SPOOL}/segments/{host}/*.log 2>/dev/null || true"
        return {content(line) for line in self.on("m2", script).splitlines()}

    def has(self, host: str, name: str) -> bool:
        """Whether the receiver holds an event about an object."""
        return any(name in line for line in self.held(host))

    def logged(self, host: str) -> set[str]:
        """What a master has logged."""
        return {content(line) for line in self.lab.read(host, LOG).splitlines()}

    def unchanged(self, before: dict[str, str]) -> None:
        """Nothing was touched, nobody was restarted, nothing waits."""
        assert before == self.state()
        assert [] == [
            line for host in self.lab.hosts for line in timers(self.lab, host).splitlines() if UNIT not in line
        ]

    def state(self) -> dict[str, str]:
        """Every file that a deployment may touch, and the server's process."""
        return {host: touched_files(self.lab, host) + server(self.lab, host) for host in self.lab.hosts}


def content(line: str) -> str:
    """An event without what only the log backend writes."""
    value = json.loads(line)
    return json.dumps({name: value[name] for name in sorted(value.keys() - {"kind", "apiVersion"})}, sort_keys=True)


@pytest.fixture(scope="module")
def site(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Masters as kubeadm made them, and a receiver that takes only their certificates."""
    folder = tmp_path_factory.mktemp("webhook")
    with Lab(hosts=2) as lab:
        inventory = folder / "hosts.yml"
        receiver = {"m2": {"audit_receiver_address": lab.hosts["m2"]}}
        inventory.write_text(yaml.safe_dump({"receivers": {"hosts": receiver}}))
        policy = folder / "policy.yaml"
        policy.write_text(SECRETS_ONLY)
        originals = {host: lab.read(host, MANIFEST) for host in lab.hosts}
        made = Site(lab, folder, policy, str(inventory), originals)
        succeed(made.run("receiver"))
        yield made


@pytest.fixture(scope="module")
def enabled(site: Site) -> Run:
    return succeed(site.enable())


def test_receiver_down_stops_the_play_before_anything_is_touched(site: Site) -> None:
    """Every master says which step failed, and at which address."""
    before = site.state()
    site.on("m2", f"systemctl stop {UNIT}")
    try:
        run = site.enable()
    finally:
        site.on("m2", f"systemctl start {UNIT}")

    assert 0 != run.code
    for host in site.lab.hosts:
        assert f"{host}: the receiver of https://kaudit-receiver:8443/reportAuditEvent/{host} at" in run.said
    assert f"step TCP: {site.lab.hosts['m2']} port 8443 can't be connected to (Connection refused)" in run.said
    site.unchanged(before)


def test_wrong_authority_is_found_by_every_master(site: Site, tmp_path: Path) -> None:
    """With typed variables; the certificate is right, the CA is another one."""
    before = site.state()
    own = f"{site.receivers}/api-servers/{{{{ inventory_hostname }}}}/webhook"
    run = site.enable(
        apiserver_audit_webhook_url="https://kaudit-receiver:8443/reportAuditEvent/<api-server>",
        apiserver_audit_webhook_address=[site.lab.hosts["m2"]],
        apiserver_audit_webhook_ca=str(Authority(tmp_path, "other").path),
        apiserver_audit_webhook_client_certificate=f"{own}.crt",
        apiserver_audit_webhook_client_key=f"{own}.key",
    )

    assert 0 != run.code
    assert "step TLS: " in run.said and "certificate" in run.said and "apiserver_audit_webhook_ca" in run.said
    site.unchanged(before)


def test_check_mode_asks_the_receiver_and_changes_nothing(site: Site) -> None:
    before = site.state()
    run = succeed(site.enable("--check"))

    assert "--audit-webhook-config-file=" in run.text
    site.unchanged(before)
    assert [set(), set()] == [site.held(host) for host in site.lab.hosts]


def test_events_reach_both_and_are_the_same(site: Site, enabled: Run) -> None:
    """Of both masters, under their own names, with their own certificates."""
    names = {host: ask(site.lab, host, "secret") for host in site.lab.hosts}
    for host, name in names.items():
        wait_until(lambda host=host, name=name: site.has(host, name), f"the event of {host}")  # type: ignore[misc]
        logged = site.logged(host)
        wait_until(lambda host=host, logged=logged: logged <= site.held(host), "all of them")  # type: ignore[misc]

        assert [] == sorted(site.held(host) - site.logged(host))
        assert (
            f"{host}: https://kaudit-receiver:8443/reportAuditEvent/{host} at {site.lab.hosts['m2']}, as {host} has"
            in (enabled.said)
        )


def test_manifest_pins_the_name_and_has_the_kubeconfigs_sum(site: Site, enabled: Run) -> None:
    """The file is for root only, and so is what is kept of it."""
    pod = yaml.safe_load(site.lab.read("m1", MANIFEST))
    digest = site.on("m1", f"sha256sum {KUBECONFIG}").split()[0]

    assert [{"ip": site.lab.hosts["m2"], "hostnames": ["kaudit-receiver"]}] == pod["spec"]["hostAliases"]
    assert digest == pod["metadata"]["annotations"]["kaudit.k8s/webhook-sha256"]
    assert f"--audit-webhook-config-file={KUBECONFIG}" in audit_flags(site.lab, "m1")
    assert {"600 root"} == set(site.on("m1", f"stat -c '%a %U' {KUBECONFIG} {STATE}/contents/*").splitlines())


def test_no_secret_is_shown(site: Site, enabled: Run) -> None:
    """With -vv and --diff: no line of a key, in PEM or as it stands in the kubeconfig."""
    files = [path for path in site.receivers.rglob("*.key")]
    keys = {line for path in files for line in path.read_text().splitlines() if "-----" not in line}
    user = yaml.safe_load(site.lab.read("m1", KUBECONFIG))["users"][0]["user"]
    keys.add(user["client-key-data"][40:80])
    text = "".join(site.output)

    assert len(keys) >= 6
    assert [] == [key for key in keys if key in text]
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files}


def test_a_second_run_changes_nothing(site: Site, enabled: Run) -> None:
    before = site.state()
    run = succeed(site.enable())

    assert {0} == {counts["changed"] for counts in run.recap.values()}
    site.unchanged(before)


def test_status_says_where_events_go_and_whether_they_can(site: Site, enabled: Run) -> None:
    """It asks from every master, and changes nothing."""
    before = site.state()
    well = succeed(site.run("status", apiserver_audit_backends=BOTH, **site.from_receiver))
    site.on("m2", f"systemctl stop {UNIT}")
    try:
        ill = site.run("status", apiserver_audit_backends=BOTH, **site.from_receiver)
    finally:
        site.on("m2", f"systemctl start {UNIT}")

    assert f"https://kaudit-receiver:8443/reportAuditEvent/m1 at {site.lab.hosts['m2']}, as m1" in well.text
    assert 0 != ill.code
    assert f"m2: the receiver does not take events: step TCP: {site.lab.hosts['m2']} port 8443" in ill.said
    site.unchanged(before)


def test_a_services_address_is_pinned_and_followed(site: Site, enabled: Run) -> None:
    """The clusterIP is read from the API server; another one is drift, and the next run's change."""
    own = f"{site.receivers}/api-servers/{{{{ inventory_hostname }}}}/webhook"
    given: dict[str, Any] = {
        "apiserver_audit_webhook_url": "https://kaudit-receiver:8443/reportAuditEvent/<api-server>",
        "apiserver_audit_webhook_service": "default/receiver",
        "apiserver_audit_webhook_ca": str(site.receivers / "receivers/ca.crt"),
        "apiserver_audit_webhook_client_certificate": f"{own}.crt",
        "apiserver_audit_webhook_client_key": f"{own}.key",
    }
    for address in ("10.96.0.77", "10.96.0.78"):
        # There is no kube-proxy here: the receiver's host has the Service's address itself.
        site.on("m2", f"ip address add {address}/32 dev lo")
        site.on("m1", f"ip route add {address}/32 via {site.lab.hosts['m2']}")
        site.lab.kubectl("m1", ["delete", "service", "receiver", "--ignore-not-found"])
        site.lab.kubectl("m1", ["create", "service", "clusterip", "receiver", "--tcp=8443", f"--clusterip={address}"])
        drifted = site.run("status", apiserver_audit_backends=BOTH, **QUICK, **given)
        run = succeed(site.enable(**given))

        assert 0 != drifted.code and f"and its address is {address}; run enable.yml" in drifted.said
        assert f"and is to be {address}" in run.said
        for host in site.lab.hosts:
            pod = yaml.safe_load(site.lab.read(host, MANIFEST))
            assert [{"hostnames": ["kaudit-receiver"], "ip": address}] == pod["spec"]["hostAliases"]


def test_webhook_alone(site: Site, enabled: Run) -> None:
    """The log's flags and mount go; what the receiver counts is the proof."""
    run = succeed(site.enable(backends=WEBHOOK))
    name = ask(site.lab, "m1", "secret")

    assert ["--audit-policy-file=/etc/kubernetes/audit/policy.yaml", f"--audit-webhook-config-file={KUBECONFIG}"] == [
        flag for flag in audit_flags(site.lab, "m1") if "file" in flag
    ]
    assert not [flag for flag in audit_flags(site.lab, "m1") if flag.startswith("--audit-log-")]
    assert re.search(r"m1: https://kaudit-receiver:8443/\S+ at \S+, as m1 has accepted [1-9]\d* events", run.said)
    wait_until(lambda: site.has("m1", name), "the event")


def test_going_back_asks_the_receiver_of_before(site: Site, enabled: Run) -> None:
    """By the kubeconfig that was kept; then both backends are there again."""
    run = succeed(site.run("rollback"))

    assert f"--audit-log-path={LOG}" in audit_flags(site.lab, "m1")
    assert re.search(r"m1: https://kaudit-receiver:8443/\S+ at \S+, as m1 has accepted [1-9]\d* events", run.said)


def test_disabling_takes_it_all_away(site: Site, enabled: Run) -> None:
    """The manifests' bytes of before, no kubeconfig, no key, no state."""
    succeed(site.run("disable", apiserver_audit_keep_logs=False))

    for host in site.lab.hosts:
        assert site.originals[host] == site.lab.read(host, MANIFEST)
        assert [False, False] == [exists(site.lab, host, path) for path in (str(Path(KUBECONFIG).parent), STATE)]
        assert [] == audit_flags(site.lab, host)
