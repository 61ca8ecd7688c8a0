"""What presets promise, request by request, and what none of them may do."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kaudit_core.events.attributes import request_attributes
from kaudit_core.policy.composition import compose
from kaudit_core.policy.deployable import check_preset
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.overrides import CREDENTIALS
from kaudit_core.policy.presets import NAMES, Preset, load
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import LEVEL_RANK, Attributes, Policy
from kaudit_core.policy.versions import NEWEST, OLDEST, KubernetesVersion
from kaudit_core.verification.probes import choose_probe
from tests.tables.presets import COLUMNS, LEVEL, PROMISES, Promise

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "kaudit_core" / "policy" / "presets"
VERSIONS = [KubernetesVersion(1, minor) for minor in range(OLDEST.minor, NEWEST.minor + 1)]
EACH = pytest.mark.parametrize("name", NAMES)
SECRETS = [("", "secrets", "")]
TOKENS = [("", "serviceaccounts", "token"), ("authentication.k8s.io", "tokenreviews", "")]
CONFIG_MAPS = [("", "configmaps", "")]


def policy_of(name: str, **given: object) -> Policy:
    """A preset as the server reads it."""
    reading = read_policy(compose({"preset": name, **given}).text.encode(), name)
    assert reading.strict and reading.policy is not None, reading.findings
    return reading.policy


def every_request(policy: Policy, kinds: list[tuple[str, str, str]]) -> list[Attributes]:
    """All that a policy can tell apart of requests for some resources.

    Names are compared as they stand, so each that the policy knows and one that it doesn't are all there is.
    """
    users = {user for rule in policy.rules for user in rule.users} | {"somebody", None}
    groups = {group for rule in policy.rules for group in rule.user_groups} | {"some"}
    verbs = {verb for rule in policy.rules for verb in rule.verbs} | {"create", "get", "list", "watch", "", "other"}
    namespaces = {namespace for rule in policy.rules for namespace in rule.namespaces} | {"", "some"}
    return [
        Attributes(user, (group,), verb, namespace, kind[0], "v1", kind[1], kind[2], "n", "", True)
        for user, group, verb, namespace, kind in itertools.product(
            sorted(users, key=str), sorted(groups), sorted(verbs), sorted(namespaces), kinds
        )
    ]


def highest(policy: Policy, kinds: list[tuple[str, str, str]]) -> str:
    """The highest level that any request for these resources is given."""
    evaluator = Evaluator(policy)
    levels = {evaluator.evaluate(each).level for each in every_request(policy, kinds)}
    return max(levels, key=LEVEL_RANK.__getitem__)


def test_every_file_is_a_preset() -> None:
    """No preset without data, no data without a name, and the table has a column for each."""
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert NAMES == COLUMNS


@EACH
def test_a_preset_is_told(name: str) -> None:
    """Purpose, cost, blind spots and every rule have their sentence; nothing else is in the file."""
    preset = load(name)
    told = [preset.purpose, preset.cost, *preset.blind_spots, *(rule["why"] for rule in preset.rules)]

    assert {"purpose", "cost", "blind_spots", "omitStages", "rules"} == set(
        yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    )
    assert preset.blind_spots
    assert [] == [text for text in told if not re.fullmatch(r"[A-Zk/].*[^.]\.", text)]


@EACH
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_preset_is_strictly_good_for_every_version(name: str, version: KubernetesVersion) -> None:
    """Neither error nor warning nor note."""
    assert [] == check_preset({"preset": name}, str(version))[0].notes


@EACH
def test_a_preset_can_stand_within_another(name: str) -> None:
    """Its last rule takes everything, its stages are those of all, and what keeps bodies out is about everyone."""
    preset = load(name)
    *others, last = preset.rules

    assert {"level", "why"} == set(last)
    assert [] == [rule for rule in others if {"level", "why"} == set(rule)]
    assert ("RequestReceived",) == preset.omit_stages
    assert [] == [rule for rule in others if rule["level"] == "Metadata" and {"why", "level", "resources"} != set(rule)]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.id)
def test_a_request_has_the_level_that_is_promised(promise: Promise) -> None:
    """One row, every preset."""
    user, *groups = promise.who
    asked = request_attributes(promise.method, promise.uri, user, tuple(groups))
    found = {name: Evaluator(policy_of(name)).evaluate(asked).level for name in COLUMNS}

    assert {name: LEVEL[letter] for name, letter in zip(COLUMNS, promise.letters.split(), strict=True)} == found


@EACH
def test_a_preset_can_be_proved(name: str) -> None:
    """There is a request that it logs and that changes nothing, so a deployment of it finds its own event."""
    for given in ({}, {"without_tokens": True}):
        assert choose_probe(policy_of(name, **given), "kaudit-x") is not None


@EACH
def test_no_preset_has_bodies_of_secrets(name: str) -> None:
    """Whoever asks for whatever."""
    assert LEVEL_RANK["Metadata"] >= LEVEL_RANK[highest(policy_of(name), SECRETS)]


@EACH
def test_only_ack_has_bodies_of_tokens(name: str) -> None:
    """The guides' policy writes them, and says so."""
    expected = "RequestResponse" if name == "ack" else "Metadata"

    assert expected == highest(policy_of(name), TOKENS)
    assert (name == "ack") == ("without_tokens" in load(name).cost)


@EACH
def test_without_tokens_nothing_that_holds_credentials_has_a_body(name: str) -> None:
    """For every user, group, verb and namespace that the policy can tell apart."""
    safe = policy_of(name, without_tokens=True)

    assert "Metadata" == highest(safe, SECRETS + TOKENS + CONFIG_MAPS)


@EACH
def test_without_tokens_changes_nothing_else(name: str) -> None:
    """Other resources have the levels they had."""
    plain, safe = policy_of(name), policy_of(name, without_tokens=True)
    before, after = Evaluator(plain), Evaluator(safe)

    for each in every_request(
        plain, [("", "pods", ""), ("", "serviceaccounts", ""), ("apps", "deployments", "status")]
    ):
        assert before.evaluate(each).level == after.evaluate(each).level, each


def test_secure_keeps_all_credentials_out() -> None:
    """The list that overrides and without_tokens use is in its rule."""
    (rule,) = [rule for rule in load("secure").rules[:-1] if rule["level"] == "Metadata"]

    assert rule["resources"] == list(CREDENTIALS)


def test_secure_is_silent_only_about_named_routine() -> None:
    """A rule of level None names who, which verbs and what, and no verb of it takes anything away."""
    silent = [rule for rule in load("secure").rules if rule["level"] == "None"]

    for rule in silent:
        assert ("users" in rule) != ("userGroups" in rule)
        assert set(rule["verbs"]) <= {"get", "create", "update", "patch"}
        assert "nonResourceURLs" in rule or {each["resources"][0] for each in rule["resources"]} <= {"leases", "events"}


def test_ack_is_the_policy_of_the_guides() -> None:
    """Rule for rule what the corpus has, whose log was written by a real server."""
    data = (ROOT / "tests" / "corpus" / "real" / "ack" / "policy.yaml").read_bytes()

    assert read_policy(data, "corpus").policy == policy_of("ack")


def test_the_document_is_fresh() -> None:
    """docs/presets.md says what the data says."""
    command = [sys.executable, str(ROOT / "tools" / "preset_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_the_role_names_all_presets() -> None:
    """In the words of its variable."""
    specs = yaml.safe_load((ROOT / "roles" / "audit_policy" / "meta" / "argument_specs.yml").read_text())
    told = " ".join(specs["argument_specs"]["main"]["options"]["audit_policy_preset"]["description"])

    assert set(NAMES) == set(re.findall(r"`([a-z-]+)`", told))


def test_presets_are_data() -> None:
    """A preset is read once, and is the same object for all."""
    assert isinstance(load("ack"), Preset)
    assert load("ack") is load("ack")
