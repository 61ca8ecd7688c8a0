"""The role's tasks that ask a receiver, in real plays on this machine against a real receiver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.provisioning.webhook import from_variables
from tests.receiver.certificates import Authority
from tests.receiver.running import Running, client_tls

ROOT = Path(__file__).resolve().parents[2]
ROLE = "ansible.builtin.import_role: {name: kaudit.k8s.apiserver_audit, tasks_from: %s}"
PLAY = f"""
- hosts: masters
  gather_facts: false
  tasks:
    - {ROLE % "webhook"}
    - {ROLE % "probe_receiver"}
"""
COUNT = f"""
- hosts: masters
  gather_facts: false
  vars: {{__probe: "{{{{ __apiserver_audit_webhook.probe }}}}"}}
  tasks:
    - {ROLE % "webhook"}
    - {ROLE % "ask_receiver"}
      vars: {{__more_than: 0}}
    - ansible.builtin.debug: {{msg: "ACCEPTED {{{{ __apiserver_audit_receiver.accepted }}}}"}}
"""
BACK = f"""
- hosts: masters
  gather_facts: false
  tasks:
    - {ROLE % "webhook_back"}
"""
EVENT = b'{"level":"Metadata","stage":"Panic","requestURI":"/"}'
EVENTS = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%s]}' % EVENT


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def client(authority: Authority) -> tuple[Path, Path]:
    """Master m1's certificate and key."""
    return authority.issue("m1")


@pytest.fixture
def running(authority: Authority, client: tuple[Path, Path], tmp_path: Path) -> Iterator[Running]:
    """A receiver with mutual TLS."""
    certificate, key = authority.issue("receiver")
    options = ["--certificate", str(certificate), "--key", str(key), "--client-ca", str(authority.path)]
    tls = client_tls(authority.path, client)
    with Running(tmp_path / "spool", *options, "--identity", "certificate", tls=tls) as receiver:
        yield receiver


def play(folder: Path, text: str, *more: str, **variables: Any) -> tuple[int, str]:
    """Run it for master m1; exit code and what was printed, in one line."""
    (folder / "play.yml").write_text(text)
    (folder / "hosts.yml").write_text("masters: {hosts: {m1: {ansible_connection: local}}}\n")
    given = {"ansible_python_interpreter": sys.executable, **variables}
    command = ["-m", "ansible", "playbook", "-i", str(folder / "hosts.yml"), "-e", json.dumps(given), "-vv", *more]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [sys.executable, *command, str(folder / "play.yml")], env=environment, capture_output=True, text=True
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def variables(port: int, authority: Authority, client: tuple[Path, Path]) -> dict[str, Any]:
    """What an inventory would say."""
    given = {
        "url": f"https://127.0.0.1:{port}/reportAuditEvent/<api-server>",
        "ca": authority.path.read_text(),
        "client_certificate": str(client[0]),
        "client_key": client[1].read_text(),
    }
    backends = {"apiserver_audit_backends": ["webhook"]}
    return {**backends, **{f"apiserver_audit_webhook_{name}": value for name, value in given.items()}}


@pytest.mark.parametrize("more", [[], ["--check"]], ids=["run", "check-mode"])
def test_a_receiver_that_takes_events(
    running: Running, authority: Authority, client: tuple[Path, Path], tmp_path: Path, more: list[str]
) -> None:
    """Nothing is changed, and no key is shown."""
    code, text = play(tmp_path, PLAY, *more, **variables(running.port, authority, client))

    assert 0 == code, text
    assert "changed=0" in text and "WARNING" not in text
    assert client[1].read_text().splitlines()[1] not in text
    assert 0 == running.metric("accepted_total")


def test_a_receiver_that_is_down(authority: Authority, client: tuple[Path, Path], tmp_path: Path) -> None:
    """The play says which step failed, although the task that knows is hidden."""
    code, text = play(tmp_path, PLAY, **variables(1, authority, client))

    assert 0 != code
    assert "m1: the receiver of https://127.0.0.1:1/reportAuditEvent/m1, as m1 does not take events: step TCP: " in text
    assert "set apiserver_audit_webhook_probe: false to go on all the same" in text


def test_a_variable_that_cannot_be_used(authority: Authority, client: tuple[Path, Path], tmp_path: Path) -> None:
    given = {**variables(1, authority, client), "apiserver_audit_webhook_token": "x"}
    code, text = play(tmp_path, PLAY, **given)

    assert 0 != code
    assert "apiserver_audit_webhook_token: set together with a client certificate; leave one of them" in text


def test_what_is_dangerous_is_said(
    running: Running, authority: Authority, client: tuple[Path, Path], tmp_path: Path
) -> None:
    insecure = {"apiserver_audit_webhook_ca": "", "apiserver_audit_webhook_insecure_skip_tls_verify": True}
    code, text = play(tmp_path, PLAY, **{**variables(running.port, authority, client), **insecure})

    assert 0 == code, text
    assert "apiserver_audit_webhook_insecure_skip_tls_verify: whoever answers at https://127.0.0.1" in text


def test_waiting_for_events(running: Running, authority: Authority, client: tuple[Path, Path], tmp_path: Path) -> None:
    """Until the receiver has accepted more than it had."""
    assert 200 == running.post(EVENTS, "m1")[0]
    code, text = play(tmp_path, COUNT, **variables(running.port, authority, client))

    assert 0 == code, text
    assert "ACCEPTED 1" in text


@pytest.mark.parametrize("there", [True, False], ids=["answers", "gone"])
def test_going_back_asks_the_receiver_of_then(
    running: Running, authority: Authority, client: tuple[Path, Path], tmp_path: Path, there: bool
) -> None:
    """By the kubeconfig that the deployment kept on the host."""
    given = variables(running.port if there else 1, authority, client)
    values = {name.removeprefix("apiserver_audit_webhook_"): value for name, value in given.items()}
    values["client_certificate"] = client[0].read_text()
    (tmp_path / "contents").mkdir()
    (tmp_path / "contents/0123").write_text(from_variables(values, "m1", datetime.now(UTC)).kubeconfig)
    change = {"secret": True, "keep": "contents/0123"}
    plan = {"files": [{"secret": False, "keep": ""}, change], "pending": {"intent": {"host_aliases": {}}}}
    decided = {"__apiserver_audit_decided": {"decision": plan}, "apiserver_audit_state_directory": str(tmp_path)}
    code, text = play(tmp_path, BACK, **decided)

    assert there == (code == 0), text
    assert there != ("does not take events: step TCP: " in text)
    assert client[1].read_text().splitlines()[1] not in text
