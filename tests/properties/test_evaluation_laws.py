"""Laws of evaluation, for the evaluator and for every engine.

An engine judges logs, so it is asked through one: each request is logged at every level and at every stage, and
what the engine finds wrong tells the rule, the level and the stages that it holds for right.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.attributes import METHOD_OF_VERB, request_attributes
from kaudit_core.policy.evaluator import Evaluator, first_mismatch
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.requests import attributes_of
from kaudit_core.policy.types import LEVELS, STAGES, Attributes, GroupResources, Policy, Rule
from kaudit_core.policy.versions import NEWEST
from kaudit_core.verification.findings import LEVEL_ABOVE, LEVEL_BELOW, UNEXPECTED_EVENT, UNEXPECTED_STAGE
from tests.engines import ENGINES, EngineUnderTest, log_of
from tests.tables import decisions
from tests.tables.decisions import MATCHES, REQUESTS, RULES


class Asked(NamedTuple):
    """A request that can be logged."""

    method: str
    uri: str
    user: str | None
    groups: tuple[str, ...]

    @property
    def attributes(self) -> Attributes:
        """What the policy judges."""
        return request_attributes(*self)


class Decision(NamedTuple):
    """What was decided."""

    rule: int | None
    level: str
    omit_stages: tuple[str, ...]


class Decider(Protocol):
    """Whatever decides requests by a policy."""

    @property
    def name(self) -> str:
        """How it is called in the tests' ids."""

    def decide(self, policy: Policy, requests: list[Asked]) -> list[Decision]:
        """Return one decision per request."""


class ByEvaluator:
    """The readable reference."""

    name = "evaluator"

    def decide(self, policy: Policy, requests: list[Asked]) -> list[Decision]:
        """Ask it as it is meant to be asked."""
        evaluator = Evaluator(policy)
        configs = [evaluator.evaluate(request.attributes) for request in requests]
        return [Decision(config.rule, config.level, config.omit_stages) for config in configs]


LOGGED: Final = (*((level, STAGES[0]) for level in LEVELS[1:]), *((LEVELS[1], stage) for stage in STAGES[1:]))
"""The ways to log a request that tell apart every level and every stage."""


@dataclass(frozen=True)
class ByEngine:
    """An engine, through a log that holds each request in every way it can be logged."""

    engine: EngineUnderTest

    @property
    def name(self) -> str:
        """The engine's."""
        return f"{self.engine.name}-engine"

    def decide(self, policy: Policy, requests: list[Asked]) -> list[Decision]:
        """Read the decisions off the findings. Whatever was decided, most of the records are wrong."""
        summary = self.engine.verify(policy, log_of(*(event_of(asked, *way) for asked in requests for way in LOGGED)))
        found: dict[tuple[int, str, str], set[str]] = {}
        rules: dict[int, set[int | None]] = {}
        for example in (example for examples in summary.examples.values() for example in examples):
            number, way = divmod(example.line - 1, len(LOGGED))
            found.setdefault((number, *LOGGED[way]), set()).add(example.finding)
            rules.setdefault(number, set()).add(example.rule)
        return [self._decision(number, found, rules[number]) for number in range(len(requests))]

    def _decision(self, number: int, found: dict[tuple[int, str, str], set[str]], rules: set[int | None]) -> Decision:
        of_level = {UNEXPECTED_EVENT, LEVEL_ABOVE, LEVEL_BELOW}
        right = [level for level in LEVELS[1:] if not of_level & found.get((number, level, STAGES[0]), set())]
        omitted = [stage for stage in STAGES if UNEXPECTED_STAGE in found.get((number, LEVELS[1], stage), set())]
        [rule], [level] = rules, right or ["None"]
        return Decision(rule, level, tuple(sorted(omitted)))


def event_of(asked: Asked, level: str, stage: str) -> dict[str, Any]:
    """The event of a request; a request without a user has an empty one."""
    judged = asked.attributes
    ref = {
        "resource": judged.resource,
        "subresource": judged.subresource,
        "namespace": judged.namespace,
        "name": judged.name,
        "apiGroup": judged.api_group,
        "apiVersion": judged.api_version,
    }
    about = {"objectRef": {key: value for key, value in ref.items() if value}} if judged.resource_request else {}
    user = {} if asked.user is None else {"username": asked.user, "groups": list(asked.groups)}
    time = "2026-01-31T12:00:00.000000Z"
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": level,
        "auditID": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "stage": stage,
        "requestURI": asked.uri,
        "verb": judged.verb,
        "user": user,
        **about,
        "requestReceivedTimestamp": time,
        "stageTimestamp": time,
    }


DECIDERS: Final[list[Decider]] = [ByEvaluator(), *(ByEngine(engine) for engine in ENGINES)]
each_decider = pytest.mark.parametrize("decider", DECIDERS, ids=lambda decider: decider.name)

USERS = ("alice", "bob", "system:node:n", "*", "a")
GROUPS = ("devs", "ops", "*", "")
VERBS = ("get", "list", "watch", "create", "deletecollection", "delete", "update", "*")
NAMESPACES = ("n", "n2", "", "*")
PATTERNS = ("pods", "pods/*", "pods/log", "*", "*/log", "*/*", "deployments", "secrets")
NAMES = ("x", "y", "")
URLS = ("*", "/healthz", "/healthz*", "/version", "/", "/api/*")
URIS = (
    *("/api/v1/pods", "/api/v1/namespaces/n/pods", "/api/v1/namespaces/n/pods/x", "/api/v1/namespaces/n2/pods/y/log"),
    *("/apis/apps/v1/namespaces/n/deployments/x", "/api/v1/namespaces/n/secrets?fieldSelector=metadata.name%3Dx"),
    *("/api/v1/namespaces/n", "/api/v1/namespaces/n/pods?watch=1", "/healthz", "/healthz/x", "/version", "/api/v1"),
)


def some(pool: tuple[str, ...], most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    """Up to a few values."""
    return st.lists(st.sampled_from(pool), max_size=most).map(tuple)


def seldom(values: st.SearchStrategy[tuple[str, ...]]) -> st.SearchStrategy[tuple[str, ...]]:
    """A field that most rules leave out: rules with every field match next to nothing."""
    return st.one_of(st.just(()), st.just(()), values)


entries = st.builds(GroupResources, st.sampled_from(("", "apps", "*")), some(PATTERNS), seldom(some(NAMES)))
who = {
    "users": seldom(some((*USERS, ""))),
    "user_groups": seldom(some(GROUPS)),
    "verbs": seldom(some(VERBS)),
    "omit_stages": some(STAGES, 2),
}
resource_rules = st.builds(
    Rule,
    st.sampled_from(LEVELS),
    resources=st.lists(entries, max_size=2).map(tuple),
    namespaces=seldom(some(NAMESPACES)),
    **who,
)
path_rules = st.builds(Rule, st.sampled_from(LEVELS), non_resource_urls=some(URLS), **who)
rules = resource_rules | path_rules
policies = st.builds(Policy, st.lists(rules, min_size=1, max_size=6).map(tuple), some(STAGES, 2), st.booleans())
methods = st.sampled_from(("GET", "POST", "PUT", "DELETE"))
users = st.none() | st.sampled_from(USERS)
several = st.lists(st.builds(Asked, methods, st.sampled_from(URIS), users, some(GROUPS, 2)), min_size=1, max_size=4)
everything = st.builds(
    lambda method, user, groups: [Asked(method, uri, user, groups) for uri in URIS], methods, users, some(GROUPS, 2)
)
"""Somebody asks for every URI there is."""


@each_decider
@given(policy=policies, asked=everything)
def test_the_first_rule_without_a_mismatch_decides(decider: Decider, policy: Policy, asked: list[Asked]) -> None:
    """Deciding is nothing but finding the first rule that nothing speaks against."""
    expected = [
        next((index for index, rule in enumerate(policy.rules) if not first_mismatch(rule, one.attributes)), None)
        for one in asked
    ]

    assert expected == [decision.rule for decision in decider.decide(policy, asked)]


@each_decider
@given(policy=policies, asked=everything)
def test_deciders_agree_with_the_evaluator(decider: Decider, policy: Policy, asked: list[Asked]) -> None:
    """Rule, level and stages are the reference evaluator's."""
    assert ByEvaluator().decide(policy, asked) == decider.decide(policy, asked)


def asked_with(request: decisions.Request) -> Asked | None:
    """The request of a table's row, where some method and URI lead to exactly its attributes."""
    wanted = attributes_of(request)
    if wanted.user == "" and not wanted.groups:
        return None  # logged as no user at all
    method = METHOD_OF_VERB.get(wanted.verb, wanted.verb.upper() or "OPTIONS")
    queries = ("", "?watch=1", f"?fieldSelector=metadata.name%3D{wanted.name}")
    for query in queries if wanted.path.startswith("/") else ():
        asked = Asked(method, quote(wanted.path) + query, wanted.user, wanted.groups)
        if asked.attributes == wanted:
            return asked
    return None


LOGGABLE: Final = {name: asked for name, request in REQUESTS.items() if (asked := asked_with(request))}


def test_most_rows_of_the_table_can_be_logged() -> None:
    """What is left out is what no log can tell, or no request line can ask for."""
    assert len(LOGGABLE) > len(REQUESTS) * 0.7


@each_decider
@pytest.mark.parametrize("rule", RULES)
def test_rows_of_the_table_hold(decider: Decider, rule: str) -> None:
    """Rows M2 to M10 of tests/tables, for every decider."""
    reading = read_policy(json.dumps(decisions.policy(RULES[rule])).encode(), "table", NEWEST)
    rows = [row for row in MATCHES if row.rule == rule and row.request in LOGGABLE]
    assert reading.policy is not None
    decided = decider.decide(reading.policy, [LOGGABLE[row.request] for row in rows])

    assert [(row.id, row.matches) for row in rows] == [
        (row.id, decision.rule == 0) for row, decision in zip(rows, decided, strict=True)
    ]


@each_decider
@given(policy=policies, more=rules, asked=several)
def test_appending_a_rule_never_changes_a_matched_request(
    decider: Decider, policy: Policy, more: Rule, asked: list[Asked]
) -> None:
    """What some rule decides is not touched; what none decided is decided by the new rule or by none still."""
    longer = replace(policy, rules=(*policy.rules, more))
    for before, after in zip(decider.decide(policy, asked), decider.decide(longer, asked), strict=True):
        if before.rule is not None:
            assert before == after
        else:
            assert after.rule in (None, len(policy.rules))


@each_decider
@given(policy=policies, at=st.integers(0, 6), asked=several)
def test_a_rule_without_fields_ends_the_list(decider: Decider, policy: Policy, at: int, asked: list[Asked]) -> None:
    """It decides whatever comes to it: what stands after it could as well be left out."""
    ended = replace(policy, rules=(*policy.rules[:at], Rule("Request")))
    longer = replace(policy, rules=(*ended.rules, *policy.rules[at:]))
    decisions = decider.decide(ended, asked)

    assert all(decision.rule is not None for decision in decisions)
    assert decisions == decider.decide(longer, asked)


@each_decider
@given(policy=policies, asked=several, order=st.randoms(use_true_random=False))
def test_omitted_stages_are_a_union_and_free_of_order(
    decider: Decider, policy: Policy, asked: list[Asked], order: Any
) -> None:
    """Each decision omits the policy's stages and its rule's, in whatever order and how often they were written."""
    decisions = decider.decide(policy, asked)
    for decision in decisions:
        own = () if decision.rule is None else policy.rules[decision.rule].omit_stages
        assert tuple(sorted({*policy.omit_stages, *own})) == decision.omit_stages

    def shuffled(stages: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(order.sample(stages * 2, len(stages) * 2))

    mixed = tuple(replace(rule, omit_stages=shuffled(rule.omit_stages)) for rule in policy.rules)
    assert decisions == decider.decide(replace(policy, rules=mixed, omit_stages=shuffled(policy.omit_stages)), asked)


DISJOINT: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "users": ({"users": ("alice",)}, {"users": ("bob", "a")}),
    "verbs": ({"verbs": ("get", "list")}, {"verbs": ("watch", "create", "delete")}),
    "namespaces": ({"namespaces": ("n",)}, {"namespaces": ("n2", "")}),
    "groups": ({"resources": (GroupResources(""),)}, {"resources": (GroupResources("apps"),)}),
    "resources": (
        {"resources": (GroupResources("", ("pods",)),)},
        {"resources": (GroupResources("", ("pods/log", "secrets")),)},
    ),
    "kinds": ({"namespaces": NAMESPACES}, {"non_resource_urls": ("*",), "namespaces": (), "resources": ()}),
    "paths": ({"non_resource_urls": ("/healthz",)}, {"non_resource_urls": ("/healthz/*", "/version")}),
}


@each_decider
@pytest.mark.parametrize("field", DISJOINT)
@given(policy=policies, first=resource_rules, second=resource_rules, at=st.integers(0, 6), asked=several)
def test_two_neighbours_that_share_no_request_can_change_places(
    decider: Decider, field: str, policy: Policy, first: Rule, second: Rule, at: int, asked: list[Asked]
) -> None:
    """The same rules decide as before, under their new numbers."""
    if field == "paths":
        first, second = (replace(rule, resources=(), namespaces=()) for rule in (first, second))
    made = [with_fields(rule, fields) for rule, fields in zip((first, second), DISJOINT[field], strict=True)]
    at = min(at, len(policy.rules))
    before, after = policy.rules[:at], policy.rules[at:]
    one = decider.decide(replace(policy, rules=(*before, *made, *after)), asked)
    other = decider.decide(replace(policy, rules=(*before, *reversed(made), *after)), asked)
    moved: dict[int | None, int] = {at: at + 1, at + 1: at}

    assert one == [decision._replace(rule=moved.get(decision.rule, decision.rule)) for decision in other]


def with_fields(rule: Rule, fields: dict[str, Any]) -> Rule:
    """A rule with some fields replaced."""
    return replace(rule, **fields)


LIST_FIELDS: Final = ("users", "user_groups", "verbs", "namespaces", "resources", "non_resource_urls")


@each_decider
@given(rule=rules, asked=several)
def test_a_rule_matches_where_each_of_its_fields_does(decider: Decider, rule: Rule, asked: list[Asked]) -> None:
    """Fields are joined by and: a rule is the conjunction of rules with one field each."""
    given_fields = [name for name in LIST_FIELDS if getattr(rule, name)]
    single = [with_fields(Rule(rule.level), {name: getattr(rule, name)}) for name in given_fields]
    apart = [[decision.rule for decision in decider.decide(Policy((one,)), asked)] for one in single]

    expected = [None if None in answers else 0 for answers in zip(*apart, strict=True)] or [0] * len(asked)
    assert expected == [decision.rule for decision in decider.decide(Policy((rule,)), asked)]


@each_decider
@pytest.mark.parametrize("field", LIST_FIELDS)
@given(rule=rules, asked=several)
def test_a_list_matches_where_one_of_its_values_does(
    decider: Decider, field: str, rule: Rule, asked: list[Asked]
) -> None:
    """Values are joined by or: a rule is a run of rules with one value each."""
    values = getattr(rule, field)
    parts = tuple(with_fields(rule, {field: (value,)}) for value in values) or (rule,)
    apart = decider.decide(Policy(parts), asked)

    expected = [None if decision.rule is None else 0 for decision in apart]
    assert expected == [decision.rule for decision in decider.decide(Policy((rule,)), asked)]


@each_decider
@given(policy=policies, asked=several)
def test_rules_about_users_never_see_a_request_without_one(
    decider: Decider, policy: Policy, asked: list[Asked]
) -> None:
    """For nobody, rules with users or groups might as well not be there."""
    nobody = [one._replace(user=None) for one in asked]
    kept = [index for index, rule in enumerate(policy.rules) if not rule.users and not rule.user_groups]
    shorter = replace(policy, rules=tuple(policy.rules[index] for index in kept))

    expected = [None if one.rule is None else kept[one.rule] for one in decider.decide(shorter, nobody)]
    assert expected == [one.rule for one in decider.decide(policy, nobody)]


@each_decider
@given(rule=resource_rules, asked=several)
def test_group_star_is_every_group(decider: Decider, rule: Rule, asked: list[Asked]) -> None:
    """An entry for group "*" is an entry for each group that there is."""
    each = ("", "apps")
    spread = tuple(
        replace(entry, group=group)
        for entry in rule.resources
        for group in (each if entry.group == "*" else (entry.group,))
    )

    assert decider.decide(Policy((replace(rule, resources=spread),)), asked) == decider.decide(Policy((rule,)), asked)


SIZES: Final = (1, 2, 63, 64, 65, 127, 128, 129)
each_size = pytest.mark.parametrize("size", SIZES)


@each_decider
@each_size
def test_every_place_in_a_long_policy_can_decide(decider: Decider, size: int) -> None:
    """Rule k of 63, 64, 65 decides the request made for it, and nothing decides the one made for none."""
    policy = Policy(tuple(Rule(LEVELS[k % 4], users=(f"user-{k}",)) for k in range(size)))
    asked = [Asked("GET", "/api/v1/pods", f"user-{k}", ()) for k in range(size + 1)]

    expected = [Decision(k, LEVELS[k % 4], ()) for k in range(size)] + [Decision(None, "None", ())]
    assert expected == decider.decide(policy, asked)


@each_decider
@each_size
def test_the_last_rule_of_a_long_policy_is_reached(decider: Decider, size: int) -> None:
    """Where all the rules before it fail in their last field, the last one decides."""
    before = Rule("None", users=("alice",), verbs=("list",), resources=(GroupResources("", ("pods",), ("x",)),))
    policy = Policy((*[before] * (size - 1), Rule("Request", users=("alice",))))

    expected = [Decision(size - 1, "Request", ())]
    assert expected == decider.decide(policy, [Asked("GET", "/api/v1/namespaces/n/pods", "alice", ())])


LONG_FIELDS: Final[dict[str, Callable[[tuple[str, ...]], dict[str, Any]]]] = {
    "users": lambda values: {"users": values},
    "user_groups": lambda values: {"user_groups": values},
    "verbs": lambda values: {"verbs": values},
    "namespaces": lambda values: {"namespaces": values},
    "groups": lambda values: {"resources": tuple(GroupResources(value) for value in values)},
    "resources": lambda values: {"resources": (GroupResources("v0.x", values),)},
    "entries": lambda values: {"resources": tuple(GroupResources("v0.x", (value,)) for value in values)},
    "subresources": lambda values: {"resources": (GroupResources("v0.x", tuple(f"*/{v}" for v in values)),)},
    "resource_names": lambda values: {"resources": (GroupResources("v0.x", ("*",), values),)},
    "non_resource_urls": lambda values: {"non_resource_urls": tuple(f"/{value}/*" for value in values)},
}


def asked_for(field: str, value: str) -> Asked:
    """A request that has one value in one field and v0.x elsewhere."""
    part = {name: value if name == field else "v0.x" for name in LONG_FIELDS}
    group, namespace, name = part["groups"], part["namespaces"], part["resource_names"]
    resource = value if field == "entries" else part["resources"]
    uri = f"/apis/{group}/v1/namespaces/{namespace}/{resource}/{name}/{part['subresources']}"
    if field in ("resources", "entries"):
        uri = uri.rpartition("/")[0]
    if field in ("non_resource_urls", "verbs"):
        uri = f"/{part['non_resource_urls']}/x"
    return Asked(value.upper() if field == "verbs" else "GET", uri, part["users"], (part["user_groups"],))


@each_decider
@pytest.mark.parametrize("field", LONG_FIELDS)
@each_size
def test_every_place_in_a_long_list_can_match(decider: Decider, field: str, size: int) -> None:
    """Value k of 63, 64, 65 matches, wherever it stands, and a value that is not in the list does not."""
    values = tuple(f"v{k}.x" for k in range(size))
    policy = Policy((Rule("Metadata", **LONG_FIELDS[field](values)),))
    decisions = decider.decide(policy, [asked_for(field, value) for value in (*values, f"v{size}.x", "v", "v.x")])

    assert [0] * size + [None] * 3 == [decision.rule for decision in decisions]


def test_list_fields_are_all_that_a_rule_has() -> None:
    """A field that joins Rule joins the laws."""
    others = {"level", "omit_stages", "omit_managed_fields", "line"}

    assert {field.name for field in dataclasses.fields(Rule)} == others.union(LIST_FIELDS)
