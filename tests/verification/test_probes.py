"""The request whose event a deployment looks for in the log: really logged, and harmless whatever the policy says."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.attributes import request_attributes
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Attributes, GroupResources, Policy, Rule
from kaudit_core.policy.versions import NEWEST
from kaudit_core.verification.probes import GROUPS, USER, Probe, choose_probe
from tests.policy.generated_decisions import SHAPES, some_policy

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
NAME = "kaudit-20261121t043000z"
READS = frozenset(["get", "list"])
WRITES = frozenset(["delete", "update", "patch"])
METADATA = Rule("Metadata")
FILES = sorted([*CORPUS.glob("real/*/policy.yaml"), *CORPUS.glob("bad-policies/*.yaml")])


def asked(probe: Probe) -> list[Attributes]:
    """What the API server judges when either certificate sends the probe."""
    return [request_attributes(probe.method, probe.uri, USER, groups) for groups in GROUPS]


def check_probe(policy: Policy) -> None:
    """A probe is logged with the rule and level it says, and can change nothing."""
    probe = choose_probe(policy, NAME)
    if probe is None:
        return
    assert probe.stages
    for attributes in asked(probe):
        config = Evaluator(policy).evaluate(attributes)

        assert (probe.rule, probe.level) == (config.rule, config.level) != (config.rule, "None")
        assert set() == set(probe.stages).intersection(config.omit_stages)
        assert_harmless(probe, attributes)


def assert_harmless(probe: Probe, attributes: Attributes) -> None:
    """Reads; writes of the object that doesn't exist; creates of no object. Sent as it is judged: no fragment."""
    assert probe.uri.isascii() and not set(probe.uri).intersection(" #\\\r\n")
    if not attributes.resource_request:
        assert ("GET", "get") == (probe.method, attributes.verb)
    elif attributes.verb == "create":
        assert ("POST", "", "") == (probe.method, attributes.name, attributes.subresource)
    else:
        assert attributes.verb in READS | WRITES
        assert (NAME, "") == (attributes.name, attributes.subresource)
        assert probe.method == "GET" or probe.uri.endswith(f"/{NAME}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_policies_of_the_corpus_have_true_probes(path: Path) -> None:
    """Real policies, and the odd ones that a server loads."""
    policy = read_policy(path.read_bytes(), path.name).policy
    if policy is not None:
        check_probe(policy)


def test_recorded_policies_have_true_probes() -> None:
    """The policies of the recorded decisions."""
    for line in gzip.decompress((CORPUS / "vectors" / "policies.jsonl.gz").read_bytes()).splitlines():
        policy = read_policy(line, "vectors").policy
        assert policy is not None
        check_probe(policy)


@given(seed=st.integers(0, 2**32), shape=st.sampled_from(SHAPES))
def test_generated_policies_have_true_probes(seed: int, shape: str) -> None:
    """Policies of every shape, with the group that stands for every group."""
    document: Any = some_policy(Random(seed), shape, any_group=True)
    policy = read_policy(json.dumps(document).encode(), "generated", NEWEST).policy
    assert policy is not None
    check_probe(policy)


hostile = st.text(st.sampled_from("ab/#?%*.:&= \\\r\n\x1b\u202e\u017c"), max_size=8) | st.sampled_from(
    [
        "secrets#",
        "secrets?",
        "secrets?a=",
        "watch",
        "proxy",
        "status",
        "finalize",
        "namespaces",
        "..",
        "%2e%2e",
        "pods/",
    ]
)


@given(
    rules=st.lists(
        st.builds(
            Rule,
            st.sampled_from(["None", "Metadata"]),
            verbs=st.lists(st.sampled_from(["delete", "deletecollection", "create", "update", "watch"])).map(tuple),
            resources=st.lists(st.builds(GroupResources, hostile, st.tuples(hostile)), max_size=2).map(tuple),
            namespaces=st.lists(hostile, max_size=2).map(tuple),
        )
        | st.builds(Rule, st.just("Metadata"), non_resource_urls=st.tuples(hostile.map(lambda text: f"/{text}"))),
        min_size=1,
        max_size=4,
    )
)
def test_hostile_names_never_widen_a_request(rules: list[Rule]) -> None:
    """A name with a fragment, a query or a special segment in it must not turn a DELETE into one of all objects."""
    check_probe(Policy(tuple(rules)))


@pytest.mark.parametrize("resource", ["secrets#", "secrets?", "secrets?dryRun=All&x=", "secrets/../secrets"])
def test_delete_of_an_odd_resource_is_not_asked(resource: str) -> None:
    """Clients cut a URI at "#": what the policy calls secrets# would be every secret."""
    rules = (
        Rule(
            "Metadata", verbs=("delete", "deletecollection"), resources=(GroupResources("", (resource, "secrets/x")),)
        ),
    )

    assert choose_probe(Policy(rules), NAME) is None


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(()), id="no-rules"),
        pytest.param(Policy((Rule("None"), METADATA)), id="first-rule-is-none"),
        pytest.param(Policy((METADATA,), ("RequestReceived", "ResponseComplete")), id="every-askable-stage-omitted"),
        pytest.param(Policy((Rule("Metadata", users=("alice",)),)), id="another-user"),
        pytest.param(Policy((Rule("Metadata", user_groups=("devs",)),)), id="another-group"),
        pytest.param(Policy((Rule("Metadata", user_groups=("system:masters",)),)), id="group-of-old-certificates-only"),
        pytest.param(Policy((Rule("Metadata", verbs=("watch",)),)), id="watches-hang"),
        pytest.param(Policy((Rule("Metadata", verbs=("deletecollection",)),)), id="deletecollection"),
        pytest.param(
            Policy((Rule("Metadata", non_resource_urls=("/debug/pprof/profile", "/logs/audit.log")),)),
            id="urls-that-take-long",
        ),
        pytest.param(
            Policy((Rule("Metadata", non_resource_urls=("/api/v1/watch/pods", "/a b", "/a#b", "/a?b")),)),
            id="urls-that-would-not-be-what-they-seem",
        ),
        pytest.param(
            Policy((Rule("Metadata", resources=(GroupResources("", ("pods",), ("web-0",)),)),)),
            id="an-object-that-exists",
        ),
    ],
)
def test_nothing_to_ask(policy: Policy) -> None:
    """A policy that logs nothing which a play may ask for has no probe."""
    assert choose_probe(policy, NAME) is None


CONFIGMAP = f"/api/v1/namespaces/kube-system/configmaps/{NAME}"


@pytest.mark.parametrize(
    ("rules", "method", "uri"),
    [
        pytest.param((METADATA,), "GET", CONFIGMAP, id="reads-first"),
        pytest.param(
            (Rule("Metadata", verbs=("update", "create")),), "PUT", CONFIGMAP, id="named-writes-before-creates"
        ),
        pytest.param(
            (Rule("Metadata", verbs=("create",)),),
            "POST",
            "/api/v1/namespaces/kube-system/configmaps",
            id="creates-name-nothing",
        ),
        pytest.param(
            (Rule("Metadata", verbs=("list",)),),
            "GET",
            f"/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3D{NAME}&limit=1",
            id="lists-ask-for-one-name",
        ),
        pytest.param((Rule("Metadata", non_resource_urls=("/version",)),), "GET", "/version", id="version"),
        pytest.param(
            (Rule("Metadata", non_resource_urls=("/healthz*",)),), "GET", f"/healthz{NAME}", id="prefix-of-a-url"
        ),
        pytest.param(
            (Rule("None", namespaces=("kube-system",)), METADATA),
            "GET",
            f"/api/v1/namespaces/default/configmaps/{NAME}",
            id="around-a-silent-namespace",
        ),
        pytest.param(
            (Rule("None", resources=(GroupResources(""),)), Rule("Metadata", namespaces=("prod",))),
            "GET",
            f"/apis/rbac.authorization.k8s.io/v1/namespaces/prod/roles/{NAME}",
            id="one-namespace-without-the-core-group",
        ),
        pytest.param(
            (Rule("Metadata", resources=(GroupResources("a.b", ("c",)),), namespaces=("n",)),),
            "GET",
            f"/apis/a.b/v1/namespaces/n/c/{NAME}",
            id="a-resource-that-only-the-policy-knows",
        ),
        pytest.param(
            (Rule("Metadata", resources=(GroupResources("apps", ("statefulsets/*",)),)),),
            "GET",
            f"/apis/apps/v1/namespaces/kube-system/statefulsets/{NAME}",
            id="slash-star-is-the-resource-too",
        ),
        pytest.param(
            (Rule("Metadata", resources=(GroupResources("x.y"),), namespaces=("",)),),
            "GET",
            f"/apis/x.y/v1/kaudit/{NAME}",
            id="any-resource-of-a-group-in-no-namespace",
        ),
    ],
)
def test_the_chosen_request(rules: tuple[Rule, ...], method: str, uri: str) -> None:
    """The first harmless request that is logged, in a fixed order."""
    probe = choose_probe(Policy(rules), NAME)

    assert probe is not None
    assert (method, uri) == (probe.method, probe.uri)


def test_stages_are_those_that_are_logged() -> None:
    """An event of an omitted stage is not waited for."""
    probe = choose_probe(Policy((Rule("Request", omit_stages=("ResponseComplete",)),)), NAME)

    assert probe is not None
    assert ("Request", ("RequestReceived",)) == (probe.level, probe.stages)


def test_large_silent_policy_is_answered_at_once() -> None:
    """The candidates grow with the rules, not with every resource in every namespace."""
    resources = (GroupResources("", tuple(f"r{number}" for number in range(500))),)
    rules = [Rule("None", resources=resources, namespaces=(f"n{number}",)) for number in range(100)]

    assert choose_probe(Policy((*rules, Rule("None"))), NAME) is None
