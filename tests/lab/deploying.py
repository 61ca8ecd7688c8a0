"""Turning auditing on as a user does it, and what is then asked of masters."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kaudit_core.provisioning.record import DEPLOYMENT_ANNOTATION
from tests.lab.lab import MANIFEST, Lab
from tests.lab.namespaces import DIE_WITH_ME
from tests.lab.poller import Outage

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = "kaudit.k8s.enable"
# As in a clone, whatever the working directory is.
ENVIRONMENT = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
# Some clusters of the lab have one master.
QUICK = {
    "apiserver_audit_settle_seconds": 3,
    "apiserver_audit_ready_timeout": 60,
    "apiserver_audit_allow_outage": True,
}
POLICY = "/etc/kubernetes/audit/policy.yaml"
STATE = "/var/lib/kaudit"
LOGS = "/var/log/kubernetes/audit"
LOG = f"{LOGS}/audit.log"
# As the role makes it, so that it is the API server that finds out.
MAKE_LOGS_READ_ONLY = f"mkdir -p {LOGS}; chmod 0700 {LOGS}; mount --bind {LOGS} {LOGS}; mount -o remount,bind,ro {LOGS}"

# Both log what the other one does not: who reads ConfigMaps, and who reads Secrets.
SECRETS_ONLY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    resources: [{group: "", resources: [configmaps]}]
  - level: Metadata
"""
CONFIGMAPS_ONLY = SECRETS_ONLY.replace("configmaps", "secrets")

_RECAP = re.compile(r"^(\S+) +: (ok=.*)$", re.MULTILINE)
_TOUCHED = (
    f"/etc/kubernetes /etc/rancher /etc/k3s /etc/hosts {STATE} /var/log/kubernetes"
    " /etc/systemd/system /run/systemd/transient"
)
_STATE = rf"""
find {_TOUCHED} ! -path '{LOGS}/*' -printf '%p %y %m %U %G %T@\n' 2>/dev/null | sort
find {_TOUCHED} ! -path '{LOGS}/*' -type f -exec sha256sum {{}} + 2>/dev/null | sort
"""


@dataclass(frozen=True)
class Run:
    """A play that has ended, and what was seen from outside meanwhile."""

    code: int
    text: str
    outages: list[Outage]
    most_down: int

    @property
    def restarts(self) -> list[str]:
        """The hosts whose API servers were out, in this order, once for every outage."""
        return [outage.host for outage in self.outages]

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Ansible's counts by host."""
        counts = {host: dict(pair.split("=") for pair in line.split()) for host, line in _RECAP.findall(self.text)}
        return {host: {name: int(count) for name, count in each.items()} for host, each in counts.items()}

    @property
    def said(self) -> str:
        """The text on one line, without the breaks that a terminal's width asks for."""
        return " ".join(self.text.split())


def arguments(policy: Path | None, variables: Mapping[str, Any]) -> list[str]:
    """The play's variables."""
    given = {**QUICK, **({"audit_policy_file": str(policy)} if policy else {}), **variables}
    return ["-e", json.dumps(given)]


def enable(lab: Lab, policy: Path, *more: str, answering: Collection[str] | None = None, **variables: Any) -> Run:
    """Turn auditing on, and watch all API servers."""
    return play(lab, PLAYBOOK, *arguments(policy, variables), *more, answering=answering)


def go_back(lab: Lab, **variables: Any) -> Run:
    """Put an earlier deployment back, and watch all API servers."""
    return play(lab, "kaudit.k8s.rollback", *arguments(None, variables))


def play(lab: Lab, playbook: str, *more: str, answering: Collection[str] | None = None) -> Run:
    """Run a play, and watch all API servers; `answering` (all) are those that answer before it starts."""
    with lab.poller() as poller:
        poller.wait_for(set(lab.hosts if answering is None else answering))
        done = lab.ansible(playbook, *more, check=False, env=ENVIRONMENT)
        outages = [outage for outage in poller.outages() if outage.host in poller_hosts(lab, answering)]
    return Run(done.returncode, done.stdout + done.stderr, outages, poller.most_down())


def poller_hosts(lab: Lab, answering: Collection[str] | None) -> Collection[str]:
    """The hosts whose outages are news."""
    return lab.hosts if answering is None else answering


def succeed(run: Run) -> Run:
    """The run, unless it failed."""
    assert 0 == run.code, run.text
    return run


class Interrupted:
    """A play under way, in a process group of its own, to be interrupted when its manifest is on a host."""

    def __init__(self, lab: Lab, policy: Path, *more: str, **variables: Any) -> None:
        command = lab.ansible_command(PLAYBOOK, *arguments(policy, variables), *more)
        self.output = lab.directory / "interrupted.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*DIE_WITH_ME, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )

    def kill(self) -> None:
        """End the whole process group, as a crash of the controller would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, limit: float) -> int:
        """Wait until it has ended by itself; return its exit code."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"after {limit:.0f} s the play still ran:\n{self.text}") from None

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text(errors="replace")


def wait_for_change(lab: Lab, host: str, before: str, limit: float = 180) -> None:
    """Wait on the host itself, so that nothing is missed, until its manifest is another one."""
    script = f'until [ "$(sha256sum <{MANIFEST})" != "$(sha256sum <"$1")" ]; do sleep 0.05; done'
    lab.ssh(host, ["sh", "-c", "cat >/opt/before"], input=before)
    lab.ssh(host, ["timeout", str(limit), "sh", "-c", script, "sh", "/opt/before"])


def wait_until(condition: Callable[[], bool], what: str, limit: float = 60) -> None:
    """Wait for what only a question can tell."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"after {limit} s: {what}"
        time.sleep(0.2)


def touched_files(lab: Lab, host: str) -> str:
    """Every file that a deployment may touch, with mode, owner, time of its last change, and sum; no log: it grows."""
    return lab.ssh(host, ["sh", "-c", _STATE], check=False).stdout


def server(lab: Lab, host: str) -> str:
    """The process of a host's API server, with its start; another one after a restart."""
    return lab.ssh(host, ["ps", "-C", "kube-apiserver", "-o", "pid=,lstart="], check=False).stdout.strip()


def audit_flags(lab: Lab, host: str) -> list[str]:
    """The audit flags of the process that runs."""
    script = "tr '\\0' '\\n' </proc/$(pgrep -x kube-apiserver)/cmdline"
    return [word for word in lab.ssh(host, ["sh", "-c", script]).stdout.split("\n") if word.startswith("--audit-")]


def records(lab: Lab, host: str) -> list[dict[str, Any]]:
    """The deployment record of a host."""
    entries: list[dict[str, Any]] = json.loads(lab.read(host, f"{STATE}/deployments.json"))
    return entries


def exists(lab: Lab, host: str, path: str) -> bool:
    """Whether something is there."""
    return 0 == lab.ssh(host, ["test", "-e", path], check=False).returncode


def timers(lab: Lab, host: str) -> str:
    """The units of ours that systemd knows; none after every play that has ended."""
    return lab.ssh(host, ["systemctl", "list-units", "--all", "--plain", "--no-legend", "kaudit-*"]).stdout


def ask(lab: Lab, host: str, resource: str) -> str:
    """Read an object that isn't there; return its name, which its event has in the URI."""
    name = f"asked-{time.monotonic_ns()}"
    lab.kubectl(host, ["get", resource, name], check=False)
    return name


def events_about(lab: Lab, host: str, name: str) -> list[str]:
    """The levels of the logged events about an object."""
    text = lab.ssh(host, ["grep", "-F", name, LOG], check=False).stdout
    return [json.loads(line)["level"] for line in text.splitlines()]


def mounted(manifest: str) -> dict[str, tuple[str, str, bool]]:
    """A manifest's host directories: container path, host path, whether it is read-only."""
    spec = yaml.safe_load(manifest)["spec"]
    sources = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"]}
    mounts = spec["containers"][0]["volumeMounts"]
    return {m["name"]: (m["mountPath"], sources[m["name"]], m.get("readOnly", False)) for m in mounts}


def write_inventory(path: Path, hosts: Mapping[str, Mapping[str, Any]]) -> str:
    """More variables for the lab's hosts, as a second inventory; return its name."""
    path.write_text(yaml.safe_dump({"masters": {"hosts": {host: dict(each) for host, each in hosts.items()}}}))
    return str(path)


def without_deployment(text: str) -> str:
    """A manifest or its diff without the deployment's name, which is a time."""
    return re.sub(rf"({re.escape(DEPLOYMENT_ANNOTATION)}: ).*", r"\1-", text)
