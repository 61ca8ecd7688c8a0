"""The controller's half of the role audit_receiver in real plays: what it writes, and how it refuses."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.receiver.certificates import Authority

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: kaudit.k8s.audit_receiver, tasks_from: TASKS}
"""
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "audit_receiver_address": "::1"}


def play(folder: Path, *options: str, tasks: str = "prepare", **variables: Any) -> tuple[int, str]:
    """Run some of the role's tasks on this machine; exit code and all output."""
    (folder / "play.yml").write_text(PLAY.replace("TASKS", tasks))
    given = {
        **HERE,
        "audit_receiver_directory": str(folder / "made"),
        "audit_receiver_api_servers": ["m1"],
        **variables,
    }
    command = [
        "-m",
        "ansible",
        "playbook",
        "-i",
        "localhost,",
        "-e",
        json.dumps(given),
        str(folder / "play.yml"),
        *options,
    ]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PIP_RETRIES": "0",
    }
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def refusal(text: str) -> str:
    """Why a play failed."""
    (found,) = re.findall(r"FAILED! => (\{.*\})$", text, re.MULTILINE)
    return str(json.loads(found)["msg"]).removeprefix("Task failed: ")


def written(folder: Path) -> dict[str, bytes]:
    """The files in the controller's directory."""
    made = folder / "made"
    return {str(path.relative_to(made)): path.read_bytes() for path in sorted(made.rglob("*")) if path.is_file()}


def test_certificates_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    """Check mode says so and writes nothing; a second run changes nothing."""
    code, text = play(tmp_path, "--check", "--diff")
    assert (0, {}, 1) == (code, written(tmp_path), text.count("authority: made\n")), text
    assert "changed=1" in play(tmp_path)[1]
    files = written(tmp_path)
    assert "changed=0" in play(tmp_path)[1]

    paths = list((tmp_path / "made").rglob("*"))
    assert files == written(tmp_path) and b"PRIVATE KEY" in files["authority/ca.key"]
    assert {0o600, 0o700} == {stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_given_certificates_are_taken_and_none_is_made(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "own")
    certificate, key = authority.issue("kaudit-receiver")
    given = {"certificate": certificate, "key": key, "ca": authority.path, "client_ca": authority.path}
    code, text = play(tmp_path, **{f"audit_receiver_{name}": str(path) for name, path in given.items()})

    assert 0 == code, text
    assert key.read_bytes() + certificate.read_bytes() == written(tmp_path)["receivers/localhost.pem"]
    assert [] == [name for name in written(tmp_path) if "authority" in name or name.endswith(".key")]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"audit_receiver_key": "none.key"}, "audit_receiver_key: none.key can't be read on the controller; "),
        ({"audit_receiver_spool": "/var"}, "audit_receiver_spool: /var holds other things too; give it one of its own"),
        ({"audit_receiver_address": "logs"}, "audit_receiver_address: 'logs' is no IP address; write one like"),
        ({"audit_receiver_state": "absent", "audit_receiver_spool": "/etc"}, "audit_receiver_spool: /etc holds other"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_in_one_line(tmp_path: Path, variables: dict[str, Any], said: str) -> None:
    code, text = play(tmp_path, **variables)

    assert (2, {}) == (code, written(tmp_path) if (tmp_path / "made").exists() else {})
    assert refusal(text).startswith(said)


def test_manifests_fit_together(tmp_path: Path) -> None:
    """Every selector finds every pod, nothing but one port is open, pods may do nothing else, keys are a Secret."""
    placed = {"placement": "cluster", "image": "registry.example/k:1", "cluster_ip": "10.96.0.9", "apply": False}
    more = {"allow_from": ["10.0.0.1", "2001:db8::/64"], "options": ["--keep-time", "30d"], "replicas": 3}
    code, text = play(
        tmp_path, tasks="main", **{f"audit_receiver_{name}": value for name, value in (placed | more).items()}
    )
    assert 0 == code, text
    files = written(tmp_path)
    shared, secret, receivers = (
        files[f"manifests/{name}"] for name in ("1-manifests.yaml", "2-secret.yaml", "3-receivers.yaml")
    )
    objects = [one for one in yaml.safe_load_all(b"\n---\n".join([shared, secret, receivers])) if one]
    kinds = {kind: [one for one in objects if one["kind"] == kind] for kind in {one["kind"] for one in objects}}
    pods = [one["spec"]["template"] for one in kinds["Deployment"]]
    policy = kinds["NetworkPolicy"][0]["spec"]

    assert [3, 3, 1, 1, 1] == [
        len(kinds[kind])
        for kind in ("Deployment", "PersistentVolumeClaim", "Service", "PodDisruptionBudget", "NetworkPolicy")
    ]
    selectors = [kinds["Service"][0]["spec"]["selector"], policy["podSelector"]["matchLabels"]]
    selectors.append(kinds["PodDisruptionBudget"][0]["spec"]["selector"]["matchLabels"])
    assert all(selector.items() <= pod["metadata"]["labels"].items() for selector in selectors for pod in pods)
    for one, pod in zip(kinds["Deployment"], pods, strict=True):
        assert one["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert 3 == len({pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] for pod in pods})
    assert [{"protocol": "TCP", "port": 8443}] == policy["ingress"][0]["ports"] and [] == policy["egress"]
    assert ["10.0.0.1/32", "2001:db8::/64"] == [one["ipBlock"]["cidr"] for one in policy["ingress"][0]["from"]]
    assert {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}} == (
        pods[0]["spec"]["containers"][0]["securityContext"]
    )
    assert ["--keep-time", "30d"] == pods[0]["spec"]["containers"][0]["args"][-2:]
    held = base64.b64decode(kinds["Secret"][0]["data"]["receiver.pem"])
    assert files["receivers/cluster.pem"] == held
    assert b"PRIVATE KEY" not in shared + receivers and "PRIVATE" not in text


def test_an_index_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    """And nothing half-downloaded is left."""
    index = {"audit_receiver_index_url": "http://127.0.0.1:9/", "audit_receiver_package": "kaudit-none==1"}
    code, text = play(tmp_path, "--check", tasks="package", **index, audit_receiver_python=sys.executable)

    assert 2 == code
    assert refusal(text).startswith("kaudit-none==1: its wheels can't be downloaded on the controller: "), text
    assert [] == [path for path in (tmp_path / "made").rglob("*") if path.is_file()]


def test_a_wheelhouse_without_wheels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    given = {"audit_receiver_wheelhouse": str(tmp_path / "house"), "audit_receiver_python": sys.executable}
    code, text = play(tmp_path, "--check", tasks="package", **given)

    assert 2 == code
    assert refusal(text) == f"{tmp_path}/house: holds no wheels; check audit_receiver_wheelhouse"
