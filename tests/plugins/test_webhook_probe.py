"""The probe of a webhook receiver: which step fails, in words, against real receivers and broken ones."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.receiver.event_list import read_batch
from tests.receiver.certificates import Authority
from tests.receiver.running import Running

ROOT = Path(__file__).resolve().parents[2]
EVENT = b'{"level":"Metadata","stage":"ResponseComplete","requestURI":"/","auditID":"%d"}'
STEPS = ROOT / "plugins" / "module_utils" / "webhook_steps.py"


def load() -> Any:
    """module_utils/webhook_steps.py, imported without Ansible's loader."""
    spec = importlib.util.spec_from_file_location("webhook_steps", STEPS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


steps = load()


def given(port: int, **changes: Any) -> dict[str, Any]:
    """The module's parameters, as Ansible fills them in."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "path": "/reportAuditEvent/master-1",
        "tls": True,
        "addresses": [],
        **dict.fromkeys(("ca", "certificate", "key", "token", "server_name"), ""),
        "insecure": False,
        "counted_as": ["master-1"],
        "timeout": 5.0,
        **changes,
    }


def ask(port: int, **changes: Any) -> dict[str, Any]:
    """The module's result, where no temporary file is left."""
    result: dict[str, Any] = steps.probe_all(given(port, **changes), "/dev/shm")
    return result


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def client(authority: Authority) -> dict[str, str]:
    """Whom the receiver accepts."""
    certificate, key = authority.issue("master-1")
    return {"ca": authority.path.read_text(), "certificate": certificate.read_text(), "key": key.read_text()}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of another authority."""
    other = Authority(tmp_path_factory.mktemp("other"), "other")
    certificate, key = other.issue("master-1")
    return {"ca": other.path.read_text(), "certificate": certificate.read_text(), "key": key.read_text()}


@pytest.fixture(scope="module")
def running(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A receiver with mutual TLS, as the role audit_receiver starts it."""
    certificate, key = authority.issue("receiver")
    options = ["--certificate", str(certificate), "--key", str(key), "--client-ca", str(authority.path)]
    spool = tmp_path_factory.mktemp("spool") / "spool"
    with Running(spool, *options, "--identity", "certificate") as receiver:
        yield receiver


def test_a_receiver_of_ours_passes_every_step(running: Running, client: dict[str, str]) -> None:
    result = ask(running.port, **client)

    assert {"step": "", "posted": True, "accepted": 0} == {
        name: result[name] for name in ("step", "posted", "accepted")
    }
    assert [{"address": "127.0.0.1", "step": "", "problem": ""}] == result["addresses"]


def test_nothing_is_stored(running: Running, client: dict[str, str]) -> None:
    """What is posted is an event list to our receiver, and has no events."""
    ask(running.port, **client)
    spool = running.log.with_suffix("")

    assert ([], []) == (read_batch(steps.EVENTS).events, read_batch(steps.EVENTS).unreadable)
    assert [] == [path for path in (spool / "segments").rglob("*.log") if path.stat().st_size]


def test_accepted_events_are_counted(tmp_path: Path) -> None:
    """Of this API server only."""
    with Running(tmp_path / "spool") as receiver:
        for number, server in enumerate(["master-1", "master-1", "master-2"]):
            receiver.post(
                b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%s]}' % (EVENT % number), server
            )

        assert 2 == ask(receiver.port, tls=False)["accepted"]
        assert 3 == ask(receiver.port, tls=False, counted_as=["master-1", "master-2"])["accepted"]
        assert None is ask(receiver.port, tls=False, counted_as=[])["accepted"]


def test_a_token_is_sent(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("with-tokens")
    (tmp_path / "tokens").write_text("s3cret\n")
    options = ["--certificate", str(certificate), "--key", str(key), "--token-file", str(tmp_path / "tokens")]
    with Running(tmp_path / "spool", *options) as receiver:
        ca = authority.path.read_text()

        assert ask(receiver.port, ca=ca, token="s3cret")["posted"]
        assert ask(receiver.port, insecure=True, token="s3cret")["posted"]
        refused = ask(receiver.port, ca=ca, token="other")
    assert "client" == refused["step"]
    assert "does not accept this API server (it answered 401 a bearer token is needed)" in refused["msg"]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def test_step_name() -> None:
    result = ask(8443, host="receiver.invalid")

    assert "name" == result["step"]
    assert result["msg"].startswith("step name: receiver.invalid can't be resolved on this host (")
    assert "apiserver_audit_webhook_address" in result["msg"]


def test_step_tcp() -> None:
    port = free_port()

    expected = f"step TCP: 127.0.0.1 port {port} can't be connected to (Connection refused); start the receiver there"
    assert ask(port, insecure=True)["msg"].startswith(expected)


def test_an_address_that_is_closed_is_no_failure_where_another_is_open(
    running: Running, client: dict[str, str]
) -> None:
    """As Go's dialer does; but what it counted isn't known then."""
    result = ask(running.port, addresses=["127.0.0.9", "127.0.0.1"], **client)

    assert "failed" not in result and result["posted"] and result["accepted"] is None
    assert ["TCP", ""] == [each["step"] for each in result["addresses"]]


def test_step_tls_another_authority(running: Running, client: dict[str, str], stranger: dict[str, str]) -> None:
    result = ask(running.port, **{**client, "ca": stranger["ca"]})

    assert "TLS" == result["step"]
    assert "apiserver_audit_webhook_ca" in result["msg"]


def test_step_tls_another_name(running: Running, client: dict[str, str]) -> None:
    """The common name doesn't count, as in Go."""
    for name in ("elsewhere", "receiver"):
        result = ask(running.port, host=name, addresses=["127.0.0.1"], **client)

        assert "TLS" == result["step"]
        assert f"is for {name}" in result["msg"]
    assert ask(running.port, host="elsewhere", server_name="127.0.0.1", addresses=["127.0.0.1"], **client)["posted"]


def test_step_tls_expired(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("old", timedelta(seconds=-1))
    with Running(tmp_path / "spool", "--certificate", str(certificate), "--key", str(key)) as receiver:
        result = ask(receiver.port, ca=authority.path.read_text())

    assert ("TLS", True) == (result["step"], "expired" in result["msg"])


def test_step_tls_where_nobody_speaks_it(tmp_path: Path, client: dict[str, str]) -> None:
    with Running(tmp_path / "spool") as receiver:
        result = ask(receiver.port, **client)

    assert "step TLS: " in result["msg"] and "it does not speak TLS" in result["msg"]


def test_step_client_without_a_certificate(running: Running, client: dict[str, str]) -> None:
    result = ask(running.port, ca=client["ca"])

    assert "client" == result["step"]
    assert "a client certificate is needed" in result["msg"]


def test_step_client_of_another_authority(running: Running, client: dict[str, str], stranger: dict[str, str]) -> None:
    """The receiver's alert comes after the handshake, before or while the request is sent."""
    for _ in range(5):
        result = ask(running.port, **{**stranger, "ca": client["ca"]})

        assert "client" == result["step"], result["msg"]


def test_step_client_of_another_name(running: Running, client: dict[str, str]) -> None:
    result = ask(running.port, path="/reportAuditEvent/master-2", **client)

    assert "client" == result["step"]
    assert "403 the path names another API server than the certificate" in result["msg"]


def test_step_post(running: Running, client: dict[str, str]) -> None:
    result = ask(running.port, path="/elsewhere", **client)

    assert "post" == result["step"]
    assert "it answered 404" in result["msg"] and "check the URL's path /elsewhere" in result["msg"]


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Somebody who takes one connection and does as told; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def reply(text: bytes) -> Callable[[socket.socket], None]:
    """Read a request and answer it."""

    def answer(connection: socket.socket) -> None:
        while not connection.recv(65536).endswith(b"}\n"):
            pass
        connection.sendall(text)

    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "it answered 302", id="redirect"
        ),
        pytest.param(b"HTTP/1.1 503 x\r\nContent-Length: 5\r\n\r\nfu\x1bll", "it answered 503 fu ll", id="full"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2", id="no-http"),
        pytest.param(b"", "step post: 127.0.0.1 port", id="closed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "step post: ", id="torn"),
    ],
)
def test_step_post_with_strange_answers(answer: bytes, message: str) -> None:
    with answering(reply(answer)) as port:
        result = ask(port, tls=False)

    assert "post" == result["step"]
    assert message in result["msg"] and result["msg"].isprintable()


def test_step_post_without_an_answer() -> None:
    held = threading.Event()
    with answering(lambda connection: (held.wait(10), None)[1]) as port:
        result = ask(port, tls=False, timeout=0.3)
        held.set()

    assert "no answer in time" in result["msg"]


@pytest.mark.parametrize("status", [200, 202, 206])
def test_any_success_will_do(status: int) -> None:
    """client-go takes 200 to 206; whoever closes after it is no receiver of ours."""
    answer = f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    with answering(reply(answer)) as port:
        result = ask(port, tls=False)

    assert result["posted"] and result["accepted"] is None


def test_the_request_is_an_api_servers() -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        while not b"".join(seen).endswith(b"}\n"):
            seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with answering(answer) as port:
        ask(port, tls=False, counted_as=[])
    head, _, body = b"".join(seen).partition(b"\r\n\r\n")

    assert head.startswith(b"POST /reportAuditEvent/master-1 HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head and f"Host: 127.0.0.1:{port}".encode() in head
    assert {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": []} == json.loads(body)


def test_keys_that_do_not_fit_are_named(client: dict[str, str], stranger: dict[str, str]) -> None:
    result = ask(8443, **{**client, "key": stranger["key"]})

    assert result["msg"].startswith("step TLS: a certificate or key can't be used: ")


@pytest.mark.parametrize("name", ["modules/webhook_probe.py", "module_utils/webhook_steps.py"])
def test_masters_need_no_more_than_python_3_8(name: str) -> None:
    """Its grammar, and no module but those of the standard library and Ansible's own."""
    tree = ast.parse((ROOT / "plugins" / name).read_text(), feature_version=(3, 8))
    imported = {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom) and not each.level}
    imported |= {alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names}

    assert set() == {module for module in imported if module.split(".")[0] not in {*sys.stdlib_module_names, "ansible"}}


@pytest.mark.parametrize("more", [[], ["--check"]], ids=["run", "check-mode"])
def test_ansible_runs_it_and_keeps_secrets(running: Running, client: dict[str, str], more: list[str]) -> None:
    """As a module on a host, with its documented parameters."""
    arguments = {"host": "127.0.0.1", "port": running.port, "path": "/reportAuditEvent/master-1", **client}
    command = ["localhost", "-c", "local", "-m", "kaudit.k8s.webhook_probe", "-vvv", *more, "-a", json.dumps(arguments)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_PYTHON_INTERPRETER"] = sys.executable
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "adhoc", *command], env=environment, capture_output=True, text=True
    )
    secret = client["key"].splitlines()[1]

    assert 0 == done.returncode, done.stdout + done.stderr
    assert '"posted": true' in done.stdout and '"changed": false' in done.stdout
    assert secret not in done.stdout + done.stderr


def test_ssl_contexts_are_strict(client: dict[str, str]) -> None:
    context = steps.tls_context(given(1, **client), "/dev/shm")

    assert (ssl.CERT_REQUIRED, True, False) == (
        context.verify_mode,
        context.check_hostname,
        context.hostname_checks_common_name,
    )
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
