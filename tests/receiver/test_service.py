"""The running receiver: answers, hostile and unlucky clients, memory, stopping, and kills under load."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.receiver.batches import HOSTILE, body, event, lines, misplaced, problems
from tests.receiver.running import Client, Running, head, wait_until

MIB = 1024 * 1024


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A receiver over plain HTTP."""
    with Running(tmp_path / "spool") as started:
        yield started


def stored(running: Running, server: str = "master-1") -> list[bytes]:
    return lines(running.log.with_suffix(""), server)


def test_an_acknowledged_batch_is_in_the_segment(running: Running) -> None:
    """The file holds the events when the answer is there."""
    assert (200, "stored 2, duplicates 0, quarantined 0\n") == running.post(body([event(1), event(2)]))
    assert [event(1), event(2)] == stored(running)


def test_the_path_names_the_api_server(running: Running) -> None:
    """Quoted names are one directory; no name is "unnamed"."""
    for server in ("master-1", "", "..%2F..%2Fetc", "%00"):
        assert 200 == running.post(body([event(1)]), server)[0]

    assert [[event(1)]] * 4 == [stored(running, name) for name in ("master-1", "unnamed", "%2E.%2F..%2Fetc", "%00")]


def test_a_batch_of_10_mb_is_taken(running: Running) -> None:
    """Of events that are 1.9 MB each, as large as the API server writes them."""
    items = [event(number, 1_900_000) for number in range(5)] + [event(5, 500_000)]

    assert 200 == running.post(body(items))[0]
    assert items == stored(running)


def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    """By the declared length, and by what comes without one; the rest is not read."""
    with Running(tmp_path / "spool", "--max-body", "1MiB") as running:
        assert 413 == running.post(body([event(1, MIB)]))[0]
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with running.socket() as raw:
            raw.sendall(
                b"POST /reportAuditEvent HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 17
            )
            assert raw.recv(100).startswith(b"HTTP/1.1 413 ")
        assert 200 == running.post(body([event(2)]))[0]


def test_chunked_bodies_are_taken(running: Running) -> None:
    """A body without a declared length."""
    data = body([event(1)])
    with running.socket() as raw:
        raw.sendall(b"POST /reportAuditEvent/master-1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        raw.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 200 ")

    assert [event(1)] == stored(running)


def test_unreadable_items_cost_no_other_event(running: Running) -> None:
    """And are never answered with an error, which would lose the whole batch."""
    assert (200, "stored 1, duplicates 0, quarantined 1\n") == running.post(body([b"{}", event(1)]))
    assert (200, "stored 0, duplicates 0, quarantined 1\n") == running.post(HOSTILE.encode("utf-8", "replace"))
    assert [event(1)] == stored(running)


def test_hostile_events_stay_what_they_are(running: Running) -> None:
    """One line each, for the verifier too."""
    items = [event(number, userAgent=HOSTILE, requestURI="/" + HOSTILE) for number in range(3)]
    running.post(body(items))

    assert items == stored(running)
    assert [] == problems(running.log.with_suffix(""))


def test_a_body_that_does_not_arrive_in_time_is_given_up(tmp_path: Path) -> None:
    """So that a slow client does not hold the memory that others wait for; 503, for the batch is worth a retry."""
    with Running(tmp_path / "spool", "--body-time", "1s", "--max-pending", "1MiB", "--max-body", "1MiB") as running:
        with running.socket() as raw:
            raw.sendall(head(MIB) + b"{")
            wait_until(lambda: running.metric("pending_bytes") == MIB, "the slow request")

            assert raw.recv(100).startswith(b"HTTP/1.1 503 ")
        assert 200 == running.post(body([event(2)]))[0]


def test_an_answer_is_sent_at_once(running: Running) -> None:
    """Its end does not wait until the client's kernel has acknowledged its beginning, which takes 40 ms."""
    taken = []
    with running.client() as client:
        for number in range(20):
            begin = time.perf_counter()
            client.post(body([event(number)]))
            taken.append(time.perf_counter() - begin)

    assert min(taken) < 0.03


def test_half_sent_bodies_leave_nothing(running: Running) -> None:
    """A client that goes away amid its batch has stored no part of it."""
    data = body([event(1), event(2)])
    for part in (0, 1, len(data) // 2, len(data) - 1):
        with running.socket() as raw:
            raw.sendall(head(len(data)) + data[:part])
    wait_until(lambda: running.metric("responses_total") >= 4, "the end of the requests")

    assert (200, "stored 2, duplicates 0, quarantined 0\n") == running.post(data)


def test_a_client_that_leaves_before_the_answer_sends_again(running: Running) -> None:
    """The batch is stored; its retry is a duplicate."""
    data = body([event(1)])
    with running.socket() as raw:
        raw.sendall(head(len(data)) + data)
    wait_until(lambda: running.metric("stored_total") == 1, "storing")

    assert (200, "stored 0, duplicates 1, quarantined 0\n") == running.post(data)


def test_a_hundred_connections_are_served_beside_stalled_ones(running: Running) -> None:
    """Clients that send nothing, half a head or half a body don't keep others waiting."""
    stalled = [running.socket() for _ in range(30)]
    for number, raw in enumerate(stalled):
        raw.sendall([b"", b"POST /reportAuditEvent HT", head(1000) + b"{"][number % 3])

    def send(number: int) -> int:
        with running.client() as client:
            codes = {client.post(body([event(number * 10 + one)]), f"master-{number % 3}")[0] for one in range(5)}
        return max(codes)

    with ThreadPoolExecutor(100) as pool:
        codes = list(pool.map(send, range(100)))
    for raw in stalled:
        raw.close()

    assert [200] * 100 == codes
    assert 500 == sum(len(set(stored(running, f"master-{number}"))) for number in range(3))


@pytest.mark.parametrize(
    ("begin", "end"),
    [(b"", b"\r\n"), (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"\r\n"), (b"", b"")],
    ids=["headers", "trailers", "one-header"],
)
def test_endless_headers_are_cut_off(running: Running, begin: bytes, end: bytes) -> None:
    """A client can't fill the memory before its request begins, nor behind its end."""
    with running.socket() as raw, pytest.raises(OSError):
        raw.sendall(b"POST /reportAuditEvent HTTP/1.1\r\n" + begin)
        for _ in range(10_000):
            raw.sendall(b"x: " + b"y" * 10_000 + end)
    assert 200 == running.get("/healthz")[0]


def test_one_connection_too_many_is_closed(tmp_path: Path) -> None:
    """And those that are there go on."""
    with Running(tmp_path / "spool", "--max-connections", "3") as running, running.client() as client:
        client.ask("GET", "/healthz")
        others = [running.socket() for _ in range(3)]
        assert b"" == others[-1].recv(1)
        assert 200 == client.post(body([event(1)]))[0]
        for other in others:
            other.close()


def test_memory_is_bounded_by_what_may_wait(tmp_path: Path) -> None:
    """40 clients send 8 MiB each; 16 MiB may be in memory at a time."""
    with Running(tmp_path / "spool", "--max-pending", "16MiB", "--max-body", "8MiB") as running:
        running.post(body([event(0)]))
        before = running.memory()
        batches = [body([event(number * 10 + one, MIB) for one in range(7)]) for number in range(40)]
        with ThreadPoolExecutor(40) as pool:
            codes = list(pool.map(lambda data: running.post(data)[0], batches))
        grown = running.memory() - before

        assert [200] * 40 == codes
        assert grown < 160 * MIB


def test_a_full_spool_answers_503_until_there_is_room(tmp_path: Path) -> None:
    """With Retry-After; not ready; nothing of the batch stored; what is stored is still known."""
    with Running(tmp_path / "spool", "--spool-limit", "1MiB", "--max-body", "900KiB") as running:
        first = body([event(1, 800 * 1024)])
        assert 200 == running.post(first)[0]
        with running.client() as client:
            connection = client._connection
            connection.request("POST", "/reportAuditEvent/master-1", body([event(2, 800 * 1024)]))
            answer = connection.getresponse()
            assert (503, "5", b"the spool is full\n") == (answer.status, answer.getheader("retry-after"), answer.read())

        assert (503, "the spool is full\n") == running.get("/readyz")
        assert 200 == running.get("/healthz")[0]
        assert [event(1, 800 * 1024)] == stored(running)


def test_metrics_count_what_happened(running: Running) -> None:
    """Names of API servers are labels as they are directories: quoted, whatever a client puts into its path."""
    running.post(body([event(1), event(1), b"{}"]), "%22%0A%00%1B")
    text = running.get("/metrics")[1]

    assert 'kaudit_receiver_accepted_total{server="%22%0A%00%1B"} 3' in text
    assert [3, 1, 1, 1, 1] == [
        running.metric(f"{name}_total") for name in ("accepted", "stored", "duplicates", "quarantined", "responses")
    ]
    assert [] == [line for line in text.splitlines() if not line.startswith(("# ", "kaudit_receiver_"))]
    assert running.metric("spool_bytes") > len(event(1))
    assert running.metric("disk_free_bytes") > 0 and running.metric("lag_seconds") != 0


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/reportAuditEvent", 405), ("POST", "/", 404), ("GET", "/../etc/passwd", 404)]
)
def test_other_requests_are_refused(running: Running, method: str, path: str, code: int) -> None:
    """A wrong URL is a mistake that the API server's error counter must show."""
    with running.client() as client:
        assert code == client.ask(method, path)[0]


def test_a_graceful_stop_finishes_and_closes(tmp_path: Path) -> None:
    """A batch that is half sent when the signal comes is stored and acknowledged; no segment stays open."""
    data = body([event(1), event(2)])
    with Running(tmp_path / "spool") as running, running.socket() as raw:
        running.post(body([event(0)]))
        raw.sendall(head(len(data)) + data[:100])
        wait_until(lambda: running.metric("pending_bytes") == len(data), "the request")
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        wait_until(lambda: refused(running), "the end of listening")
        raw.sendall(data[100:])
        answer = raw.recv(1000)
        stopping.join()

        assert answer.startswith(b"HTTP/1.1 200 ")
        assert 0 == running.process.returncode
        assert [event(0), event(1), event(2)] == stored(running)
        assert not (tmp_path / "spool" / "segments" / "master-1" / "audit.log").exists()


def refused(running: Running) -> bool:
    try:
        running.socket().close()
    except ConnectionRefusedError:
        return True
    return False


class Sender(threading.Thread):
    """An API server: batches in order, each tried until it is acknowledged, with some answers lost on the way."""

    def __init__(self, port: int, server: str, seed: int, batches: int) -> None:
        super().__init__()
        self.port, self.server, self.rng = port, server, random.Random(seed)
        self.batches = [[event(seed * 100_000 + one * 20 + item, 300) for item in range(20)] for one in range(batches)]
        self.acknowledged = 0

    def run(self) -> None:
        client = Client(self.port, None)
        for batch in self.batches:
            done = False
            while not done:
                try:
                    done = client.post(body(batch), self.server)[0] == 200 and self.rng.random() > 0.1
                except (OSError, HTTPException):
                    client.close()
            self.acknowledged += 1
        client.close()


def test_kills_under_load_lose_no_acknowledged_event(tmp_path: Path) -> None:
    """Five API servers send without a pause while the receiver is killed again and again."""
    spool = tmp_path / "spool"
    running = Running(spool, "--segment-size", "256KiB")
    senders = [Sender(running.port, f"master-{number}", number, 80) for number in range(5)]
    for sender in senders:
        sender.start()
    kills = 0
    while any(sender.is_alive() for sender in senders):
        reached = sum(sender.acknowledged for sender in senders) + 40
        wait_until(
            lambda reached=reached: (
                sum(one.acknowledged for one in senders) >= reached  # type: ignore[misc]
                or not any(one.is_alive() for one in senders)
            ),
            "acknowledgements",
        )
        running.kill()
        kills += 1
        running = Running(spool, "--segment-size", "256KiB", port=running.port)
    code = running.stop()

    assert (0, True) == (code, kills >= 5)
    for sender in senders:
        held = lines(spool, sender.server)
        wanted = [item for batch in sender.batches for item in batch]
        assert sorted(wanted) == sorted(held)
        assert [] == misplaced(held, sender.batches)
        text = (spool / "index" / "segments" / f"{sender.server}.jsonl").read_text()
        assert len(wanted) == sum(json.loads(line)["events"] for line in text.splitlines())
