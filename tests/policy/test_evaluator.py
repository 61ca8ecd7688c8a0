"""Which rule decides: the rows M1 to M11, named. tests/oracle/test_evaluation.py asks upstream the same."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.requests import attributes_of, config_json
from kaudit_core.policy.types import GroupResources, Policy, RequestAuditConfig, Rule
from kaudit_core.policy.versions import KubernetesVersion
from tests.policy.vectors import REDUCED, differing
from tests.tables import decisions
from tests.tables.decisions import DECIDES, MATCHES, REQUESTS, RULES, UNLOADABLE_MATCHES, UNLOADABLE_RULES

OLDER, NEWER = KubernetesVersion(1, 35), KubernetesVersion(1, 36)


def loaded(document: dict[str, Any], version: KubernetesVersion = NEWER) -> Policy:
    """A policy read from its file."""
    reading = read_policy(json.dumps(document).encode(), "table", version)
    assert reading.policy is not None, reading.findings
    return reading.policy


def rule_of(fields: dict[str, Any]) -> Rule:
    """A rule built past the reader, which would refuse it."""
    entries = tuple(
        GroupResources(entry["group"], tuple(entry.get("resources", ())), tuple(entry.get("resourceNames", ())))
        for entry in fields.get("resources", ())
    )
    return Rule("Metadata", resources=entries, non_resource_urls=tuple(fields.get("nonResourceURLs", ())))


@pytest.mark.parametrize("row", MATCHES, ids=lambda row: row.id)
def test_a_rule_matches_as_its_row_says(row: decisions.Matches) -> None:
    """One rule, read from a file, decides one request or leaves it to the default."""
    config = Evaluator(loaded(decisions.policy(RULES[row.rule]))).evaluate(attributes_of(REQUESTS[row.request]))

    assert (0 if row.matches else None) == config.rule
    assert ("Metadata" if row.matches else "None") == config.level


@pytest.mark.parametrize("row", UNLOADABLE_MATCHES, ids=lambda row: row.id)
def test_a_rule_that_no_server_loads_matches_as_its_row_says(row: decisions.Matches) -> None:
    """The evaluator keeps to upstream's words even where the reader keeps such rules away from it."""
    evaluator = Evaluator(Policy((rule_of(UNLOADABLE_RULES[row.rule]),)))

    assert (0 if row.matches else None) == evaluator.evaluate(attributes_of(REQUESTS[row.request])).rule


@pytest.mark.parametrize("row", DECIDES, ids=lambda row: row.id)
def test_a_policy_answers_as_its_row_says(row: decisions.Decides) -> None:
    """A policy's answer: the rule, its level, the stages and managed fields it omits."""
    config = Evaluator(loaded(row.policy)).evaluate(attributes_of(REQUESTS[row.request]))

    assert row.answer == config_json(config)


@pytest.mark.parametrize("name", UNLOADABLE_RULES)
def test_unloadable_rules_are_refused(name: str) -> None:
    """What the table builds past the reader is really refused by it."""
    reading = read_policy(json.dumps(decisions.policy(UNLOADABLE_RULES[name])).encode(), "table", NEWER)

    assert reading.refused


@pytest.mark.parametrize("name", RULES)
def test_a_rule_loads_where_its_row_says(name: str) -> None:
    """Every rule of the table loads on a new server, and those with group "*" only there."""
    document = json.dumps(decisions.policy(RULES[name])).encode()

    assert not read_policy(document, "table", NEWER).refused
    assert read_policy(document, "table", OLDER).refused == (name in decisions.ONLY_SINCE_1_36)


def test_every_row_of_the_semantics_is_claimed() -> None:
    """Each of M1 to M11 has a row, no id is used twice, and no rule or request of the table is idle."""
    rows = (*MATCHES, *UNLOADABLE_MATCHES)
    ids = [row.id for row in (*rows, *DECIDES)]
    numbered = {int(re.match(r"M(\d+)-", name)[1]) for name in ids}  # type: ignore[index]

    assert set(range(1, 12)) == numbered
    assert len(ids) == len(set(ids))
    assert {*RULES, *UNLOADABLE_RULES} == {row.rule for row in rows}
    assert set(REQUESTS) == {row.request for row in (*rows, *DECIDES)}


def test_recorded_vectors_have_our_answer() -> None:
    """The reduced copy of 15,000 decisions that were recorded from upstream."""
    differ, compared = differing(REDUCED)

    assert [] == differ[:3]
    assert compared > 5_000


def test_M1_policy_without_rules_decides_nothing() -> None:
    """No server loads it, yet the evaluator answers: level None, with the policy's own words."""
    evaluator = Evaluator(Policy((), ("RequestReceived",), True))

    expected = RequestAuditConfig(None, "None", ("RequestReceived",), True)
    assert expected == evaluator.evaluate(attributes_of(REQUESTS["get-pod"]))


def test_M2_user_null_is_no_user() -> None:
    """Written as null, a user is as absent as without the key; only "" is a user with an empty name."""
    evaluator = Evaluator(loaded(decisions.policy(RULES["users-empty-name"])))
    without = {key: value for key, value in REQUESTS["get-pod"].items() if key != "user"}

    assert evaluator.evaluate(attributes_of(without | {"user": None})).rule is None
    assert evaluator.evaluate(attributes_of(without)).rule is None
    assert evaluator.evaluate(attributes_of(without | {"user": ""})).rule == 0


def test_M10_path_is_compared_byte_for_byte() -> None:
    """A path with bytes that are not UTF-8 matches a prefix before them and no other text for them."""
    rules = tuple(Rule("Metadata", non_resource_urls=(spec,)) for spec in ("/\ufffd*", "/a\ufffd", "/a*"))
    strange = attributes_of({"verb": "get", "path": "/a\udcff"})

    assert Evaluator(Policy(rules)).evaluate(strange).rule == 2
