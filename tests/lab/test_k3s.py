"""A k3s host, by a stand-in: the edits reach the real API server, and a policy that it refuses is an endless loop."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping

import pytest

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.k3s.distribution import K3S
from kaudit_core.provisioning.k3s.edit import Edits, apply, remove
from kaudit_core.provisioning.k3s.restart import Seen, ServiceWatch, last_words, running_flags
from kaudit_core.provisioning.k3s.server import ServerFiles
from kaudit_core.provisioning.k3s.service import PROPERTIES, Service, parse_service
from kaudit_core.provisioning.k3s.unit import UnitFile
from kaudit_core.provisioning.restart import PROVEN, WAITING
from tests.lab.deploying import SECRETS_ONLY
from tests.lab.lab import Lab
from tests.lab.masters import Profile

pytestmark = pytest.mark.lab
UNIT = "/etc/systemd/system/k3s.service"
CONFIG = "/etc/rancher/k3s/config.yaml"
POLICY = "/etc/rancher/k3s/audit/policy.yaml"
LOG = "/var/log/kubernetes/audit/audit.log"
INTENT_FLAGS = {"audit-policy-file": POLICY, "audit-log-path": LOG, "audit-log-maxsize": "100"}
INTENT = AuditIntent(INTENT_FLAGS)


@pytest.fixture(scope="module")
def lab(lab_machine: None) -> Iterator[Lab]:
    """One host of k3s."""
    with Lab(hosts=1, profile=Profile(distribution="k3s")) as booted:
        yield booted


def files_on(lab: Lab) -> ServerFiles:
    """What decides how the server is started."""
    found = lab.ssh("m1", ["find", f"{CONFIG}.d", "-type", "f"], check=False).stdout.split()
    unit = UnitFile(UNIT, lab.read("m1", UNIT))
    return ServerFiles(K3S, (unit,), {}, {path: lab.read("m1", path) for path in (CONFIG, *found)})


def carry_out(lab: Lab, edits: Edits) -> None:
    """Write the files, and restart the service without waiting for it."""
    for path, text in edits.items():
        if text is None:
            lab.ssh("m1", ["rm", path])
        else:
            lab.write("m1", path, text)
    lab.ssh("m1", ["systemctl", "daemon-reload"])
    lab.ssh("m1", ["systemctl", "restart", "--no-block", "k3s"])


def service(lab: Lab) -> Service:
    """What systemd says of it."""
    return parse_service(lab.ssh("m1", ["systemctl", "show", "k3s", *(f"-p{name}" for name in PROPERTIES)]).stdout)


def journal(lab: Lab, *more: str) -> str:
    """What the service said; more: which part of it."""
    return lab.ssh("m1", ["journalctl", "-u", "k3s", "-o", "cat", "--no-pager", *more]).stdout


def wait_for_restart(lab: Lab, before: int, flags: Mapping[str, str]) -> None:
    """Wait until another process than `before` is proven to serve with these audit flags."""
    watch = ServiceWatch(flags, frozenset({before}), service(lab).restarts, settle=2, limit=60, began=time.monotonic())
    verdict = WAITING
    while verdict == WAITING:
        now = service(lab)
        status = 200 if now.state == "active" else 0
        said = journal(lab, f"_PID={now.pid}") if now.pid else ""
        verdict = watch.observe(Seen(time.monotonic(), now.pid, now.restarts, said, status))
    assert PROVEN == verdict, watch.why
    lab.wait_until_ready()


def levels(lab: Lab) -> list[str]:
    """The levels of the events about a Secret that is asked for now."""
    name = f"asked-{time.monotonic_ns()}"
    lab.kubectl("m1", ["get", "secret", name], check=False)
    text = lab.ssh("m1", ["grep", "-F", name, LOG], check=False).stdout
    return [json.loads(line)["level"] for line in text.splitlines()]


def test_stand_in_serves_and_says_what_it_is(lab: Lab) -> None:
    """It is a service as k3s is one, found by its name."""
    found = service(lab)

    assert ("active", (UNIT,)) == (found.state, found.unit_files)
    assert "stand-in for k3s, not k3s" in journal(lab)
    assert {} == running_flags(journal(lab))


@pytest.mark.parametrize("way", ["drop-in", "exec-start"])
def test_edits_reach_the_server_and_go(lab: Lab, way: str) -> None:
    """Enabled, real events are logged; disabled, every byte is as before and nothing is logged."""
    lab.write("m1", POLICY, SECRETS_ONLY)
    if way == "exec-start":
        unit = lab.read("m1", UNIT).replace("    server \\\n", "    server \\\n\t'--kube-apiserver-arg=v=1' \\\n")
        lab.write("m1", UNIT, unit)
    before, pid = files_on(lab), service(lab).pid

    carry_out(lab, apply(before, INTENT))
    wait_for_restart(lab, pid, INTENT_FLAGS)
    assert ["Metadata"] == levels(lab)

    pid = service(lab).pid
    carry_out(lab, remove(files_on(lab), INTENT))
    wait_for_restart(lab, pid, {})
    assert before == files_on(lab)
    assert [] == levels(lab)


def test_refused_policy_is_an_endless_loop(lab: Lab) -> None:
    """systemd counts the restarts, the journal has the cause, and the drop-in's removal ends it (pitfall P25)."""
    lab.write("m1", POLICY, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n")
    pid = service(lab).pid
    carry_out(lab, apply(files_on(lab), INTENT))

    with pytest.raises(AssertionError, match="was started 3 times and ended each time"):
        wait_for_restart(lab, pid, INTENT_FLAGS)
    words = last_words(journal(lab, "-n", "2000"))
    assert any("illegal policy with 0 rules" in line for line in words)
    assert any("apiserver exited: 1" in line for line in words)

    pid = service(lab).pid
    carry_out(lab, remove(files_on(lab), INTENT))
    wait_for_restart(lab, pid, {})
