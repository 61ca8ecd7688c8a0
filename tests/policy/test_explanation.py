"""Why a rule does not match, in words: the first field that keeps it from matching, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.policy.evaluator import Evaluator, first_mismatch
from kaudit_core.policy.explanation import why_not
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.requests import attributes_of
from kaudit_core.policy.types import Attributes, GroupResources, Policy, Rule
from kaudit_core.report.explanation import explanation_json, explanation_text
from tests.policy.generated_decisions import rendered, some_policy, some_request

POD = Attributes(
    user="alice",
    groups=("devs", "system:authenticated"),
    verb="list",
    namespace="n",
    api_version="v1",
    resource="pods",
    subresource="log",
    name="p",
    path="/api/v1/namespaces/n/pods/p/log",
    resource_request=True,
)
PATH = Attributes(user="alice", groups=("devs",), verb="get", path="/healthz")
NOBODY = replace(POD, user=None)

EVERYTHING_WRONG: dict[str, Any] = {
    "users": ("bob",),
    "user_groups": ("ops",),
    "verbs": ("get",),
    "namespaces": ("n2",),
    "resources": (GroupResources("apps"),),
}
"""Every field of a resource rule keeps it from POD; its order is the order of the evaluator."""


@pytest.mark.parametrize(
    ("rule", "request_", "why"),
    [
        pytest.param(Rule("None", users=("bob", "eve")), POD, 'users: "alice" is not in ["bob", "eve"]', id="users"),
        pytest.param(Rule("None", users=("bob",)), NOBODY, "users: the request has no user", id="users-of-nobody"),
        pytest.param(
            Rule("None", users=("bob",)), replace(POD, user=""), 'users: "" is not in ["bob"]', id="users-empty-name"
        ),
        pytest.param(
            Rule("None", user_groups=("ops",)),
            POD,
            'userGroups: none of ["devs", "system:authenticated"] is in ["ops"]',
            id="groups",
        ),
        pytest.param(
            Rule("None", user_groups=("devs",)), NOBODY, "userGroups: the request has no user", id="groups-of-nobody"
        ),
        pytest.param(
            Rule("None", user_groups=("ops",)),
            replace(POD, groups=()),
            'userGroups: none of [] is in ["ops"]',
            id="groups-of-a-user-without-groups",
        ),
        pytest.param(Rule("None", verbs=("get", "watch")), POD, 'verbs: "list" is not in ["get", "watch"]', id="verbs"),
        pytest.param(Rule("None", namespaces=("",)), POD, 'namespaces: "n" is not in [""]', id="namespaces"),
        pytest.param(
            Rule("None", namespaces=("n",)),
            PATH,
            "namespaces: the request is for no resource",
            id="namespaces-of-a-path",
        ),
        pytest.param(
            Rule("None", resources=(GroupResources("", ("pods",)), GroupResources("apps"))),
            POD,
            'resources: "pods/log" of group "" is not in group "" ["pods"]; group "apps" everything',
            id="resources",
        ),
        pytest.param(
            Rule("None", resources=(GroupResources("", ("pods/log",), ("x",)),)),
            POD,
            'resources: "pods/log" of group "", name "p", is not in group "" ["pods/log"] named ["x"]',
            id="names",
        ),
        pytest.param(
            Rule("None", resources=(GroupResources(""),)),
            PATH,
            "resources: the request is for no resource",
            id="resources-of-a-path",
        ),
        pytest.param(
            Rule("None", non_resource_urls=("/version", "/livez*")),
            PATH,
            'nonResourceURLs: "/healthz" is not in ["/version", "/livez*"]',
            id="urls",
        ),
        pytest.param(
            Rule("None", non_resource_urls=("*",)),
            POD,
            "nonResourceURLs: the request is for a resource",
            id="urls-of-a-resource",
        ),
        pytest.param(Rule("None"), POD, "", id="a-rule-without-fields-matches"),
        pytest.param(Rule("None", users=("alice",), namespaces=("n",)), POD, "", id="a-rule-that-matches"),
    ],
)
def test_the_reason_names_the_field_and_both_sides(rule: Rule, request_: Attributes, why: str) -> None:
    """A reader sees what was asked and what the rule wants."""
    assert why == why_not(rule, request_)


@pytest.mark.parametrize(
    ("given_fields", "field"),
    [
        pytest.param(("users", "user_groups", "verbs", "namespaces", "resources"), "users", id="users-come-first"),
        pytest.param(("resources", "namespaces", "verbs", "user_groups"), "userGroups", id="then-groups"),
        pytest.param(("resources", "namespaces", "verbs"), "verbs", id="then-verbs"),
        pytest.param(("resources", "namespaces"), "namespaces", id="then-namespaces"),
        pytest.param(("resources",), "resources", id="then-resources"),
    ],
)
def test_the_first_field_is_named(given_fields: tuple[str, ...], field: str) -> None:
    """Of several fields that keep a rule from matching, the first in the evaluator's order is named."""
    rule = replace(Rule("None"), **{name: EVERYTHING_WRONG[name] for name in given_fields})

    assert field == first_mismatch(rule, POD)
    assert why_not(rule, POD).startswith(f"{field}: ")


@given(st.randoms(use_true_random=False))
def test_there_is_a_reason_exactly_where_a_rule_does_not_match(rng: Random) -> None:
    """Every earlier rule has a one-line reason in ASCII, and the deciding one has none."""
    document = some_policy(rng, "mixed")
    attributes = attributes_of(some_request(rng, document))
    reading = read_policy(rendered(rng, document), "generated")
    assert reading.policy is not None, reading
    for rule in reading.policy.rules:
        why = why_not(rule, attributes)

        assert bool(why) == bool(first_mismatch(rule, attributes))
        assert why.isascii() and (why.isprintable() or not why)


def test_long_lists_are_cut() -> None:
    """A list of a thousand users is shown by its first few."""
    why = why_not(Rule("None", users=tuple(f"user-{number}" for number in range(1_000))), POD)

    assert why.endswith('"user-7", ...]')
    assert len(why) < 200


def test_long_and_hostile_values_are_escaped_and_cut() -> None:
    """Values of the request and of the policy can't obey a terminal, break a line or flood it."""
    hostile = "\x1b[2J\r\n\u202e\udcff" + "x" * 10_000
    why = why_not(Rule("None", users=(hostile,)), replace(POD, user=hostile))

    assert why.isascii() and why.isprintable()
    assert len(why) < 400


POLICY = Policy(
    (
        Rule("None", users=("bob",), line=4),
        Rule("RequestResponse", resources=(GroupResources("", ("secrets",)),), omit_stages=("Panic",), line=6),
        Rule("Request", verbs=("list",), omit_stages=("ResponseStarted",), omit_managed_fields=True, line=9),
        Rule("Metadata", line=12),
    ),
    omit_stages=("RequestReceived",),
)


def explained(attributes: Attributes, policy: Policy = POLICY) -> str:
    return explanation_text(policy, "policy.yaml", attributes, Evaluator(policy).evaluate(attributes))


def test_text_shows_attributes_decision_and_earlier_rules() -> None:
    """One screen: what was judged, by which rule, and why by no earlier one."""
    expected = """\
attributes
  user             alice
  groups           devs, system:authenticated
  verb             list
  namespace        n
  apiGroup         ""
  apiVersion       v1
  resource         pods
  subresource      log
  name             p
  path             /api/v1/namespaces/n/pods/p/log
  resourceRequest  yes

decided by        rule 2 (line 9) of policy.yaml
level             Request
omitStages        RequestReceived, ResponseStarted
omitManagedFields yes

not matched
  rule 0 (line 4)  users: "alice" is not in ["bob"]
  rule 1 (line 6)  resources: "pods/log" of group "" is not in group "" ["secrets"]
"""

    assert expected == explained(POD)


def test_text_says_when_no_rule_matches() -> None:
    """Then every rule has its reason, and the level is None."""
    text = explained(PATH, Policy(POLICY.rules[:3]))

    assert "decided by        no rule: nothing matches, nothing is logged\nlevel             None\n" in text
    assert ["rule 0", "rule 1", "rule 2"] == [line[2:8] for line in text.splitlines()[-3:]]


def test_text_says_when_the_first_rule_decides() -> None:
    """There is nothing to explain before it, and a rule that came from no file has no line."""
    text = explained(POD, Policy((Rule("Metadata"),)))

    assert "decided by        rule 0 of policy.yaml\n" in text
    assert text.endswith("\nno earlier rule\n")


def test_text_tells_nobody_from_an_empty_name() -> None:
    """A request without a user is not one whose user has an empty name."""
    assert "  user             none: not authenticated\n" in explained(NOBODY)
    assert '  user             ""\n' in explained(replace(POD, user=""))


def test_text_escapes_what_a_terminal_would_obey() -> None:
    """Attributes and the policy's name come from others."""
    hostile = "\x1b[31m\u202e\r\n\udcff"
    attributes = replace(PATH, user=hostile, groups=(hostile,), verb=hostile, path="/" + hostile)
    text = explanation_text(POLICY, hostile, attributes, Evaluator(POLICY).evaluate(attributes))

    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count("\n") == len(explained(PATH).split("\n")) - 1


def test_json_is_the_answer_with_attributes_and_reasons() -> None:
    """The object of `evaluate`, and more."""
    config = Evaluator(POLICY).evaluate(POD)
    expected = {
        "rule": 2,
        "level": "Request",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "omitManagedFields": True,
        "attributes": {
            "user": "alice",
            "groups": ["devs", "system:authenticated"],
            "verb": "list",
            "namespace": "n",
            "apiGroup": "",
            "apiVersion": "v1",
            "resource": "pods",
            "subresource": "log",
            "name": "p",
            "path": "/api/v1/namespaces/n/pods/p/log",
            "resourceRequest": True,
        },
        "notMatched": [
            {"rule": 0, "line": 4, "why": 'users: "alice" is not in ["bob"]'},
            {"rule": 1, "line": 6, "why": 'resources: "pods/log" of group "" is not in group "" ["secrets"]'},
        ],
    }

    assert expected == json.loads(json.dumps(explanation_json(POLICY, POD, config)))


def test_json_of_nobody_has_no_user() -> None:
    """As on the way in: the key is left out."""
    assert "user" not in explanation_json(POLICY, NOBODY, Evaluator(POLICY).evaluate(NOBODY))["attributes"]
