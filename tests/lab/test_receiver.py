"""`kaudit receive` with real API servers as its clients, in batch and blocking mode; either side ends under load."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
BUFFERED_SECONDS = 5.0
"""An event waits 1 s for its batch, and then for the batch's way; a busy machine takes its time."""
FREE_PORTS = {"etcd": 23791, "peer": 23801, "batch": 26441, "blocking": 26442}


def now() -> str:
    """As the API server writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Life:
    """One process of an API server: what it said, from when to when it ran."""

    said: Path
    began: str
    ended: str = "9999"
    killed: bool = False

    def has(self, line: str) -> bool:
        """Whether an event is of its time."""
        return self.began <= str(json.loads(line)["stageTimestamp"]) <= self.ended

    def explains(self, missing: Sequence[str]) -> bool:
        """Whether it must have lost just these: what its buffer held when it was killed, or what it says it dropped."""
        if not self.killed:
            return self.dropped() == len(missing)
        last = datetime.fromisoformat(self.ended) - timedelta(seconds=BUFFERED_SECONDS)
        return all(datetime.fromisoformat(json.loads(line)["stageTimestamp"]) >= last for line in missing)

    def dropped(self) -> int:
        """Events that it says it did not send: ends of watches, once its webhook backend was shut down."""
        said = "Error in audit plugin 'buffered' affecting (\\d+) audit events: audit backend shut down"
        return sum(map(int, re.findall(said, self.said.read_text())))


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
        self.command, self.lives = command, list[Life]()
        self.start()

    def start(self) -> None:
        """Start it, again after an end."""
        said = self.directory / f"stderr.{len(self.lives)}"
        with said.open("wb") as log:
            self.process = subprocess.Popen(self.command, stderr=log, stdout=log)
        self.lives.append(Life(said, now()))

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
            assert self.process.poll() is None and time.monotonic() < end, self.lives[-1].said.read_text()[-3000:]
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

    def stop(self) -> None:
        """Let it send what it still holds."""
        self.process.terminate()
        self.process.wait(120)
        self.lives[-1].ended = now()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        self.lives[-1].ended, self.lives[-1].killed = now(), True

    def unexplained(self, missing: Collection[str]) -> list[str]:
        """Events that it logged and the receiver doesn't hold, for which there is no reason."""
        lost = {life.said: [line for line in missing if life.has(line)] for life in self.lives}
        reasons = [line for life in self.lives if life.explains(lost[life.said]) for line in lost[life.said]]
        return sorted(set(missing) - set(reasons))


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


@dataclass
class Bench:
    """Two API servers, in batch and in blocking mode, and the receiver that they send to."""

    folder: Path
    options: list[str]
    running: Running
    servers: list[ApiServer]

    def compare(self) -> None:
        """End everything gracefully: then the receiver holds what the logs hold, but for what is explained by name."""
        for server in self.servers:
            server.stop()
        assert 0 == self.running.stop()
        for server in self.servers:
            logged = [content(line) for line in server.log.read_bytes().splitlines()]
            held = [content(line) for line in lines(self.folder / "spool", server.name)]
            assert [] == problems(self.folder / "spool", server.name)
            assert len(held) == len(set(held)) > 100
            assert [] == sorted(set(held) - set(logged))
            assert [] == server.unexplained(set(logged) - set(held))


@pytest.fixture
def bench(tmp_path: Path, etcd: None) -> Iterator[Bench]:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("receiver")
    clients = {mode: authority.issue(f"server-{mode}") for mode in ("batch", "blocking")}
    options = ["--certificate", str(certificate), "--key", str(key), "--client-ca", str(authority.path)]
    options += ["--identity", "certificate", "--segment-size", "1MiB"]
    running = Running(tmp_path / "spool", *options)
    url = f"https://127.0.0.1:{running.port}/reportAuditEvent"
    made = Bench(tmp_path, options, running, [])
    try:
        for mode, pair in clients.items():
            made.servers.append(ApiServer(tmp_path, mode, pair, url, authority.path))
        for server in made.servers:
            server.wait_until_ready()
        yield made
    finally:
        for server in made.servers:
            server.process.kill()
            server.process.wait()
        made.running.kill()


def test_a_killed_receiver_loses_nothing(bench: Bench) -> None:
    """Two API servers work while the receiver is killed four times."""
    for round_ in range(4):
        with ThreadPoolExecutor(8) as pool:
            done = [pool.submit(server.work, round_ * 100 + one) for one in range(30) for server in bench.servers]
            done[len(done) // 2].result()
            bench.running.kill()
            bench.running = Running(bench.folder / "spool", *bench.options, port=bench.running.port)
            for one in done:
                one.result()
    bench.compare()


@pytest.mark.parametrize("end", [ApiServer.stop, ApiServer.kill], ids=["restarted", "killed"])
def test_api_servers_that_end_under_load_lose_only_what_is_explained(
    bench: Bench, end: Callable[[ApiServer], None]
) -> None:
    """Both in the middle of their work; what was not sent was in the buffer of a killed one, or is told by its log."""
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(server.work, one) for one in range(60) for server in bench.servers]
        done[len(done) // 3].result()
        for server in bench.servers:
            end(server)
        for one in done:
            one.exception()  # those under way, and those after it, find no server
    for server in bench.servers:
        server.start()
    for server in bench.servers:
        server.wait_until_ready()
        for number in range(60, 90):
            server.work(number)
    assert [True, True] == [len(server.lives) == 2 for server in bench.servers]
    bench.compare()
