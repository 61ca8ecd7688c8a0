"""The native engine against the reference: whatever the bytes, the blocks and the threads, one summary."""

from __future__ import annotations

import functools
import gzip
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kaudit_core.matcher.engine import available
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Policy
from tests.engines import policy_of
from tests.matcher.native import both, in_blocks
from tests.verification.events import path_event, pod_event

pytestmark = pytest.mark.skipif("native" not in available(), reason="the extension was not built: needs a C++ compiler")

REAL = Path(__file__).parents[1] / "corpus" / "real"
SHARED = Path(__file__).parents[3] / "shared" / "corpus"
FULL = os.environ.get("KAUDIT_FULL", "0") not in ("", "0")
SEED = int(os.environ.get("KAUDIT_SEED", "1"))
LOGS = ("ack", "everything", "truncate-batch", "disk-full", "legacy", "webhook")

STRICT = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: [nobody], nonResourceURLs: [/healthz*, /]}
- {level: RequestResponse, users: [alice], resources: [{group: "", resources: [pods, "*/status"], resourceNames: [p]}]}
- {level: Request, verbs: [create, patch], namespaces: [x, ""]}
- {level: Metadata, userGroups: [devs, ops], omitStages: [Panic], omitManagedFields: false}
- {level: Request, nonResourceURLs: [/api*, /version]}
"""


@functools.cache
def strict() -> Policy:
    """A policy of which every rule is near to the made events."""
    return policy_of(STRICT)


@functools.cache
def policy_in(name: str) -> Policy:
    """The policy of a real log."""
    policy = read_policy((REAL / name / "policy.yaml").read_bytes(), "policy.yaml").policy
    assert policy is not None
    return policy


def log_in(name: str, place: Path = REAL) -> Path:
    """A real log."""
    return next(path for path in (place / name).iterdir() if path.suffix == ".log")


def written(event: dict[str, Any]) -> bytes:
    """An event as Go writes it: compact, < > & escaped."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode(errors="surrogatepass")


@pytest.mark.parametrize("place", [REAL, SHARED] if SHARED.is_dir() else [REAL], ids=lambda place: place.parent.name)
@pytest.mark.parametrize("name", LOGS)
def test_real_logs_have_one_summary(name: str, place: Path, tmp_path: Path) -> None:
    """Both engines find the same in every real log, by its own policy and by one that it disagrees with."""
    log = log_in(name, place).read_bytes()
    for policy in (policy_in(name), strict()):
        reference, native = both(policy, log, tmp_path)

        assert reference.as_json() == native.as_json()


def test_ordinary_events_are_judged_natively() -> None:
    """Of the real logs, few events are handed over: the engine is native where it matters."""
    from kaudit_core.matcher._native import OpenSegment, PolicyWorker
    from kaudit_core.matcher.compiler import compile_policy

    shares = {}
    for name in ("ack", "everything", "truncate-batch"):
        worker, odd = PolicyWorker(compile_policy(policy_in(name))), 0
        with log_in(name).open("rb") as file:
            segment, more = OpenSegment(file.fileno(), 1 << 16, 1 << 26), True
            while more:
                more, _ = worker.advance(segment, 1 << 30)
                odd += len(worker.odd())
        shares[name] = odd / (odd + sum(worker.tally()[2]))

    assert {} == {name: share for name, share in shares.items() if share > 0.1}


EVENTS: tuple[dict[str, Any], ...] = (
    pod_event(),
    pod_event(verb="patch", level="Request", requestObject=[{"op": "add", "path": "/metadata/managedFields"}]),
    pod_event(verb="create", requestURI="/api/v1/namespaces/x/pods", level="Request", requestObject={"kind": "Pod"}),
    pod_event(
        level="RequestResponse",
        responseObject={
            "kind": "Pod",
            "metadata": {"name": "p", "labels": {"a": "b\\c", "é": "<&>"}, "managedFields": [{"manager": "m"}]},
            "spec": {"list": [1, -2.5e3, True, None, [], {}, [{}], "x\u2028"], "text": 'quo"te\n' * 20},
        },
    ),
    pod_event(
        verb="list",
        requestURI="/api/v1/pods?fieldSelector=metadata.name%3Dp&labelSelector=a+in+(b,c),!d&limit=500",
        objectRef={"resource": "pods", "apiVersion": "v1", "name": "p"},
        level="RequestResponse",
        responseObject={
            "kind": "PodList",
            "items": [{"metadata": {"name": "a"}}, {"metadata": {"managedFields": [1]}}],
        },
    ),
    pod_event(verb="watch", requestURI="/api/v1/watch/namespaces/x/pods/p", stage="ResponseStarted"),
    pod_event(stage="RequestReceived", responseStatus={"metadata": {}, "code": 200}),
    pod_event(responseObject={"kind": "Table", "rows": [{"cells": [1], "object": {"metadata": {"managedFields": 0}}}]}),
    pod_event(user={}, stage="ResponseStarted", responseStatus={"metadata": {}, "status": "Failure", "code": 401}),
    pod_event(sourceIPs=["10.0.0.1", "::1"], userAgent="agent/1 <x>&", annotations={"a/b": "c", "d": ""}),
    pod_event(impersonatedUser={"username": "bob", "groups": ["g"], "extra": {"k": ["v"]}}, stage="Panic"),
    path_event("/healthz?verbose&x=%zz", level="Metadata"),
    path_event("/", user={"username": "nobody"}),
    path_event("/api", user={"username": "użytkownik", "groups": ["ops"]}, level="Request"),
)
PIECES = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b".", b"e", b" ", b"\t", b"\r", b"\n", b"\0", b"/"),
    *(b"\\u0026", b"\\ud800", b"\\u12", b"\\x", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"%2F", b"%", b"%41", b"%ff"),
    *(b"null", b"true", b"false", b'"":1,', b'"level":"None",', b'"kind":"Event",', b"{}", b"[]", b"1e5", b"01", b'""'),
    *(b"Metadata", b"Request", b"RequestResponse", b"RequestReceived", b"managedFields", b"metadata", b"patch", b"get"),
)


def mutated(rng: Random, line: bytes, other: bytes) -> bytes:
    """A line with one to three bytes or pieces changed, or with a part of another line in it."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(line) + 1)
        size = rng.choice((0, 0, 1, 1, 2, 8))
        piece = rng.choice(PIECES)
        if rng.random() < 0.1:
            begin = rng.randrange(len(other))
            piece = other[begin : begin + rng.randrange(1, 80)]
        elif rng.random() < 0.1:
            piece = line[at : at + rng.randrange(1, 60)] * 2
        line = line[:at] + piece + line[at + size :]
    return line


def some_lines(rng: Random, real: list[bytes]) -> list[bytes]:
    """Lines of one log: most of them mutated."""
    wrapped = rng.choice(real).decode(errors="replace").strip()
    envelopes = ({"category": "kube-audit", "properties": {"log": wrapped}}, {"@timestamp": "", "@message": wrapped})
    pool = [written(event) for event in (*rng.sample(EVENTS, 3), rng.choice(envelopes))] + rng.sample(real, 3)
    return [
        mutated(rng, rng.choice(pool), rng.choice(pool)) if rng.random() < 0.9 else rng.choice(pool) for _ in range(60)
    ]


@pytest.mark.parametrize("part", range(8))
def test_mutated_lines_have_one_summary(part: int, tmp_path: Path) -> None:
    """Whatever is done to a line, both engines say the same of it."""
    rng = Random(f"{SEED} {part}")
    real = [
        line for name in ("ack", "everything") for line in log_in(name).read_bytes().splitlines() if len(line) < 6000
    ]
    policy = strict() if part % 2 else policy_in("everything")
    for _ in range(1_500 if FULL else 40):
        log = b"\n".join(some_lines(rng, real)) + rng.choice((b"", b"\n"))
        reference, native = both(policy, log, tmp_path, examples=1_000, newest=rng.random() < 0.5)

        assert reference.as_json() == native.as_json(), smallest(policy, log, tmp_path)


def smallest(policy: Policy, log: bytes, folder: Path) -> str:
    """The first line that makes a difference by itself."""
    for line in log.split(b"\n"):
        reference, native = (summary.as_json() for summary in both(policy, b"{}\n" + line + b"\n", folder))
        if reference != native:
            return f"KAUDIT_SEED={SEED}: {line!r}: reference {reference}, native {native}"
    return f"KAUDIT_SEED={SEED}: only together: {log!r}"


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 62, 63, 64, 65, 66, 127, 128, 129, 511, 512, 513])
def test_bodies_of_every_size_are_checked_to_the_end(size: int, tmp_path: Path) -> None:
    """A body's tokens may stand anywhere in the blocks that they are checked in."""
    texts = ["x" * size, "\\" * (size // 2 * 2), '\\"' * (size // 2), "é" * (size // 2)]
    good = [b'{"kind":"Pod","a":"%s","b":[%d,{"c":null}],"d":{}}' % (text.encode(), size) for text in texts]
    bad = [
        body.replace(old, new) for body in good for old, new in ((b"],", b"},"), (b"null", b"nul"), (b'"d":', b'"d"'))
    ]
    lines = [line_with_body(body) for body in (*good, *bad)]
    reference, native = both(policy_in("everything"), b"".join(lines), tmp_path, examples=100)

    assert (len(good), len(bad)) == (native.outcomes["agrees"], native.outcomes["malformed"])
    assert reference.as_json() == native.as_json()


def line_with_body(body: bytes) -> bytes:
    """A line that agrees with a policy of RequestResponse for everything when its body is JSON."""
    event = pod_event(level="RequestResponse", verb="get", responseObject=0)
    return written(event).replace(b'"responseObject":0', b'"responseObject":' + body) + b"\n"


@pytest.mark.parametrize("depth", [1, 63, 64, 65, 127, 128, 129, 511, 512, 513, 10_001])
def test_nesting_of_every_depth_is_judged_alike(depth: int, tmp_path: Path) -> None:
    """Lists and objects side by side, as deep as the server's own limit and deeper."""
    opened = b'{"a":[' * (depth // 2) + b"{" * (depth % 2)
    closed = b"}" * (depth % 2) + b"]}" * (depth // 2)
    lines = [line_with_body(opened + closed), line_with_body(opened + closed[:-1] + b"]")]
    reference, native = both(policy_in("everything"), b"".join(lines), tmp_path)

    assert reference.as_json() == native.as_json()


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("block", [4_096, 8_192, 1 << 16])
def test_blocks_and_threads_do_not_matter(
    block: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Examples, their lines and offsets, counts and the tail are the same however the log is cut."""
    rng = Random(SEED)
    real = log_in("everything").read_bytes().splitlines()
    path = tmp_path / "audit.log"
    path.write_bytes(b"\n".join(line for _ in range(10) for line in some_lines(rng, real)) + b'\n\n{"kind":')
    for examples in (3, 1_000):
        (reference, _) = both(policy_in("everything"), path.read_bytes(), tmp_path, examples=examples)
        native = in_blocks(policy_in("everything"), [path], block, monkeypatch, threads=threads, examples=examples)

        assert reference.as_json() == native.as_json()


@pytest.mark.parametrize("max_line", [1, 63, 64, 65, 4_095, 4_096, 4_097, 9_000])
def test_lines_over_the_limit_are_malformed_alike(
    max_line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines around the limit and around the size of a block, with and without a newline at the end."""
    agreeing = written(EVENTS[0])
    lines = [b'{"x":"' + b"y" * (size - 8) + b'"}' for size in (max_line, max_line + 1, 4_096, 8_192, 20_000)]
    for end in (b"", b"\n"):
        log = b"\n".join([agreeing, *lines, agreeing, lines[-1]]) + end
        reference, _ = both(strict(), log, tmp_path, max_line=max_line)
        native = in_blocks(strict(), [tmp_path / "audit.log"], 4_096, monkeypatch, max_line=max_line, threads=2)

        assert reference.as_json() == native.as_json()


@pytest.mark.parametrize("cut", [None, 0, 10, 100, -1, -9])
def test_compressed_segments_are_judged_alike(cut: int | None, tmp_path: Path) -> None:
    """Several members, cut off anywhere: the same records and the same sentence."""
    log = log_in("ack").read_bytes()
    path = tmp_path / "audit.log.gz"
    whole = gzip.compress(log[:300_000]) + gzip.compress(log[300_000:])
    path.write_bytes(whole[:cut])
    from kaudit_core.events.segments import Segment
    from kaudit_core.matcher.engine import Options, select

    found = [
        select(name).verify(policy_in("ack"), [Segment(str(path), True, False)], Options(threads=2)).as_json()
        for name in ("reference", "native")
    ]

    assert found[0] == found[1]


def test_many_segments_are_merged_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments judged at the same time are one after the other in the summary."""
    paths = []
    for number in range(9):
        paths.append(tmp_path / f"{number}.log{'.gz' if number % 3 == 0 else ''}")
        data = b"not json %d\n" % number + log_in("ack").read_bytes()[: 40_000 * number]
        paths[-1].write_bytes(gzip.compress(data) if number % 3 == 0 else data)
    one = in_blocks(policy_in("ack"), paths, 4_096, monkeypatch, threads=1)
    many = in_blocks(policy_in("ack"), paths, 4_096, monkeypatch, threads=4)

    assert one.as_json() == many.as_json()
    assert [str(path) for path in paths] == list(many.segments)


LISTS = (
    json.dumps({"kind": "EventList", "items": [*EVENTS]}, indent=1).encode(),
    json.dumps({"kind": "EventList", "items": [EVENTS[0], {"level": "x"}]}).encode(),
    json.dumps({"kind": "EventList", "items": []}).encode(),
    json.dumps({"records": [{"category": "kube-audit", "properties": {"log": json.dumps(EVENTS[3])}}]}).encode(),
)


def test_lines_behind_event_lists_are_judged_natively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists at the beginning are the reference's, and only they: offsets and lines go on behind them."""
    from kaudit_core.matcher.segment_run import SegmentRun

    handed: list[int] = []
    add_line = SegmentRun._add_line

    def noted(run: SegmentRun, block: int, line: Any) -> None:
        handed.append(line.offset)
        add_line(run, block, line)

    monkeypatch.setattr(SegmentRun, "_add_line", noted)
    lists, line = b"\n\n".join(LISTS) + b"\n", written(EVENTS[9]) + b"\n"
    log = lists + line * 1_000 + b"torn\n" + line * 1_000
    reference, native = both(policy_in("everything"), log, tmp_path, examples=5)

    assert log.index(b"torn\n") in handed
    assert reference.as_json() == native.as_json()
    assert len(handed) < 20 and min(handed) >= len(lists)


@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_whatever_stands_behind_lists_has_one_summary(newest: bool, tmp_path: Path) -> None:
    """Lists, torn lists and anything behind them, on the same line too."""
    rng = Random(f"{SEED} lists")
    pieces = [*LISTS, LISTS[0][:300], *(written(event) for event in EVENTS[:4]), b"{", b"}", b"{}", b" ", b"", b"]}"]
    for _ in range(1_000 if FULL else 150):
        parts = [rng.choice(LISTS), *rng.choices(pieces, k=rng.randrange(6))]
        log = b"".join(part + rng.choice((b"\n", b"\n", b"\n", b"", b" ", b"\r\n")) for part in parts)
        reference, native = both(strict(), log, tmp_path, examples=rng.choice((1, 100)), newest=newest)

        assert reference.as_json() == native.as_json(), log
