"""The logs and policies of the benchmarks: upstream, the reference and the native engine decide every event alike.

Upstream gets each event's URI and a method that gives its verb, and its user; what it answers is compared with the rule
that each engine names for the record. KAUDIT_FULL=1 takes ten times as many events.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import logs
import policies
import pytest

from kaudit_core.events.attributes import METHOD_OF_VERB
from kaudit_core.events.records import Record, read_records
from kaudit_core.matcher import Matcher
from kaudit_core.policy.versions import KubernetesVersion
from kaudit_core.verification.judge import Judge
from tests.oracle.upstream import PINS, Oracle, encoded

pytestmark = pytest.mark.oracle

FULL = os.environ.get("KAUDIT_FULL", "0") not in ("", "0")
BYTES = 20_000_000 if FULL else 2_000_000
SHARED = Path(__file__).parents[3] / "shared" / "bench"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared generators (../shared/bench) are not here")


def our_log(mix: str, _: Path) -> bytes:
    """What bench/logs.py makes."""
    return b"".join(logs.log(mix, BYTES))


def shared_log(mix: str, folder: Path) -> bytes:
    """What the generator of the published figures makes."""
    out = folder / "audit.log"
    subprocess.run([sys.executable, str(SHARED / "gen.py"), mix, str(BYTES), str(out)], check=True, timeout=300)
    return out.read_bytes()


def our_policies(mix: str, _: Path) -> Iterator[bytes]:
    """Policies of every size that the benchmark measures."""
    return (policies.as_json(size, mix).encode() for size in policies.SIZES)


def shared_policies(_: str, folder: Path) -> Iterator[bytes]:
    """The same of the published figures."""
    subprocess.run([sys.executable, str(SHARED / "genpol.py"), str(folder)], check=True, timeout=300)
    made = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_size)
    assert len(made) >= len(policies.SIZES)
    return (path.read_bytes() for path in made)


def requests_of(oracle: Oracle, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The attributes that upstream gives each event's request, and who made it."""
    questions = [
        {
            "op": "attributes",
            "method": METHOD_OF_VERB.get(event["verb"], event["verb"].upper()),
            "uri": encoded(event["requestURI"].encode()),
        }
        for event in events
    ]
    answers = [answer["attributes"] for answer in oracle.ask(questions)]
    assert [event["verb"] for event in events] == [answer["verb"] for answer in answers]
    return [
        answer | {"user": event["user"]["username"], "groups": event["user"].get("groups", [])}
        for event, answer in zip(events, answers, strict=True)
    ]


def rules_by(matcher: Matcher, log: bytes) -> Iterator[list[int | None]]:
    """The rule that each engine names for each record of a log."""
    yield [rule for batch in matcher.scan(log) for rule in batch.column("rule").to_pylist()]
    judge = Judge(matcher.policy)
    records = (record for record in read_records(io.BytesIO(log), newest=False) if isinstance(record, Record))
    yield [judge.decision(record).rule for record in records]


@pytest.mark.parametrize(
    ("some_log", "some_policies"),
    [(our_log, our_policies), pytest.param(shared_log, shared_policies, marks=needs_shared)],
    ids=["ours", "shared"],
)
@pytest.mark.parametrize("mix", ["metadata", "mixed"])
def test_workloads_are_decided_as_upstream_decides_them(
    oracles: dict[str, Oracle],
    some_log: Callable[[str, Path], bytes],
    some_policies: Callable[[str, Path], Iterator[bytes]],
    mix: str,
    tmp_path: Path,
) -> None:
    """Every event of a workload, with policies of 12 to 10,000 rules."""
    version = max(PINS, key=KubernetesVersion.parse)
    oracle, log = oracles[version], some_log(mix, tmp_path)
    asked = requests_of(oracle, [json.loads(line) for line in log.splitlines()])
    for policy in some_policies(mix, tmp_path):
        assert oracle.load(policy, "p").get("ok")
        answers = oracle.ask({"op": "evaluate", "id": "p", "attributes": request} for request in asked)
        upstream = [answer["rule"] for answer in answers]

        assert len(set(upstream)) > 2, "the policy decides nothing that matters"
        for found in rules_by(Matcher(policy, kubernetes_version=version, engine="native"), log):
            assert upstream == found


@pytest.mark.parametrize("mix", ["metadata", "mixed"])
@pytest.mark.parametrize("rules", policies.SIZES)
def test_our_workloads_agree_with_their_policies(mix: str, rules: int) -> None:
    """The benchmark measures logs that are in order, with several rules at work."""
    matcher = Matcher(policies.as_json(rules, mix).encode(), kubernetes_version="1.36", engine="native")
    summary = matcher.verify(b"".join(logs.log(mix, 1_000_000)))

    assert {"agrees": summary.events} == dict(summary.outcomes)
