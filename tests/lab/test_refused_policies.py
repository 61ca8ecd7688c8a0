"""A policy that an API server would refuse, or read otherwise than it is written, never reaches a host.

The inventory's host can't be reached, so a connection would show. No lab is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.deploying import ENVIRONMENT, PLAYBOOK, arguments

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
UNREACHABLE = "[masters]\nm1 ansible_host=192.0.2.1 ansible_ssh_common_args='-o ProxyCommand=false'\n"
CONNECTED = "Failed to connect to the host via ssh"
REFUSED = {
    "no-rules.yaml": (f"{HEAD}rules: []\n", ":3:8: "),
    "unknown-field.yaml": (f"{HEAD}rules:\n  - level: Metadata\n    verb: [get]\n", ":5:5: "),
    "unknown-level.yaml": (f"{HEAD}rules:\n  - level: Everything\n", ":4:12: "),
    "torn.yaml": (f"{HEAD}rules: [\n", ":4:1: "),
    "missing.yaml": (None, ": can't be read: no such file; check audit_policy_file"),
}


def enable(directory: Path, policy: Path) -> subprocess.CompletedProcess[str]:
    """Run the play on a host that nobody can reach."""
    inventory = directory / "hosts"
    inventory.write_text(UNREACHABLE)
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(inventory), PLAYBOOK, *arguments(policy, {})]
    return subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_before_any_connection(tmp_path: Path, name: str) -> None:
    text, place = REFUSED[name]
    policy = tmp_path / name
    if text is not None:
        policy.write_text(text)

    done = enable(tmp_path, policy)
    said = " ".join((done.stdout + done.stderr).split())

    assert 2 == done.returncode, said
    assert f"{policy}{place}" in said
    assert CONNECTED not in said


def test_a_directory_is_refused(tmp_path: Path) -> None:
    done = enable(tmp_path, tmp_path)

    assert 2 == done.returncode
    assert f"{tmp_path}: can't be read" in done.stdout + done.stderr


def test_a_good_policy_is_the_one_that_gets_as_far_as_the_host(tmp_path: Path) -> None:
    """Or the tests above would show nothing."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"{HEAD}rules:\n  - level: Metadata\n")

    done = enable(tmp_path, policy)

    assert 2 == done.returncode
    assert CONNECTED in done.stdout + done.stderr
