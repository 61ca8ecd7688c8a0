"""Presets put to upstream, on both pins: loaded without a warning, the same policy, and decided as promised."""

from __future__ import annotations

from typing import Any

import pytest

from kaudit_core.events.attributes import request_attributes
from kaudit_core.policy.composition import compose
from kaudit_core.policy.presets import NAMES
from kaudit_core.policy.requests import attributes_json
from tests.oracle.policy_answers import differences
from tests.oracle.upstream import PINS, Oracle
from tests.tables.presets import COLUMNS, LEVEL, PROMISES

pytestmark = pytest.mark.oracle

CHANGED: dict[str, Any] = {
    "rules_before": [{"level": "None", "users": ["1e3", "\x1b[31m\u202e\U0001f600", "null"]}],
    "group_overrides": [{"group": "a\nb: [", "preset": "secure"}, {"group": "system:authenticated", "preset": "ack"}],
    "namespace_overrides": [{"namespace": "shop", "preset": "all-bodies"}, {"namespace": "1", "level": "Request"}],
    "rules_after": [{"level": "Request", "resources": [{"group": "apps", "resources": ["*/scale"]}]}],
    "without_tokens": True,
    "omit_managed_fields": True,
}


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_loads_without_a_warning(oracles: dict[str, Oracle], version: str, name: str) -> None:
    """As it is, without tokens, and changed in every way."""
    texts = [compose({"preset": name, **fields}).text.encode() for fields in ({}, {"without_tokens": True}, CHANGED)]

    assert [] == differences(oracles[version], texts)
    for text in texts:
        answer = oracles[version].load(text)
        assert answer.get("ok") and not answer["warnings"], answer


@pytest.mark.parametrize("version", PINS)
@pytest.mark.parametrize("name", COLUMNS)
def test_upstream_keeps_the_promises(oracles: dict[str, Oracle], version: str, name: str) -> None:
    """Every row of the table, its URI resolved by upstream too."""
    oracle, column = oracles[version], COLUMNS.index(name)
    assert oracle.load(compose({"preset": name}).text.encode(), name).get("ok")
    asked = [request_attributes(row.method, row.uri, row.who[0], row.who[1:]) for row in PROMISES]
    answers = oracle.ask({"op": "evaluate", "id": name, "attributes": attributes_json(each)} for each in asked)
    promised = {row.id: LEVEL[row.letters.split()[column]] for row in PROMISES}

    assert promised == {row.id: answer["level"] for row, answer in zip(PROMISES, answers, strict=True)}
