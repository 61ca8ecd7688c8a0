"""`kaudit receive` under the API server's own batch shape: events/s, and how long an acknowledgement takes.

    python bench/receive.py [--rounds N] [--seconds S] [--write]

Clients on the same machine send batches of 400 events that differ in every event, over kept connections, each the
next one as soon as the last is answered; once in plain HTTP, once with TLS on both sides as the role sets it up. The
peer is the same server with an application that appends the body as it is and syncs it: no parsing, no duplicates, no
index. Beside them, what the disk itself needs to write and sync the same bytes. Contenders run in turn, round after
round. Exit code 1 if a bound is missed. --write puts the table into bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import startup

from kaudit_core.provisioning.certificates import Term, Wanted, keep_authority, keep_leaf

BEGIN, END = "<!-- receive: begin -->", "<!-- receive: end -->"
EVENTS = 400
CONNECTIONS = 4
SIZES = (1000, 4000)
LEAST = 20_000
"""Events/s: five times the API server's ceiling of 10 batches of 400 a second."""
LONGEST = 0.1
"""Seconds, p99 of an acknowledgement."""
COUNTER = b"%016d"
PEER, DISK = "bare app that only syncs", "write and fdatasync alone"

RECEIVER = """
import sys
from kaudit_core.cli.main import main
store, *certificates = sys.argv[1:]
names = ("--certificate", "--key", "--client-ca")
secured = [word for pair in zip(names, certificates) for word in pair] or ["--plain-http"]
sys.exit(main(["receive", *secured, "--listen", "127.0.0.1:0", "--disk-reserve", "0", "--spool", store]))
"""
BARE = """
import asyncio, os, socket, ssl, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def store(body):
    os.write(file, body)
    os.fdatasync(file)

async def report(request):
    await asyncio.to_thread(store, await request.body())
    return PlainTextResponse("ok")

app = Starlette(routes=[Route("/reportAuditEvent/m", report, methods=["POST"])])
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print("receiving on http://127.0.0.1:%d/" % listener.getsockname()[1], file=sys.stderr, flush=True)
options = {"http": "httptools", "ws": "none", "loop": "asyncio", "lifespan": "off"}
if sys.argv[2:]:
    names = ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs")
    options |= dict(zip(names, sys.argv[2:]), ssl_cert_reqs=ssl.CERT_OPTIONAL)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **options)).run([listener])
"""


@dataclass
class Result:
    """Of one contender: events/s and CPU seconds an event of each round, and seconds of every acknowledgement."""

    rates: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    delays: list[list[float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def percentile(self, part: float) -> float:
        """The median over rounds of a percentile."""
        return statistics.median(sorted(one)[int(part * (len(one) - 1))] for one in self.delays)


class Batches:
    """Requests of one size; every event of every batch is another one."""

    def __init__(self, size: int) -> None:
        event = (
            b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"' + COUNTER + b'",'
            b'"stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/p","verb":"get",'
            b'"user":{"username":"system:node:n1","groups":["system:nodes","system:authenticated"]},'
            b'"sourceIPs":["10.0.0.7"],"userAgent":"kubelet/v1.35.0","objectRef":{"resource":"pods",'
            b'"namespace":"default","name":"p","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},'
            b'"requestObject":{"metadata":{"labels":{"padding":"%s"}}},'
            b'"requestReceivedTimestamp":"2026-11-21T05:00:00.000000Z","stageTimestamp":"2026-11-21T05:00:01.000000Z"}'
        )
        empty = len(event % (0, b""))
        items = b",".join([event % (number, b"x" * (size - empty)) for number in range(EVENTS)])
        body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[' + items + b"]}\n"
        head = b"POST /reportAuditEvent/m HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.size = len(body)
        self._request = bytearray(head + body)
        places = (found.end() for found in re.finditer(rb'"auditID":"', self._request))
        self._places = list(places)
        self._count = 0

    def next(self) -> bytes:
        """A request that was never sent."""
        for place in self._places:
            self._request[place : place + 16] = COUNTER % self._count
            self._count += 1
        return bytes(self._request)


@dataclass(frozen=True)
class Secured:
    """Certificates as the role makes them: for the server's command line, and for clients."""

    server: tuple[str, str, str]
    context: ssl.SSLContext

    @classmethod
    def make(cls, folder: Path) -> Secured:
        """Write them into a directory."""
        term = Term(datetime.now(UTC), 30, 1)
        authority, _ = keep_authority(None, "bench", term, 1)
        (folder / "ca.crt").write_text(authority.certificate)
        for wanted in (Wanted("localhost", True, ["localhost"], ["127.0.0.1"]), Wanted("m", server=False)):
            pair, _ = keep_leaf(None, authority, wanted, term)
            (folder / f"{wanted.name}.pem").write_text(pair.key + pair.certificate)
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / "m.pem")
        both = str(folder / "localhost.pem")
        return cls((both, both, str(folder / "ca.crt")), context)


@dataclass(frozen=True)
class Contender:
    """What is measured: a server's program and how it is reached; disk alone has none."""

    name: str
    peer: str
    code: str = ""
    tls: bool = False


CONTENDERS = [
    Contender("kaudit receive", PEER, RECEIVER),
    Contender(PEER, PEER, BARE),
    Contender("kaudit receive, TLS", f"{PEER}, TLS", RECEIVER, tls=True),
    Contender(f"{PEER}, TLS", f"{PEER}, TLS", BARE, tls=True),
    Contender(DISK, PEER),
]


async def client(port: int, batches: Batches, end: float, delays: list[float], context: ssl.SSLContext | None) -> None:
    """Send batches one after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20, ssl=context)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 2**20)
    while time.perf_counter() < end:
        request = batches.next()
        begin = time.perf_counter()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", answer)
        assert answer.startswith(b"HTTP/1.1 200") and length, answer
        await reader.readexactly(int(length[1]))
        delays.append(time.perf_counter() - begin)
    writer.close()


def cpu_seconds(process: int) -> float:
    """What a process has used until now, in the kernel too."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, batches: Batches, seconds: float, context: ssl.SSLContext | None) -> tuple[float, list[float], int]:
    """Events/s and delays of one run, without half a second before it, and how many events were sent in all."""

    async def run(length: float) -> list[float]:
        delays: list[float] = []
        end = time.perf_counter() + length
        await asyncio.gather(*(client(port, batches, end, delays, context) for _ in range(CONNECTIONS)))
        return delays

    warm = asyncio.run(run(0.5))
    begin = time.perf_counter()
    delays = asyncio.run(run(seconds))
    rate = len(delays) * EVENTS / (time.perf_counter() - begin)
    return rate, delays, (len(warm) + len(delays)) * EVENTS


def contend(one: Contender, folder: Path, batches: Batches, seconds: float, result: Result) -> None:
    """Start a server, load it, end it."""
    secured = Secured.make(folder) if one.tls else None
    command = [sys.executable, "-c", one.code, str(folder / "store"), *(secured.server if secured else ())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        try:
            said = (re.search(r"receiving on .*:(\d+)/", line) for line in server.stderr)
            port = next(int(found[1]) for found in said if found)
            before = cpu_seconds(server.pid)
            rate, delays, events = load(port, batches, seconds, secured.context if secured else None)
            result.work.append((cpu_seconds(server.pid) - before) / events)
        finally:
            server.terminate()
            server.communicate()
    result.rates.append(rate)
    result.delays.append(delays)


def disk(folder: Path, size: int, result: Result) -> None:
    """Write and sync the bytes of a batch, one batch after the other."""
    file = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    data, delays = b"x" * size, []
    for _ in range(100):
        begin = time.perf_counter()
        os.write(file, data)
        os.fdatasync(file)
        delays.append(time.perf_counter() - begin)
    os.close(file)
    result.rates.append(len(delays) * EVENTS / sum(delays))
    result.work.append(0.0)
    result.delays.append(delays)


def measure(rounds: int, seconds: float) -> dict[tuple[Contender, int], Result]:
    """Every contender with every size."""
    results = {(one, size): Result() for size in SIZES for one in CONTENDERS}
    batches = {size: Batches(size) for size in SIZES}
    for number in range(rounds):
        for (one, size), result in results.items():
            if sys.stderr.isatty():
                print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=".") as folder:
                if one.name == DISK:
                    disk(Path(folder), batches[size].size, result)
                else:
                    contend(one, Path(folder), batches[size], seconds, result)
    return results


def table(results: dict[tuple[Contender, int], Result]) -> tuple[list[str], bool]:
    """The result in lines, and whether every bound holds."""
    by_name = {(one.name, size): result for (one, size), result in results.items()}
    rows = [
        "| what | batch | events/s | x peer | p50 | p99 | CPU an event | x peer | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    kept = True
    for (one, size), result in results.items():
        peer = by_name[one.peer, size]
        verdict = ""
        if one.code == RECEIVER:
            holds = result.rate >= LEAST and result.percentile(0.99) < LONGEST
            kept, verdict = kept and holds, "ok" if holds else "MISSED"
        half, most = result.percentile(0.5) * 1000, result.percentile(0.99) * 1000
        work = statistics.median(result.work)
        costs = work / statistics.median(peer.work)
        cells = [one.name, f"{EVENTS} x {size} B", f"{result.rate:,.0f}"]
        cells += [f"{result.rate / peer.rate:.2f}", f"{half:.1f} ms", f"{most:.1f} ms"]
        cells += [f"{work * 1e6:.1f} us" if work else "", f"{costs:.2f}" if work else "", verdict]
        rows.append(f"| {' | '.join(cells)} |")
    return rows, kept


def main() -> int:
    parser = argparse.ArgumentParser(description="kaudit receive under the API server's own batch shape")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    arguments = parser.parse_args()
    rows, kept = table(measure(arguments.rounds, arguments.seconds))
    what = f"{arguments.rounds} interleaved rounds of {arguments.seconds:g} s, {CONNECTIONS} connections"
    lines = [f"{startup.machine()} Medians of {what}; bounds: {LEAST:,} events/s, p99 {LONGEST} s.", "", *rows]
    print("\n".join(lines))
    if arguments.write:
        startup.write(lines, BEGIN, END)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
