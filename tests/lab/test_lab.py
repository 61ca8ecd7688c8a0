"""The lab itself: real masters, real kubeadm, real restarts, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.lab.lab import MANIFEST, CommandFailed, Lab
from tests.lab.masters import CONFIGURATION, Profile
from tests.lab.namespaces import cgroups_of

pytestmark = pytest.mark.lab
ROOT = Path(__file__).resolve().parents[2]
EDIT = ("    - --allow-privileged=true\n", "    - --allow-privileged=true\n    - --profiling=false\n")
KILLED = """
import sys, threading
from tests.lab.lab import Lab
lab = Lab(hosts=1)
lab.start()
threading.Thread(target=lab.ssh, args=("m1", ["sleep", "1000"])).start()
poller = lab.poller()
print(lab.tree.tag, lab.directory, flush=True)
sys.stdin.read()
"""


def server_argv(lab: Lab, host: str) -> list[str]:
    """The command line of a host's running API server."""
    script = r"tr '\0' '\n' <\"/proc/$(pgrep -x kube-apiserver)/cmdline\"".replace('\\"', '"')
    return lab.ssh(host, ["sh", "-ec", script]).stdout.split("\n")


def test_three_masters_are_ready(cluster: Lab) -> None:
    with cluster.poller() as poller:
        poller.wait_for({"m1", "m2", "m3"}, limit=10)

    assert 0 == poller.most_down()


@pytest.mark.parametrize("host", ["m1", "m2", "m3"])
def test_kubectl_reaches_its_own_server(cluster: Lab, host: str) -> None:
    # A kubelet makes its node some seconds after the API servers are ready.
    cluster.kubectl(host, ["wait", "--for=create", "--timeout=60s", "node/m1", "node/m2", "node/m3"])
    nodes = cluster.kubectl(host, ["get", "nodes", "-o", "name"]).stdout.split()

    assert ["node/m1", "node/m2", "node/m3"] == nodes


def test_kubeadm_stored_its_configuration(cluster: Lab) -> None:
    stored = yaml.safe_load(
        cluster.kubectl("m2", ["get", "configmap", "-n", "kube-system", "kubeadm-config", "-o", "yaml"]).stdout
    )

    assert "v1.35.4" == yaml.safe_load(stored["data"]["ClusterConfiguration"])["kubernetesVersion"]


def test_the_manifest_is_what_kubeadm_writes(reset: Lab) -> None:
    booted = reset.read("m1", MANIFEST)
    reset.ssh("m1", ["kubeadm", "init", "phase", "control-plane", "apiserver", "--config", f"/{CONFIGURATION}"])

    assert booted == reset.read("m1", MANIFEST)


def test_a_failing_command_says_what_it_printed(cluster: Lab) -> None:
    with pytest.raises(CommandFailed, match=r"exit code 3\nout\nerr"):
        cluster.ssh("m1", ["sh", "-c", "echo out; echo err >&2; exit 3"])


def test_ansible_reaches_every_master(cluster: Lab, tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    task = {"name": "Say who", "ansible.builtin.command": "hostname", "changed_when": False, "register": "said"}
    check = {"name": "Compare", "ansible.builtin.assert": {"that": "said.stdout == inventory_hostname"}}
    play = {"name": "Ask", "hosts": "masters", "gather_facts": False, "tasks": [task, check]}
    playbook.write_text(yaml.safe_dump([play]))

    report = cluster.ansible(playbook).stdout

    assert 3 == report.count("ok=2"), report


def test_an_edited_manifest_restarts_one_server_and_reset_takes_it_back(cluster: Lab) -> None:
    booted = cluster.read("m2", MANIFEST)
    with cluster.poller() as poller:
        poller.wait_for(set(cluster.hosts))
        cluster.write("m2", MANIFEST, booted.replace(*EDIT))
        poller.wait_for({"m1", "m3"}, limit=30)
        poller.wait_for(set(cluster.hosts), limit=60)
    [outage] = poller.outages()

    assert "m2" == outage.host
    assert outage.end is not None
    assert {"m1", "m3"} == poller.answering(outage.start)
    assert 1 == poller.most_down()
    assert "--profiling=false" in server_argv(cluster, "m2")

    cluster.ssh("m2", ["mkdir", "-p", "/var/lib/kaudit", "/var/log/kubernetes/audit", "/etc/kubernetes/audit"])

    assert {"m1": "kept", "m2": "restarted", "m3": "kept"} == cluster.reset()
    assert booted == cluster.read("m2", MANIFEST)
    assert "--profiling=false" not in server_argv(cluster, "m2")
    left = cluster.ssh("m2", ["ls", "/var/lib/kaudit", "/var/log/kubernetes", "/etc/kubernetes/audit"], check=False)
    assert "" == left.stdout


def test_reset_ends_a_crash_loop_and_what_a_deployment_left(cluster: Lab) -> None:
    booted = cluster.read("m1", MANIFEST)
    with cluster.poller() as poller:
        poller.wait_for(set(cluster.hosts))
        cluster.write("m1", MANIFEST, booted.replace("--allow-privileged=true", "--no-such-flag=true"))
        poller.wait_for({"m2", "m3"}, limit=30)
        # The kubelet gives up on a server for longer and longer.
        script = "until grep -qs 'unknown flag' /var/log/pods/*apiserver*/*/*.log; do sleep 0.2; done"
        cluster.ssh("m1", ["timeout", "60", "sh", "-c", script])
    cluster.ssh("m1", ["systemd-run", "--unit=kaudit-restore", "--on-active=1h", "true"])
    cluster.ssh("m1", ["sh", "-c", "echo 10.0.0.1 receiver >>/etc/hosts"])

    assert {"m1": "restarted", "m2": "kept", "m3": "kept"} == cluster.reset()
    assert "--no-such-flag=true" not in server_argv(cluster, "m1")
    assert "" == cluster.ssh("m1", ["systemctl", "list-units", "--all", "--plain", "--no-legend", "kaudit-*"]).stdout
    assert "receiver" not in cluster.read("m1", "/etc/hosts")


def test_a_cut_cable_shows_as_an_outage(cluster: Lab) -> None:
    with cluster.poller() as poller:
        cluster.cut("m3")
        poller.wait_for({"m1", "m2"}, limit=10)
        cluster.mend("m3")
        poller.wait_for(set(cluster.hosts), limit=10)

    assert ["m3"] == [outage.host for outage in poller.outages()]


def test_resetting_every_master_is_faster_than_booting(cluster: Lab) -> None:
    start = time.monotonic()
    with Lab(hosts=3):
        boot = time.monotonic() - start
    for host in cluster.hosts:
        cluster.write(host, "/etc/kubernetes/stray", "x")
    start = time.monotonic()

    assert {"restarted"} == set(cluster.reset().values())
    assert time.monotonic() - start < boot


def test_a_production_lab_runs_beside(cluster: Lab) -> None:
    with Lab(hosts=1, profile=Profile(fast=False, connected=False)) as lab:
        settings = yaml.safe_load(lab.read("m1", "/var/lib/kubelet/config.yaml"))

        assert "fileCheckFrequency" not in settings
        assert not [flag for flag in server_argv(lab, "m1") if "retry-after" in flag]
        assert "" == lab.kubectl("m1", ["get", "nodes,pods", "-A", "-o", "name"]).stdout
    assert "m1" == cluster.ssh("m1", ["hostname"]).stdout.strip()


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= family(int(child))
    return found


def namespaces_of(pids: set[int]) -> set[str]:
    """The namespaces that processes are in."""
    found = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/ns").glob("*"):
            with suppress(OSError):  # it has just ended
                found.add(os.readlink(link))
    return found


def alive(started: dict[int, str]) -> set[int]:
    """Those of the processes that are still there; a process id may have been given to another one."""
    return {pid for pid, start in started.items() if start_of(pid) == start}


def start_of(pid: int) -> str:
    """When a process began, in the kernel's count; empty for none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def everyone() -> set[int]:
    """All processes of the machine."""
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}


def test_a_killed_run_leaves_nothing_behind(lab_machine: None) -> None:
    mounts = set(Path("/proc/self/mountinfo").read_text().splitlines())
    ours = namespaces_of({os.getpid()})
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdin and run.stdout
    tag, directory = run.stdout.readline().split()
    deadline = time.monotonic() + 60
    while len(family(run.pid)) <= 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    processes = {pid: start_of(pid) for pid in family(run.pid)}
    theirs = namespaces_of(set(processes)) - ours
    assert len(processes) > 20
    assert cgroups_of(tag)

    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (cgroups_of(tag) or Path(directory).exists() or alive(processes)):
        time.sleep(0.1)

    assert set() == alive(processes)
    assert set() == theirs & namespaces_of(everyone())
    assert [] == cgroups_of(tag)
    assert set() == set(Path("/proc/self/mountinfo").read_text().splitlines()) - mounts
    assert not Path(directory).exists()
    run.stdin.close()
    run.stdout.close()


def test_up_and_down_from_the_shell(lab_machine: None, tmp_path: Path) -> None:
    def command(name: str) -> str:
        arguments = [sys.executable, "-m", "tests.lab", name, "--hosts", "1", "--directory", str(tmp_path / "lab")]
        return subprocess.run(arguments, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout

    said = command("up")
    ssh = shutil.which("ssh")
    assert ssh
    asked = [ssh, "-F", str(tmp_path / "lab" / "ssh_config"), "m1", "hostname"]
    hostname = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout
    again = command("up")
    command("down")

    assert 3 == said.count("\n")
    assert said == again
    assert "m1\n" == hostname
    assert not (tmp_path / "lab").exists()
    assert 0 != subprocess.run(asked, check=False, capture_output=True).returncode
