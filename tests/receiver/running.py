"""`kaudit receive` as a process of its own on a free port of the loopback, and clients for it."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

LONGEST = 30.0
"""Seconds after which something that is waited for is taken not to come."""
START = "import sys; from kaudit_core.cli.main import main; sys.exit(main())"


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition, or fail."""
    end = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < end, f"{what}: not after {LONGEST} s"
        time.sleep(0.005)


class Running:
    """A receiver that runs until stopped or killed."""

    def __init__(self, spool: Path, *options: str, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        """options: further arguments; without a certificate among them it is plain HTTP."""
        plain = [] if "--certificate" in options else ["--plain-http"]
        command = [sys.executable, "-c", START, "receive", "--spool", str(spool), "--listen", f"127.0.0.1:{port}"]
        self.log = spool.with_name(f"{spool.name}.stderr")
        self.tls = tls
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*command, "--disk-reserve", "0", *plain, *options], stderr=log)
        wait_until(lambda: self.process.poll() is not None or "receiving on" in self.said(), "listening")
        found = re.search(r"receiving on https?://127\.0\.0\.1:(\d+)/", self.said())
        assert found, self.said()
        self.port = int(found[1])

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.kill()

    def said(self) -> str:
        """Its log until now."""
        return self.log.read_text()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def memory(self) -> int:
        """The most bytes of memory it ever had."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        assert found
        return int(found[1]) * 1024

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client with a connection of its own, kept alive."""
        made = Client(self.port, self.tls)
        try:
            yield made
        finally:
            made.close()

    def post(self, data: bytes, server: str = "master-1", **headers: str) -> tuple[int, str]:
        """Send one batch on a new connection; the code and text of the answer."""
        with self.client() as client:
            return client.post(data, server, **headers)

    def get(self, path: str) -> tuple[int, str]:
        """Ask for a page."""
        with self.client() as client:
            return client.ask("GET", path)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = self.get("/metrics")[1]
        return sum(float(value) for value in re.findall(rf"^kaudit_receiver_{name}(?:{{.*}})? (\S+)$", text, re.M))

    def socket(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), LONGEST)


class Client:
    """An HTTP client."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self._connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=LONGEST, context=tls)
            if tls
            else http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
        )

    def post(self, data: bytes, server: str = "master-1", **headers: str) -> tuple[int, str]:
        """Send one batch; server: "" posts to the bare path."""
        path = "/reportAuditEvent" + (f"/{server}" if server else "")
        return self.ask("POST", path, data, {name.replace("_", "-"): value for name, value in headers.items()})

    def ask(
        self, method: str, path: str, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        self._connection.request(method, path, data, headers or {})
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def close(self) -> None:
        self._connection.close()


def client_tls(authority: Path, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """What a client trusts and shows."""
    context = ssl.create_default_context(cafile=str(authority))
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def head(length: int, server: str = "master-1") -> bytes:
    """The head of a request whose body has that many bytes."""
    return f"POST /reportAuditEvent/{server} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
