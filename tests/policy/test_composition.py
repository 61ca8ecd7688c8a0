"""One policy of a preset, overrides and rules of one's own: which comes first, what is refused, what is quoted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.attributes import request_attributes
from kaudit_core.policy.composition import compose, one_source
from kaudit_core.policy.deployable import PolicyRefused, check_preset
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.overrides import CREDENTIALS
from kaudit_core.policy.presets import NAMES, load
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.rule_list import read_rules
from kaudit_core.policy.types import LEVEL_RANK, LEVELS, Attributes, Policy
from tests.tables.presets import PROMISES

RULE: dict[str, Any] = {"level": "Request", "verbs": ["list"]}
DEVS = {"group": "devs", "level": "Request"}
SHOP = {"namespace": "shop", "level": "None"}


def policy_of(**fields: Any) -> Policy:
    """A composition as the server reads it, strictly; `metadata` unless another preset is named."""
    reading = read_policy(compose({"preset": "metadata", **fields}).text.encode(), "composed")
    assert reading.strict and reading.policy is not None, reading.findings
    return reading.policy


def pods(*groups: str, verb: str = "list", namespace: str = "shop", user: str | None = "alice") -> Attributes:
    """Somebody asks for pods."""
    return Attributes(user, groups, verb, namespace, "", "v1", "pods", "", "", "", True)


def level(policy: Policy, asked: Attributes) -> str:
    """What is decided."""
    return Evaluator(policy).evaluate(asked).level


order: dict[str, tuple[dict[str, Any], str]] = {
    "preset-alone": ({}, "Metadata"),
    "after-before-the-last-rule": ({"rules_after": [RULE]}, "Request"),
    "namespace-before-preset": ({"namespace_overrides": [SHOP], "rules_after": [RULE]}, "None"),
    "group-before-namespace": ({"group_overrides": [DEVS], "namespace_overrides": [SHOP]}, "Request"),
    "rules-before-group": (
        {"rules_before": [{"level": "RequestResponse"}], "group_overrides": [DEVS]},
        "RequestResponse",
    ),
    "first-group-of-the-list": ({"group_overrides": [{"group": "ops", "level": "None"}, DEVS]}, "None"),
    "preset-for-a-group": ({"group_overrides": [{"group": "ops", "preset": "all-bodies"}]}, "RequestResponse"),
    "preset-for-a-namespace": ({"namespace_overrides": [{"namespace": "shop", "preset": "gce"}]}, "Request"),
    "another-group": ({"group_overrides": [{"group": "qa", "level": "None"}]}, "Metadata"),
    "another-namespace": ({"namespace_overrides": [{"namespace": "bank", "level": "None"}]}, "Metadata"),
}


@pytest.mark.parametrize(("fields", "expected"), order.values(), ids=order)
def test_what_comes_first_decides(fields: dict[str, Any], expected: str) -> None:
    """A list of pods in the namespace shop, by somebody of the groups devs and ops."""
    assert expected == level(policy_of(**fields), pods("devs", "ops"))


def test_an_override_decides_everything_of_its_group() -> None:
    """A preset for a group is that preset for it, also where it has rules about users and paths, and nobody else's."""
    composed = policy_of(group_overrides=[{"group": "devs", "preset": "secure"}])
    alone = policy_of(preset="secure")
    asked = [pods(verb=verb, namespace=name) for verb in ("create", "get", "delete") for name in ("", "shop")]
    asked += [Attributes("alice", (), "get", path=path) for path in ("/healthz", "/apis", "/metrics")]

    for each in asked:
        of_devs = Attributes(**{name: getattr(each, name) for name in Attributes.__slots__} | {"groups": ("devs",)})
        assert level(alone, of_devs) == level(composed, of_devs)
        assert "Metadata" == level(composed, each)


@pytest.mark.parametrize("preset", NAMES)
def test_a_group_has_its_preset_and_nobody_else(preset: str) -> None:
    """Every request of the presets' table, by way of every group that its user is in; the others keep the base."""
    alone, base = policy_of(preset=preset), policy_of(preset="ack")
    for group in {group for row in PROMISES for group in row.who[1:]}:
        composed = policy_of(preset="ack", group_overrides=[{"group": group, "preset": preset}])
        for row in PROMISES:
            asked = request_attributes(row.method, row.uri, row.who[0], row.who[1:])
            assert level(alone if group in row.who[1:] else base, asked) == level(composed, asked), (group, row.id)


@pytest.mark.parametrize("preset", NAMES)
def test_a_namespace_has_its_preset_and_nothing_else(preset: str) -> None:
    """Every request of the presets' table, by way of every namespace."""
    alone, base = policy_of(preset=preset), policy_of(preset="gce")
    for namespace in ("shop", "kube-system", "kube-node-lease"):
        composed = policy_of(preset="gce", namespace_overrides=[{"namespace": namespace, "preset": preset}])
        for row in PROMISES:
            asked = request_attributes(row.method, row.uri, row.who[0], row.who[1:])
            assert level(alone if asked.namespace == namespace else base, asked) == level(composed, asked), row.id


def test_all_across_namespaces_is_in_no_namespace() -> None:
    """M5: a namespaced rule never sees `kubectl get pods -A`."""
    assert "Metadata" == level(policy_of(namespace_overrides=[SHOP]), pods(namespace=""))


def test_nobody_is_in_no_group() -> None:
    """M2: failed authentication has no groups."""
    assert "Metadata" == level(policy_of(group_overrides=[{"group": "devs", "level": "None"}]), pods("devs", user=None))


groups: dict[str, tuple[str, str, tuple[str, ...], str]] = {
    "implied-by-everyone": ("devs", "write-bodies", ("devs", "system:authenticated"), "/version"),
    "implies-everyone": ("system:authenticated", "gce", ("system:nodes", "system:authenticated"), "/version"),
    "itself": ("system:unauthenticated", "secure", ("system:unauthenticated",), "/livez"),
}


@pytest.mark.parametrize(("group", "preset", "who", "path"), groups.values(), ids=groups)
def test_rules_about_groups_are_kept_where_one_implies_the_other(
    group: str, preset: str, who: tuple[str, ...], path: str
) -> None:
    """The preset is silent about this path, for groups of its own; so is the override."""
    composed = policy_of(group_overrides=[{"group": group, "preset": preset}])

    assert "None" == level(composed, Attributes("somebody", who, "get", path=path))


def test_rules_about_groups_of_their_own_are_narrowed() -> None:
    """Service accounts of one namespace are service accounts and authenticated."""
    composed = policy_of(group_overrides=[{"group": "system:serviceaccounts", "preset": "secure"}])
    narrowed = [rule.user_groups for rule in composed.rules if rule.level == "None" and rule.user_groups]

    assert ("system:serviceaccounts:kube-system",) in narrowed
    assert not [each for each in narrowed if "system:nodes" in each]


def test_a_namespace_has_no_paths() -> None:
    """Rules about paths and about other namespaces are no part of a namespace's override."""
    rules = policy_of(namespace_overrides=[{"namespace": "shop", "preset": "ack"}]).rules[:-1]

    assert {("shop",)} == {rule.namespaces for rule in rules}
    assert not [rule for rule in rules if rule.non_resource_urls]
    assert "system:unsecured" not in {user for rule in rules for user in rule.users}


@pytest.mark.parametrize("body", ["Request", "RequestResponse"])
@pytest.mark.parametrize("kind", ["group", "namespace"])
def test_a_level_of_bodies_leaves_credentials_alone(kind: str, body: str) -> None:
    """Only a rule of one's own gives them bodies."""
    overrides = {f"{kind}_overrides": [{kind: "x", "level": body}]}
    asked = Attributes("alice", ("x",), "get", "x", "", "v1", "secrets", "", "s", "", True)

    assert "Metadata" == level(policy_of(**overrides), asked)
    assert "Request" == level(policy_of(**overrides, rules_before=[{"level": "Request"}]), asked)
    assert "Metadata" == level(policy_of(**overrides, rules_before=[{"level": "Request"}], without_tokens=True), asked)


names = st.sampled_from(["devs", "system:nodes", "system:authenticated", "system:masters", "kube-system", "shop"])
wanted = st.sampled_from([*({"preset": name} for name in NAMES), *({"level": each} for each in LEVELS)])
rule = st.fixed_dictionaries(
    {"level": st.sampled_from(LEVELS)},
    optional={
        "users": st.lists(st.sampled_from(["alice", "kubelet"]), max_size=2),
        "userGroups": st.lists(names, max_size=2),
        "verbs": st.lists(st.sampled_from(["get", "create", "list"]), max_size=2),
        "namespaces": st.lists(st.sampled_from(["", "shop"]), max_size=2),
        "resources": st.lists(
            st.sampled_from([*CREDENTIALS, {"group": ""}, {"group": "", "resources": ["*"]}]), max_size=2
        ),
    },
)
rules = st.lists(rule, max_size=3)


def overrides_of(kind: str) -> st.SearchStrategy[list[dict[str, str]]]:
    """Some overrides, each for another name."""
    allowed = names.filter(lambda name: kind == "group" or ":" not in name)
    return st.lists(st.tuples(allowed, wanted), max_size=3, unique_by=lambda each: each[0]).map(
        lambda items: [{kind: name, **each} for name, each in items]
    )


compositions = st.fixed_dictionaries(
    {
        "preset": st.sampled_from(NAMES),
        "rules_before": rules,
        "group_overrides": overrides_of("group"),
        "namespace_overrides": overrides_of("namespace"),
        "rules_after": rules,
    }
)
credentials = st.sampled_from(
    [
        ("", "secrets", ""),
        ("", "configmaps", ""),
        ("", "serviceaccounts", "token"),
        ("authentication.k8s.io", "tokenreviews", ""),
    ]
)


@given(compositions, st.data())
def test_without_tokens_holds_for_every_composition(fields: dict[str, Any], data: st.DataObject) -> None:
    """Whoever asks for whatever, whatever the rules say."""
    evaluator = Evaluator(policy_of(**fields, without_tokens=True))
    for group, resource, subresource in (data.draw(credentials) for _ in range(5)):
        asked = Attributes(
            user=data.draw(st.sampled_from(["alice", "kubelet", "system:apiserver", "eve", None])),
            groups=tuple(data.draw(st.lists(names, max_size=3))),
            verb=data.draw(st.sampled_from(["get", "list", "watch", "create", "update", "patch", "delete", ""])),
            namespace=data.draw(st.sampled_from(["", "shop", "kube-system", "other"])),
            api_group=group,
            resource=resource,
            subresource=subresource,
            name=data.draw(st.sampled_from(["", "n"])),
            resource_request=True,
        )

        assert LEVEL_RANK[evaluator.evaluate(asked).level] <= LEVEL_RANK["Metadata"], asked


@given(compositions)
def test_the_same_composition_has_the_same_bytes(fields: dict[str, Any]) -> None:
    """Also when its values went through JSON; and it is good for both ends of the supported versions."""
    text = compose(fields).text

    assert text == compose(json.loads(json.dumps(fields))).text
    for version in ("1.22", "1.37"):
        assert text == check_preset(fields, version)[0].text


@given(compositions)
def test_every_rule_has_a_comment_that_says_where_it_comes_from(fields: dict[str, Any]) -> None:
    """As many fields as rules, and above each rule its field, or the preset's name."""
    composed = compose(fields)
    head, *parts = composed.text.partition("\nrules:\n")[2].split("\n- level: ")

    assert len(parts) == len(composed.fields)
    for before, field in zip([head, *parts], composed.fields, strict=False):
        comments = "\n".join(line for line in before.splitlines() if line.startswith("# "))
        assert f"# {field or composed.preset.name}" in comments


hostile = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    [
        "x\n- level: None",
        "a: b",
        "#",
        "{}",
        "[",
        "'",
        '"',
        "\\",
        "*x",
        "&x",
        "!x",
        "null",
        "1e3",
        "0o7",
        "yes",
        "~",
        "\x85",
        "\U0001f600",
    ]
)


@given(hostile)
def test_a_hostile_name_stays_a_name(name: str) -> None:
    """Of a group and in a rule of one's own: quoted, and on one line of comment."""
    if name == "*":
        return
    composed = compose(
        {
            "preset": "metadata",
            "group_overrides": [{"group": name, "level": "None"}],
            "rules_before": [{"level": "None", "users": [name]}],
        }
    )
    reading = read_policy(composed.text.encode(), "composed")

    assert reading.policy is not None and reading.strict, reading.findings
    assert ((name,), (name,)) == (reading.policy.rules[0].users, reading.policy.rules[1].user_groups)
    assert 3 == len(reading.policy.rules)
    assert composed.text.replace("\n", "").isprintable() and composed.text.isascii()


def test_the_policy_is_readable_by_other_readers() -> None:
    """Head, fields in their order, resources an entry each; the same to PyYAML."""
    text = compose({"preset": "gce", "omit_managed_fields": True}).text
    loaded = yaml.safe_load(text)
    head = text.partition("apiVersion")[0].splitlines()

    assert "# Managed by kaudit." == head[0] and all(line.startswith("# ") and len(line) <= 110 for line in head)
    assert ["apiVersion", "kind", "omitStages", "omitManagedFields", "rules"] == list(loaded)
    assert [{key: value for key, value in rule.items() if key != "why"} for rule in load("gce").rules] == loaded[
        "rules"
    ]


refusals: dict[str, tuple[dict[str, Any], str]] = {
    "unknown-preset": ({"preset": "safe"}, 'preset: "safe" is no preset; write one of secure, metadata, '),
    "no-text": ({"preset": 3}, "preset: this is no preset; write one of "),
    "switch": ({"without_tokens": "maybe"}, "without_tokens: must be true or false"),
    "no-list": ({"group_overrides": {"devs": "ack"}}, "group_overrides: must be a list of items like {"),
    "no-mapping": ({"namespace_overrides": ["x"]}, "namespace_overrides[0]: must be a mapping like {"),
    "unknown-key": (
        {"group_overrides": [{"group": "a", "profile": "ack"}]},
        'group_overrides[0]: unknown key "profile"; use group, and preset or level',
    ),
    "no-name": ({"group_overrides": [{"level": "None"}]}, "group_overrides[0]: says no group; add group: "),
    "neither": ({"group_overrides": [{"group": "a"}]}, "group_overrides[0]: has neither preset nor level; "),
    "both": (
        {"group_overrides": [{"group": "a", "level": "None", "preset": "ack"}]},
        "group_overrides[0]: has both preset and level; give one of them",
    ),
    "bad-level": (
        {"group_overrides": [{"group": "a", "level": "metadata"}]},
        'group_overrides[0].level: "metadata" is no level; write Metadata, letter case matters',
    ),
    "no-level": (
        {"namespace_overrides": [{"namespace": "a", "level": None}]},
        "namespace_overrides[0].level: this is no level; write ",
    ),
    "bad-preset": (
        {"namespace_overrides": [{"namespace": "a", "preset": "x"}]},
        'namespace_overrides[0].preset: "x" is no preset; write one of ',
    ),
    "empty-name": ({"group_overrides": [{"group": "", "level": "None"}]}, "group_overrides[0].group: must be "),
    "star-group": (
        {"group_overrides": [{"group": "*", "level": "None"}]},
        'group_overrides[0].group: "*" matches nothing here; write system:authenticated',
    ),
    "star-namespace": (
        {"namespace_overrides": [{"namespace": "*", "level": "None"}]},
        'namespace_overrides[0].namespace: "*" matches nothing here; list the namespaces',
    ),
    "no-namespace": (
        {"namespace_overrides": [{"namespace": "Shop\x1b", "level": "None"}]},
        'namespace_overrides[0].namespace: "Shop\\u001b" can be no namespace; write lower-case letters',
    ),
    "twice": (
        {"group_overrides": [DEVS, DEVS]},
        'group_overrides[1].group: "devs" is in group_overrides[0] already, so this is never reached; remove',
    ),
    "rules-no-list": ({"rules_after": "x"}, "rules_after: must be a list of rules like {"),
    "rule-no-mapping": ({"rules_before": [RULE, "x"]}, "rules_before[1]: must be a mapping like {"),
    "rule-with-why": ({"rules_before": [RULE | {"why": "x"}]}, 'rules_before[0]: unknown key "why"; '),
    "rule-without-level": ({"rules_before": [{"verbs": ["get"]}]}, "rules_before[0].level: the rule needs a level"),
    "rule-empty": ({"rules_before": [{}]}, "rules_before[0].level: the rule needs a level"),
    "rule-unknown-field": (
        {"rules_after": [{"level": "None", "x\ny": []}]},
        'rules_after[0]."x\\ny": unknown field "x\\ny": the server drops it silently, so audit_',
    ),
    "rule-number": (
        {"rules_before": [{"level": "None", "users": [1, None, True, "a" * 200]}]},
        "rules_before[0].users[0] must be a string, not the number 1: put it in quotes",
    ),
    "rule-nested": (
        {"rules_before": [{"level": "None", "resources": [{}, {"group": "apps/v1"}, []]}]},
        "rules_before[0].resources",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), refusals.values(), ids=refusals)
def test_a_refusal_names_the_variable_and_what_to_do(fields: dict[str, Any], message: str) -> None:
    """On one printable line."""
    with pytest.raises(PolicyRefused) as caught:
        check_preset({"preset": "metadata", **fields})

    assert str(caught.value).startswith(f"audit_policy_{message}")
    assert str(caught.value).isprintable()


def test_a_field_that_is_too_new_names_its_variable() -> None:
    """Not a place in a text that nobody wrote."""
    with pytest.raises(PolicyRefused, match=r"^audit_policy_omit_managed_fields is unknown before Kubernetes 1\.23"):
        check_preset({"preset": "metadata", "omit_managed_fields": True}, "1.22")


sources: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "audit_policy_preset, audit_policy_file or audit_policy_content: none is set; set one of them"),
    "two": ({"preset": "a", "content": "b"}, "audit_policy_preset and audit_policy_content are set; set one of them"),
    "three": ({"preset": "a", "file": "b", "content": "c"}, "and audit_policy_file and audit_policy_content are set; "),
    "rules-for-a-file": (
        {"file": "a", "rules_before": [RULE]},
        "audit_policy_rules_before: only goes with audit_policy_",
    ),
    "switch-for-a-text": ({"content": "a", "without_tokens": True}, "audit_policy_without_tokens: only goes with "),
}


@pytest.mark.parametrize(("fields", "message"), sources.values(), ids=sources)
def test_exactly_one_source_is_taken(fields: dict[str, Any], message: str) -> None:
    """And only a preset takes more."""
    with pytest.raises(ValueError) as caught:
        one_source(fields)

    assert message in str(caught.value)


@pytest.mark.parametrize("source", ["preset", "file", "content"])
def test_one_source_is_named(source: str) -> None:
    """Empty lists are none."""
    assert source == one_source({source: "x", "rules_before": [], "without_tokens": False})


lists = {
    "twice": ("- {level: None, level: Metadata}\n", "1:17: level is given before"),
    "second-document": ("- {level: None}\n---\n- {level: None}\n", ""),
    "not-yaml": ("- [", ""),
}


@pytest.mark.parametrize(("text", "message"), lists.values(), ids=lists)
def test_a_list_of_rules_is_read_as_the_server_reads(text: str, message: str) -> None:
    """What it would read differently is refused with its place."""
    with pytest.raises(ValueError) as caught:
        read_rules(text.encode())

    assert str(caught.value).startswith(message)
    assert str(caught.value)[0].isdigit()


def test_a_list_of_rules_keeps_its_types() -> None:
    """A number stays one, so that the lint refuses it; a quoted one stays a text."""
    fields = {
        "preset": "metadata",
        "rules_before": read_rules(b"- {level: None, users: ['1']}\n- {level: None, users: [2]}\n"),
    }

    with pytest.raises(PolicyRefused) as caught:
        check_preset(fields)

    assert ["audit_policy_rules_before[1].users[0]"] == [line.split(" ")[0] for line in caught.value.lines]
