"""Which rule decides, put to upstream's own evaluator: the table, the vectors, and generated near misses.

Generated policies are written to a file's bytes and loaded by our reader and by upstream's. KAUDIT_FULL=1 asks five
times as many; KAUDIT_SEED=n asks others. A failure prints the seed and the smallest policy and request that still
differ.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from kaudit_core.matcher import Matcher
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.requests import attributes_json, attributes_of, config_json
from kaudit_core.policy.versions import KubernetesVersion
from tests.oracle.upstream import PINS, Oracle, encoded
from tests.policy.generated_decisions import SHAPES, Document, Request, rendered, some_policy, some_request
from tests.policy.vectors import REDUCED, SHARED, differing, expected_answer, judged, load
from tests.tables import decisions
from tests.tables.decisions import DECIDES, MATCHES, REQUESTS, RULES

pytestmark = pytest.mark.oracle

DECISIONS = 1_000_000 if os.environ.get("KAUDIT_FULL", "0") not in ("", "0") else 200_000
"""For each pin."""
PER_TEST = DECISIONS // len(SHAPES)
PER_POLICY = 50
POLICIES_AT_ONCE = 20
SEED = int(os.environ.get("KAUDIT_SEED", "1"))
GROUP_WILDCARD = KubernetesVersion(1, 36)


def theirs(oracle: Oracle, data: bytes, requests: list[Request]) -> list[dict[str, Any]]:
    """Upstream's answers to requests, in our words."""
    load_it = {"op": "load", "id": "p", "policy": encoded(data)}
    loaded, *answers = oracle.ask([load_it, *({"op": "evaluate", "id": "p", "attributes": one} for one in requests)])
    assert loaded.get("ok"), f"upstream {oracle.version} refuses {data!r}: {loaded}"
    return answers


def ours(version: str, data: bytes, requests: list[Request]) -> list[dict[str, Any]]:
    """Our answers to requests, from the readable evaluator and from the best engine."""
    reading = read_policy(data, "policy", KubernetesVersion.parse(version))
    assert reading.policy is not None, f"refused for {version}: {data!r}: {reading.findings}"
    evaluator, matcher = Evaluator(reading.policy), Matcher(reading.policy)
    asked = [attributes_of(request) for request in requests]
    configs = [evaluator.evaluate(attributes) for attributes in asked]
    assert configs == [matcher.evaluate(attributes) for attributes in asked], "the engines differ"
    return [config_json(config) for config in configs]


@pytest.mark.parametrize("version", PINS)
def test_the_matching_table_holds_upstream(oracles: dict[str, Oracle], version: str) -> None:
    """Every row M2 to M10 that our tests claim is what upstream answers."""
    newer = KubernetesVersion.parse(version) >= GROUP_WILDCARD
    rows = [row for row in MATCHES if newer or row.rule not in decisions.ONLY_SINCE_1_36]
    failing = []
    for row in rows:
        data = json.dumps(decisions.policy(RULES[row.rule])).encode()
        if row.matches != (theirs(oracles[version], data, [REQUESTS[row.request]])[0]["rule"] == 0):
            failing.append(row.id)

    assert [] == failing


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize("row", DECIDES, ids=lambda row: row.id)
def test_the_deciding_table_holds_upstream(oracles: dict[str, Oracle], version: str, row: decisions.Decides) -> None:
    """Every row M1 and M11 that our tests claim is what upstream answers."""
    assert [row.answer] == theirs(oracles[version], json.dumps(row.policy).encode(), [REQUESTS[row.request]])


@pytest.mark.parametrize("name", decisions.ONLY_SINCE_1_36)
def test_group_star_is_refused_upstream_before_1_36(oracles: dict[str, Oracle], name: str) -> None:
    """The rows about group "*" are not asked of the older pin because it does not load them."""
    assert "error" in oracles["1.35"].load(json.dumps(decisions.policy(RULES[name])).encode())


@pytest.mark.skipif(not SHARED.exists(), reason="only the reduced copy of the vectors is here")
def test_all_shared_vectors_have_our_answer() -> None:
    """All 15,000 decisions that were recorded from upstream are ours."""
    differ, compared = differing(SHARED)

    assert [] == differ[:3]
    assert compared >= 15_000


@pytest.mark.parametrize("version", PINS)
def test_reduced_vectors_are_what_upstream_answers(oracles: dict[str, Oracle], version: str) -> None:
    """What was recorded is what both pins answer, so that the vectors do not grow stale."""
    policies, rows = load(REDUCED)
    stale = []
    for number, data in policies.items():
        mine = [row for row in rows if row["policy"] == number and expected_answer(row) is not None]
        requests = [attributes_json(judged(row["in"])) for row in mine]
        answers = theirs(oracles[version], data, requests)
        stale += [row for row, answer in zip(mine, answers, strict=True) if expected_answer(row) != answer]

    assert [] == stale[:3]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", PINS)
def test_generated_decisions_are_upstream_decisions(oracles: dict[str, Oracle], version: str, shape: str) -> None:
    """Whatever the policy and the request, rule, level, stages and managed fields are upstream's."""
    rng = Random(f"{SEED} {version} {shape}")
    any_group = KubernetesVersion.parse(version) >= GROUP_WILDCARD
    asked = 0
    decided: set[int | None] = set()
    while asked < PER_TEST:
        batch = []
        for _ in range(POLICIES_AT_ONCE):
            document = some_policy(rng, shape, any_group)
            batch.append((document, rendered(rng, document), [some_request(rng, document) for _ in range(PER_POLICY)]))
        upstream = answers_to(oracles[version], [(data, requests) for _, data, requests in batch])
        for (document, data, requests), expected in zip(batch, upstream, strict=True):
            found = ours(version, data, requests)
            asked += len(found)
            decided.update(answer["rule"] for answer in found)
            assert expected == found, replay(oracles[version], document, data, requests, expected, found)

    assert {None, 0, 1, 2} <= decided, "the generator asks nothing that matters"


def answers_to(oracle: Oracle, batch: list[tuple[bytes, list[Request]]]) -> Iterator[list[dict[str, Any]]]:
    """Upstream's answers for many policies, asked in one go."""
    questions: list[dict[str, Any]] = []
    for data, requests in batch:
        questions.append({"op": "load", "id": "p", "policy": encoded(data)})
        questions += ({"op": "evaluate", "id": "p", "attributes": request} for request in requests)
    answers = iter(oracle.ask(questions))
    for data, requests in batch:
        loaded = next(answers)
        assert loaded.get("ok"), f"KAUDIT_SEED={SEED}: upstream {oracle.version} refuses {data!r}: {loaded}"
        yield [next(answers) for _ in requests]


def replay(
    oracle: Oracle, document: Document, data: bytes, requests: list[Request], expected: list[Any], found: list[Any]
) -> str:
    """What is needed to see the first difference again: as it was made, and as small as it gets."""
    at = next(number for number, (theirs_, ours_) in enumerate(zip(expected, found, strict=True)) if theirs_ != ours_)
    small, request = smallest(oracle, document, requests[at])
    file = json.dumps(small, ensure_ascii=False)
    return (
        f"KAUDIT_SEED={SEED}, Kubernetes {oracle.version}\n"
        f"  policy:   {file}\n"
        f"  request:  {json.dumps(request, ensure_ascii=False)}\n"
        f"  upstream: {theirs(oracle, file.encode(), [request])[0]}\n"
        f"  ours:     {ours(oracle.version, file.encode(), [request])[0]}\n"
        f"as made, policy {data!r}, request {requests[at]}: upstream {expected[at]}, ours {found[at]}"
    )


def smallest(oracle: Oracle, document: Document, request: Request) -> tuple[Document, Request]:
    """Leave out part after part while the two still differ."""

    def differ(candidate: tuple[Document, Request]) -> bool:
        data = json.dumps(candidate[0]).encode()
        if read_policy(data, "policy", KubernetesVersion.parse(oracle.version)).policy is None:
            return False
        return theirs(oracle, data, [candidate[1]]) != ours(oracle.version, data, [candidate[1]])

    current = (document, request)
    if not differ(current):
        return current
    while True:
        smaller = next((one for one in reductions(current) if differ(one)), None)
        if smaller is None:
            return current
        current = smaller


def reductions(case: tuple[Document, Request]) -> Iterator[tuple[Document, Request]]:
    """Every case with one part less."""
    document, request = case
    for smaller in without_one(document):
        if smaller.get("rules") and "apiVersion" in smaller:
            yield smaller, request
    for smaller in without_one(request):
        yield document, smaller


def without_one(value: Any) -> Iterator[Any]:
    """A JSON value without one of its parts, at any depth."""
    if isinstance(value, dict):
        for key in value:
            yield {name: item for name, item in value.items() if name != key}
            yield from ({**value, key: smaller} for smaller in without_one(value[key]))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            yield from ([*value[:at], smaller, *value[at + 1 :]] for smaller in without_one(item))
