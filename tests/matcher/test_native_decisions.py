"""The compiled policy and the compiled request info against their readable definitions."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from random import Random

import pytest

from kaudit_core.events.attributes import attributes_for_verb
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.matcher import Matcher
from kaudit_core.matcher.engine import available
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.requests import attributes_of
from kaudit_core.policy.types import Attributes, GroupResources, Policy, Rule
from tests.policy.generated_decisions import SHAPES, rendered, some_policy, some_request
from tests.tables.decisions import MATCHES, REQUESTS, RULES, policy

pytestmark = pytest.mark.skipif("native" not in available(), reason="the extension was not built: needs a C++ compiler")

FULL = os.environ.get("KAUDIT_FULL", "0") not in ("", "0")
DECISIONS = 1_000_000 if FULL else 200_000
SEED = int(os.environ.get("KAUDIT_SEED", "1"))


@pytest.mark.parametrize("shape", SHAPES)
def test_generated_decisions_are_the_evaluators(shape: str) -> None:
    """Whatever the policy and the request, the compiled policy names the rule that the evaluator names."""
    rng = Random(f"{SEED} native {shape}")
    decided: Counter[int | None] = Counter()
    while decided.total() < DECISIONS // len(SHAPES):
        document = some_policy(rng, shape, any_group=True)
        matcher = Matcher(rendered(rng, document), kubernetes_version="1.36", engine="native")
        evaluator = Evaluator(matcher.policy)
        for _ in range(100):
            asked = attributes_of(some_request(rng, document))
            expected = evaluator.evaluate(asked)
            decided[expected.rule] += 1

            assert expected == matcher.evaluate(asked), f"KAUDIT_SEED={SEED}: {json.dumps(document)}: {asked}"

    assert {None, 0, 1, 2} <= decided.keys(), "the generator asks nothing that matters"


@pytest.mark.parametrize("row", MATCHES, ids=lambda row: row.id)
def test_the_matching_table_holds(row: object) -> None:
    """Rows M2 to M10."""
    matcher = Matcher(
        json.dumps(policy(RULES[row.rule])).encode(),  # type: ignore[attr-defined]
        kubernetes_version="1.36",
        engine="native",
    )
    found = matcher.evaluate(attributes_of(REQUESTS[row.request])).rule  # type: ignore[attr-defined]

    assert row.matches == (found == 0)  # type: ignore[attr-defined]


def crowded(rng: Random, count: int) -> Policy:
    """Rules of which each names `count` texts of one dimension, and as many rules."""
    names = [f"n-{number}" for number in range(count)]
    fields = (
        lambda: Rule("Metadata", users=tuple(names)),
        lambda: Rule("Metadata", user_groups=tuple(names)),
        lambda: Rule("Request", verbs=tuple(names)),
        lambda: Rule("Request", namespaces=tuple(names), verbs=(rng.choice(names),)),
        lambda: Rule("None", resources=(GroupResources("g", tuple(names), tuple(names)),), users=(rng.choice(names),)),
        lambda: Rule("None", resources=tuple(GroupResources(name, (name,)) for name in names), verbs=(names[-1],)),
        lambda: Rule("Metadata", non_resource_urls=tuple(f"/{name}*" for name in names), verbs=(names[0],)),
    )
    rng.shuffle(names)
    return Policy(tuple(rng.choice(fields)() for _ in range(count)))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 127, 128, 129, 255, 256, 257])
def test_dimensions_and_rules_of_every_size(count: int) -> None:
    """Words and vectors end where they end: the first, the last and the missing one are told apart."""
    rng = Random(count)
    for _ in range(10):
        matcher = Matcher(crowded(rng, count), engine="native")
        evaluator = Evaluator(matcher.policy)
        near = [f"n-{number}" for number in (0, 1, count - 2, count - 1, count)] + ["n-", "N-0", "n-0 ", ""]
        for _ in range(100):
            texts = {
                name: rng.choice(near) for name in ("user", "verb", "namespace", "resource", "subresource", "name")
            }
            resource = rng.random() < 0.6
            asked = Attributes(
                **texts,
                groups=tuple(rng.sample(near, rng.choice((0, 1, 3)))),
                api_group=rng.choice([*near, "g", "g"]),
                path="/" + rng.choice(near) + rng.choice(("", "x")),
                resource_request=resource,
            )

            assert evaluator.evaluate(asked) == matcher.evaluate(asked)


def test_rows_are_forgotten_before_they_fill_the_memory() -> None:
    """Many different paths against many rules: the rows made for them are dropped, and made again alike."""
    rules = [Rule("Metadata", non_resource_urls=(f"/{number}*",)) for number in range(6_000)]
    matcher = Matcher(Policy(tuple(rules)), engine="native")
    evaluator = Evaluator(matcher.policy)
    for number in (*range(0, 30_000, 7), 3, 5_999, 59_990):
        path = f"/{number}/x"
        if number % 500 == 0 or number > 29_000:
            assert evaluator.evaluate(Attributes(path=path)) == matcher.evaluate(Attributes(path=path))
        else:
            matcher.evaluate(Attributes(path=path))


SEGMENTS = (
    *(
        "api",
        "apis",
        "v1",
        "apps",
        "watch",
        "proxy",
        "namespaces",
        "n",
        "pods",
        "p",
        "status",
        "finalize",
        "log",
        "",
        "x",
    ),
    *("a%2Fb", "%2e", "%41pi", "%", "%zz", "%ff", "é", "a b", "<", ">", "*", "..", "metadata.name=x", "\x7f", "~"),
)
PARAMETERS = (
    *(
        "watch",
        "watch=1",
        "watch=true",
        "watch=false",
        "watch=FALSE",
        "watch=0",
        "watch=",
        "watch=fal%73e",
        "wa%74ch=1",
    ),
    *(
        "limit=500",
        "limit=abc",
        "limit=-1",
        "limit=",
        "limit=9223372036854775808",
        "timeoutSeconds=9",
        "timeoutSeconds=+1",
    ),
    *(
        "fieldSelector=metadata.name%3Dp",
        "fieldSelector=metadata.name=p",
        "fieldSelector=metadata.name!=p",
        "limit=%32",
    ),
    *("fieldSelector=metadata.name%3D%3Dp,a%3Db", "fieldSelector=a", "fieldSelector=metadata.name=a/b", "x;y", "%zz=1"),
    *(
        "fieldSelector=metadata.name=",
        "fieldSelector=metadata.name%3Db,metadata.name%3Da",
        "fieldSelector=,,",
        "watch;",
    ),
    *("labelSelector=a", "labelSelector=a=b,!c", "labelSelector=a+in+(b,c)", "labelSelector=a in (b)", "+=1", "a=b=c"),
    *("labelSelector=!!", "labelSelector=a/b/c", "labelSelector=-a", "labelSelector=a=", "labelSelector=a notin (x,,)"),
    *(
        "labelSelector=A.b_c-d/e!=f",
        "labelSelector=x.y/z==1",
        "labelSelector=,",
        "labelSelector=a,",
        "fieldSelector=a\\=b=c",
    ),
)
VERBS = (
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "proxy",
    "",
    "GET",
    "head",
    "x-y",
)


def some_uri(rng: Random) -> str:
    """A request URI that is near to what servers see."""
    begin = rng.choice(
        (["api", "v1"], ["apis", "apps", "v1"], ["api", "v1", "namespaces", "n"], ["api", "v1", "pods"], [])
    )
    path = "/" + "/".join([*begin, *(rng.choice(SEGMENTS) for _ in range(rng.choice((0, 0, 1, 1, 2, 3))))])
    if rng.random() < 0.05:
        path = rng.choice(("*", "x:y", "", "//api/v1/pods", "/api/v1/pods/", "http://h/api/v1/pods", "/", "//"))
    if rng.random() < 0.6:
        path += "?" + rng.choice(("&", "&", "&&")).join(
            rng.choice(PARAMETERS) for _ in range(rng.choice((0, 1, 1, 2, 3)))
        )
    return path


def test_request_info_is_the_readable_one_or_none() -> None:
    """Where compiled code resolves a URI and a verb, it gives what events.attributes gives; most it resolves."""
    from kaudit_core.matcher._native import PolicyMatcher
    from kaudit_core.matcher.compiler import compile_policy

    native = PolicyMatcher(compile_policy(Policy((Rule("Metadata"),))))
    rng = Random(SEED)
    answers: Counter[str] = Counter()
    for _ in range(500_000 if FULL else 60_000):
        uri, verb = some_uri(rng), rng.choice(VERBS)
        raw = json.dumps(uri, ensure_ascii=False)[1:-1].replace("&", "\\u0026").replace("<", "\\u003C")
        found = native.resolve(verb.encode(), raw.encode(), "\\" in raw)
        try:
            judged = attributes_for_verb(verb, uri)
        except UnparsableURI:
            judged = ()
        if found is None:
            answers["handed over"] += 1
            continue
        answers["judged" if judged else "none"] += 1
        expected = judged[0] if judged else None
        assert expected is not None, (uri, verb, found)
        assert expected == Attributes(None, (), *found), (uri, verb)

    assert 0 == answers["none"]
    assert answers["judged"] > 10_000


@pytest.mark.parametrize("kind", ["users", "namespaces", "names", "paths"])
def test_ten_thousand_rules_compile_without_delay(kind: str) -> None:
    """A hang guard: compiling is linear in what the rules name."""
    from kaudit_core.matcher.compiler import compile_policy

    def rule(number: int) -> Rule:
        name = f"{kind}-{number}"
        entry = GroupResources("g", ("r",), (name,))
        return {
            "users": Rule("Metadata", users=(name,), user_groups=(f"{name}-g",)),
            "namespaces": Rule("Metadata", namespaces=(name,)),
            "names": Rule("Metadata", resources=(entry,)),
            "paths": Rule("Metadata", non_resource_urls=(f"/{name}/*",)),
        }[kind]

    made = Policy(tuple(rule(number) for number in range(10_000)))
    begin = time.perf_counter()
    compile_policy(made)

    assert time.perf_counter() - begin < 5
