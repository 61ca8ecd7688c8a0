"""`kaudit receive` with real API servers as its clients, in batch and blocking mode, killed while they send."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.lab.binaries import binaries
from tests.lab.rootfs import debian
from tests.receiver.batches import lines, problems
from tests.receiver.certificates import Authority
from tests.receiver.running import Running

pytestmark = pytest.mark.lab

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"
START_SECONDS = 240.0
FREE_PORTS = {"etcd": 23791, "peer": 23801, "batch": 26441, "blocking": 26442}


class ApiServer:
    """A real API server that logs to a file and to the receiver."""

    def __init__(self, directory: Path, mode: str, certificate: tuple[Path, Path], url: str, ca: Path) -> None:
        self.name, self.port, self.directory = f"server-{mode}", FREE_PORTS[mode], directory / mode
        self.directory.mkdir()
        self.log = self.directory / "audit.log"
        (self.directory / "policy.yaml").write_text(POLICY)
        (self.directory / "tokens.csv").write_text('secret,admin,1,"system:masters"\n')
        (self.directory / "webhook.yaml").write_text(json.dumps(kubeconfig(f"{url}/{self.name}", ca, certificate)))
        key = self.directory / "service-account.key"
        key.write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
            )
        )
        command = [
            str(binaries() / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{FREE_PORTS['etcd']}",
            f"--etcd-prefix=/{mode}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.directory}",
            "--service-account-issuer=https://kaudit.test",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            f"--audit-policy-file={self.directory / 'policy.yaml'}",
            f"--audit-log-path={self.log}",
            f"--audit-webhook-config-file={self.directory / 'webhook.yaml'}",
            f"--audit-webhook-mode={mode}",
            "--audit-webhook-initial-backoff=2s",
        ]
        if mode == "batch":
            command.append("--audit-webhook-batch-max-wait=1s")
        with (self.directory / "stderr").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)

    def ask(self, method: str, path: str, body: object = None) -> int:
        """One request; the code of its answer."""
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=60, context=ssl._create_unverified_context())
        try:
            headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None and time.monotonic() < end, (self.directory / "stderr").read_text()[
                -3000:
            ]
            with contextlib.suppress(OSError, HTTPException):
                if self.ask("GET", "/readyz") == 200:
                    return
            time.sleep(0.5)

    def work(self, number: int) -> None:
        """Make, read and remove a ConfigMap with odd words in it."""
        name, path = f"c{number}", "/api/v1/namespaces/default/configmaps"
        data = {"metadata": {"name": name}, "data": {"odd": "</script>\u2028\x00\u202e" * 50}}
        self.ask("POST", path, data)
        self.ask("GET", f"{path}?fieldSelector=metadata.name%3D{name}")
        self.ask("DELETE", f"{path}/{name}")

    def dropped(self) -> int:
        """Events that it says it did not send: ends of watches, once its webhook backend was shut down."""
        said = (self.directory / "stderr").read_text()
        counts = re.findall(
            r"Error in audit plugin 'buffered' affecting (\d+) audit events: audit backend shut down", said
        )
        return sum(map(int, counts))

    def stop(self) -> None:
        """Let it send what it still holds."""
        self.process.terminate()
        self.process.wait(120)


def kubeconfig(url: str, ca: Path, certificate: tuple[Path, Path]) -> dict[str, object]:
    """What --audit-webhook-config-file takes."""
    user = {"client-certificate": str(certificate[0]), "client-key": str(certificate[1])}
    authority = base64.b64encode(ca.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "receiver", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": "api-server", "user": user}],
        "contexts": [{"name": "receiver", "context": {"cluster": "receiver", "user": "api-server"}}],
        "current-context": "receiver",
    }


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[None]:
    """A store for the API servers."""
    client, peer = (f"http://127.0.0.1:{FREE_PORTS[name]}" for name in ("etcd", "peer"))
    options = [f"--data-dir={tmp_path / 'etcd'}", f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    options += [
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]
    with (tmp_path / "etcd.stderr").open("wb") as log:
        process = subprocess.Popen(
            [str(debian() / "usr/bin/etcd"), *options, "--unsafe-no-fsync"], stderr=log, stdout=log
        )
    yield
    process.kill()
    process.wait()


def content(line: bytes) -> str:
    """An event without what only the log backend writes: in a list, items carry no kind."""
    value = json.loads(line)
    return json.dumps({key: value[key] for key in sorted(value.keys() - {"kind", "apiVersion"})}, sort_keys=True)


def test_log_and_receiver_hold_the_same_events(tmp_path: Path, etcd: None) -> None:
    """Two API servers work while the receiver is killed four times: its segments are what their log files are.

    But for the events that an API server itself drops, by name, when it shuts down.
    """
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("receiver")
    clients = {mode: authority.issue(f"server-{mode}") for mode in ("batch", "blocking")}
    options = ["--certificate", str(certificate), "--key", str(key), "--client-ca", str(authority.path)]
    options += ["--identity", "certificate", "--segment-size", "1MiB"]
    running = Running(tmp_path / "spool", *options)
    url = f"https://127.0.0.1:{running.port}/reportAuditEvent"
    servers = [ApiServer(tmp_path, mode, pair, url, authority.path) for mode, pair in clients.items()]
    try:
        for server in servers:
            server.wait_until_ready()
        for round_ in range(4):
            with ThreadPoolExecutor(8) as pool:
                done = [pool.submit(server.work, round_ * 100 + one) for one in range(30) for server in servers]
                done[len(done) // 2].result()
                running.kill()
                running = Running(tmp_path / "spool", *options, port=running.port)
                for one in done:
                    one.result()
    finally:
        for server in servers:
            server.stop()
        code = running.stop()

    assert 0 == code
    for server in servers:
        logged = [content(line) for line in server.log.read_bytes().splitlines()]
        held = [content(line) for line in lines(tmp_path / "spool", server.name)]
        assert [] == problems(tmp_path / "spool", server.name)
        assert len(held) == len(set(held))
        assert [] == sorted(set(held) - set(logged))
        assert server.dropped() == len(set(logged) - set(held))
