"""The main job on real hosts: three masters, auditing turned on one after the other, requests, and the verdict.

Run by `make demo`, as root on Debian. Every step prints the command that a user would type; a step that ends otherwise
than it should ends the demo with exit code 1.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.lab import Lab
from tests.lab.packages import obstacle
from tests.lab.poller import Outage, Poller

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "build" / "demo"
VARIABLES = {
    "audit_policy_file": str(ROOT / "demo" / "policy.yaml"),
    "apiserver_audit_report_directory": str(REPORT),
    "audit_verify_report_directory": str(REPORT),
    # The lab's kubelets look at their manifests every 2 s; in production it is 20 s, and the default 21 s.
    "apiserver_audit_settle_seconds": 3,
}
ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: demo-reader, namespace: default}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get]}
"""


class DemoFailed(Exception):
    """A step ended otherwise than it should."""


def main() -> int:
    """Run the steps; 0 when each ended as it should."""
    if reason := obstacle():
        print(f"demo: {reason}; `make demo-verify` shows the verifier without masters", file=sys.stderr)
        return 1
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True, mode=0o700)
    (REPORT / "variables.json").write_text(json.dumps(VARIABLES, indent=2) + "\n")
    say("1. Three masters boot: systemd, sshd, containerd, kubelet, kube-apiserver; one etcd")
    try:
        with Lab(hosts=3) as lab, lab.poller() as poller:
            poller.wait_for(set(lab.hosts))
            show(lab, poller)
    except DemoFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def show(lab: Lab, poller: Poller) -> None:
    """The steps on a running lab."""
    print(lab.kubectl("m1", ["get", "nodes"]).stdout)
    say("2. Auditing is turned on, one master at a time, each with proof of restart")
    start = time.monotonic()
    play(lab, "enable")
    seconds, outages = time.monotonic() - start, poller.outages()
    say("3. People and programs use the cluster")
    use(lab)
    say("4. The logs are fetched, and every record is judged by the policy of its time")
    play(lab, "verify")
    say("5. Is every master still what was deployed?")
    play(lab, "status")
    finish(lab, poller, outages, seconds)


def say(text: str) -> None:
    """Announce a step."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def play(lab: Lab, name: str) -> None:
    """Run a playbook as a user would, its output as it comes."""
    inventory = os.path.relpath(lab.access.inventory)
    shown = [
        "ansible-playbook",
        f"kaudit.k8s.{name}",
        "-i",
        inventory,
        "-e",
        f"@{os.path.relpath(REPORT)}/variables.json",
    ]
    print(f"$ {shlex.join(shown)}", flush=True)
    command = lab.ansible_command(f"kaudit.k8s.{name}", "-e", f"@{REPORT / 'variables.json'}")
    quiet = {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "0"}
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=os.environ | quiet, check=False)
    if done.returncode:
        raise DemoFailed(f"{name}.yml ended with exit code {done.returncode}")


def use(lab: Lab) -> None:
    """Requests of several people, all through different masters."""
    steps: list[tuple[str, list[str], str | None]] = [
        ("m1", ["create", "secret", "generic", "demo-password", "--from-literal=password=not-for-the-log"], None),
        ("m2", ["get", "secret", "demo-password", "-o", "name"], None),
        ("m3", ["create", "configmap", "demo-settings", "--from-literal=color=blue"], None),
        ("m1", ["apply", "-f", "-"], ROLE),
        ("m2", ["get", "pods", "-A", "--as=alice", "--as-group=developers"], None),
        ("m3", ["delete", "configmap", "demo-settings"], None),
        ("m1", ["delete", "secret", "demo-password"], None),
        ("m2", ["delete", "role", "demo-reader"], None),
    ]
    for host, argv, text in steps:
        done = lab.kubectl(host, argv, input=text, check=False)
        said = (done.stdout + done.stderr).strip().splitlines()
        print(f"  {host}$ kubectl {shlex.join(argv)}\n      {said[-1] if said else ''}")
        # Alice may not list pods: a refused request is one for the log too.
        if done.returncode and "--as=alice" not in argv:
            raise DemoFailed(f"kubectl {argv[0]} failed on {host}")


def finish(lab: Lab, poller: Poller, outages: Sequence[Outage], seconds: float) -> None:
    """What happened on every master, what was verified, and where everything is."""
    report: dict[str, Any] = json.loads((REPORT / "verify.json").read_bytes())
    total = report["total"]
    say("What happened")
    for host in lab.hosts:
        mine = [outage for outage in outages if outage.host == host]
        away = sum((outage.end or outage.start) - outage.start for outage in mine)
        [judged] = [each for each in report["masters"] if each["master"] == host]
        print(
            f"  {host}  restarted {len(mine)} time{'s' * (len(mine) != 1)}, {away:.0f} s without an answer;"
            f" {judged['events']:,} records logged by policy {judged['policy'][:12]},"
            f" {judged['outcomes'].get('agrees', 0):,} agree"
        )
    print(f"  API servers without an answer at once, at most: {poller.most_down()} of {len(lab.hosts)}")
    print(f"  enabling took {seconds:.0f} s; verified: {total['events']:,} records, all as their policy promises")
    shown = os.path.relpath(REPORT)
    print(f"\n  report  {shown}/verify.txt, {shown}/verify.json, {shown}/status.json")
    print(f"  logs    {shown}/m1/log/, {shown}/m2/log/, {shown}/m3/log/")
    secret = any("not-for-the-log" in path.read_text() for path in REPORT.glob("*/log/*"))
    print(f"  the secret's value is in a log: {'yes' if secret else 'no'}")
    agreed = total["outcomes"].get("agrees", 0) == total["events"] > 0
    if secret or not agreed or poller.most_down() > 1 or len(outages) != len(lab.hosts):
        raise DemoFailed("not what the demo promises")
    print("\n  The masters are gone again. `make lab-up` boots some to look around in.")


if __name__ == "__main__":
    sys.exit(main())
