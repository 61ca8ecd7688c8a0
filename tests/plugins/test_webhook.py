"""The controller's half of the webhook in real plays: what is put together, and that nothing secret is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaudit_core.provisioning.certificates import Term, Wanted, keep_authority, keep_leaf

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime.now(UTC)
AUTHORITY, _ = keep_authority(None, "authority", Term(NOW, 3650, 30), 365)
CLIENT, _ = keep_leaf(None, AUTHORITY, Wanted("m1", server=False), Term(NOW, 365, 30))
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - kaudit.k8s.webhook: {variables: "{{ given }}", api_server: m1}
      no_log: true
      register: made
    - ansible.builtin.debug: {msg: "PROBLEM {{ made.problem }}"}
    - ansible.builtin.copy: {content: "{{ made.kubeconfig }}", dest: "{{ folder }}/made", mode: "0600"}
      no_log: true
      when: not made.problem
"""


def play(folder: Path, **given: Any) -> tuple[str, Path]:
    """Put a kubeconfig together in a play, with the most that Ansible prints; its output and the file."""
    (folder / "play.yml").write_text(PLAY)
    variables = json.dumps({"given": given, "folder": str(folder), "ansible_python_interpreter": sys.executable})
    command = ["-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "-e", variables, "-vvv", "--diff"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_DISPLAY_ARGS_TO_STDOUT"] = "1"
    done = subprocess.run(
        [sys.executable, *command, str(folder / "play.yml")], env=environment, capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr, folder / "made"


def test_texts_and_files_are_the_same(tmp_path: Path) -> None:
    """A certificate in a variable, or in a file beside the inventory; no secret is printed."""
    (tmp_path / "client.key").write_text(CLIENT.key)
    (tmp_path / "ca.crt").write_text(AUTHORITY.certificate)
    text, made = play(
        tmp_path,
        url="https://receiver:8443/reportAuditEvent/<api-server>",
        ca=str(tmp_path / "ca.crt"),
        client_certificate=CLIENT.certificate,
        client_key=str(tmp_path / "client.key"),
    )
    config = yaml.safe_load(made.read_text())

    assert "https://receiver:8443/reportAuditEvent/m1" == config["clusters"][0]["cluster"]["server"]
    assert CLIENT.key.splitlines()[1] not in text
    assert config["users"][0]["user"]["client-key-data"][40:80] not in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"url": "http://x/y"}, "apiserver_audit_webhook_url: http://x/y would carry events", id="value"),
        pytest.param(
            {"url": "https://x", "ca": "/nowhere/ca.crt"},
            "apiserver_audit_webhook_ca: /nowhere/ca.crt can't be read on the controller; check the path",
            id="file",
        ),
        pytest.param(
            {"receiver_directory": "/nowhere"}, "_receiver_directory: /nowhere has no receivers", id="receiver"
        ),
    ],
)
def test_what_is_wrong_can_be_read(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    """Although the task's own output is hidden."""
    text, made = play(tmp_path, **given)

    assert "PROBLEM apiserver_audit_webhook" in text and message in text
    assert not made.exists()
