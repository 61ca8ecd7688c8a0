"""The rows L1-L10 of loading, version gates, and what the reader promises for any bytes.

tests/oracle/test_policy_rows.py puts the same rows to the upstream reader.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.policy.findings import PolicyFinding
from kaudit_core.policy.reader import PolicyReading, read_policy
from kaudit_core.policy.types import GroupResources, Policy, Rule
from kaudit_core.policy.versions import KubernetesVersion
from tests.policy.generated_documents import document

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
ONE_RULE = HEAD + "rules:\n- level: Metadata\n"


def read(text: str, version: str = "1.35") -> PolicyReading:
    """Read a text as a server of that version does."""
    return read_policy(text.encode(), "policy.yaml", KubernetesVersion.parse(version))


def rule_with(field: str) -> str:
    """A policy whose one rule has this field beside its level."""
    return ONE_RULE + f"  {field}\n"


def codes(reading: PolicyReading) -> list[str]:
    """The codes of its findings, in order."""
    return [finding.code for finding in reading.findings]


@dataclass(frozen=True)
class Row:
    """A file and what the server makes of it: None where it refuses, else the rules."""

    text: str
    rules: tuple[Rule, ...] | None
    findings: tuple[str, ...] = ()


METADATA = (Rule("Metadata"),)
CORE = GroupResources()

ROWS = {
    "L1-v1-loads": Row(ONE_RULE, METADATA),
    "L1-v1beta1-is-refused": Row(ONE_RULE.replace("/v1", "/v1beta1"), None, ("old-version",)),
    "L1-v1alpha1-is-refused": Row(ONE_RULE.replace("/v1", "/v1alpha1"), None, ("old-version",)),
    "L1-no-version-is-refused": Row("kind: Policy\nrules:\n- level: Metadata\n", None, ("missing-version",)),
    "L2-singular-verb-is-dropped": Row(rule_with("verb: [get]"), METADATA, ("unknown-field",)),
    "L2-verbs-under-resources-are-dropped": Row(
        rule_with("resources: [{group: '', verbs: [get]}]"), (Rule("Metadata", resources=(CORE,)),), ("unknown-field",)
    ),
    "L2-lower-case-usergroups-are-dropped": Row(rule_with("usergroups: [a]"), METADATA, ("letter-case",)),
    "L2-stages-are-dropped": Row(rule_with("stages: [Panic]"), METADATA, ("unknown-field",)),
    "L2-an-unknown-field-may-hold-anything": Row(ONE_RULE + "foo: [{a: [1, ~, {}]}]\n", METADATA, ("unknown-field",)),
    "L3-last-of-two-keys-wins": Row(rule_with("level: None"), (Rule("None"),), ("duplicate-key",)),
    "L4-only-the-first-document-is-read": Row(ONE_RULE + "---\nrules: []\n", METADATA, ("second-document",)),
    "L4-an-empty-second-document-is-nothing": Row(ONE_RULE + "---\n", METADATA),
    "L4-rubbish-after-the-first-document-is-never-read": Row(ONE_RULE + "---\n{\n", METADATA, ("second-document",)),
    "L4-json-is-read": Row('{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"None"}]}', (Rule("None"),),
                           ("missing-kind", "json")),
    "L5-a-scalar-for-a-list-is-refused": Row(rule_with("users: a"), None, ("wrong-type",)),
    "L5-numbers-in-verbs-are-refused": Row(rule_with("verbs: [1, 2]"), None, ("wrong-type", "wrong-type")),
    "L5-a-capital-level-key-is-no-level": Row(HEAD + "rules:\n- Level: None\n", None, ("letter-case", "required")),
    "L5-levels-are-case-sensitive": Row(HEAD + "rules:\n- level: none\n", None, ("unsupported-value",)),
    "L5-kind-event-is-refused": Row(ONE_RULE.replace("Policy", "Event"), None, ("unknown-kind",)),
    "L5-kind-policylist-is-refused": Row(ONE_RULE.replace("Policy", "PolicyList"), None, ("unknown-kind",)),
    "L5-null-in-a-list-is-an-empty-string": Row(rule_with("users: [~]"), (Rule("Metadata", users=("",)),)),
    "L5-a-null-rule-is-an-empty-rule": Row(HEAD + "rules:\n-\n- level: None\n", None, ("required",)),
    "L5-a-null-list-is-an-empty-list": Row(rule_with("users:"), METADATA),
    "L6-no-rules-are-refused": Row(HEAD + "rules: []\n", None, ("no-rules",)),
    "L6-absent-rules-are-refused": Row(HEAD, None, ("no-rules",)),
    "L7-urls-and-resources-are-refused": Row(
        rule_with("nonResourceURLs: [/a]\n  resources: [{}]"), None, ("invalid-value",)
    ),
    "L7-urls-and-namespaces-are-refused": Row(
        rule_with("nonResourceURLs: [/a]\n  namespaces: [a]"), None, ("invalid-value",)
    ),
    "L7-a-url-needs-a-slash": Row(rule_with("nonResourceURLs: [a]"), None, ("invalid-value",)),
    "L7-an-empty-url-is-refused": Row(rule_with("nonResourceURLs: ['']"), None, ("invalid-value",)),
    "L7-a-star-in-the-middle-is-refused": Row(rule_with("nonResourceURLs: [/a*b]"), None, ("invalid-value",)),
    "L7-two-stars-are-refused": Row(rule_with("nonResourceURLs: [/a**]"), None, ("invalid-value",)),
    "L7-a-bare-star-loads": Row(
        rule_with("nonResourceURLs: ['*', /a*]"), (Rule("Metadata", non_resource_urls=("*", "/a*")),)
    ),
    "L8-a-capital-group-is-refused": Row(rule_with("resources: [{group: Apps}]"), None, ("invalid-value",)),
    "L8-a-group-with-version-is-refused": Row(rule_with("resources: [{group: apps/v1}]"), None, ("invalid-value",)),
    "L8-a-group-of-254-letters-is-refused": Row(
        rule_with(f"resources: [{{group: {'a' * 254}}}]"), None, ("invalid-value",)
    ),
    "L8-the-core-group-loads": Row(rule_with("resources: [{group: ''}]"), (Rule("Metadata", resources=(CORE,)),)),
    "L9-names-without-resources-are-refused": Row(
        rule_with("resources: [{resourceNames: [a]}]"), None, ("invalid-value",)
    ),
    "L9-a-made-up-stage-is-refused": Row(rule_with("omitStages: [Late]"), None, ("invalid-value",)),
    "L9-stages-load": Row(rule_with("omitStages: [Panic]"), (Rule("Metadata", omit_stages=("Panic",)),)),
    "L10-stars-in-users-verbs-namespaces-load": Row(
        rule_with("users: ['*']\n  verbs: ['*', GET]\n  namespaces: ['*']"),
        (Rule("Metadata", users=("*",), verbs=("*", "GET"), namespaces=("*",)),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_file_loads_as_its_row_says(name: str) -> None:
    """Rows L1-L10: refused, or these rules, with these findings."""
    row = ROWS[name]

    reading = read(row.text)

    assert row.rules == (None if reading.policy is None else reading.policy.rules), reading.findings
    assert list(row.findings) == codes(reading)


def test_a_reading_knows_its_source_and_digest() -> None:
    """The name is the one given, the digest that of the bytes."""
    reading = read(ONE_RULE)

    assert ("policy.yaml", hashlib.sha256(ONE_RULE.encode()).hexdigest()) == (reading.source, reading.sha256)
    assert (False, True) == (reading.refused, reading.strict)


def test_policy_wide_fields_are_read() -> None:
    """omitStages and omitManagedFields of the policy itself."""
    reading = read(ONE_RULE + "omitStages: [Panic, RequestReceived]\nomitManagedFields: on\n")

    assert Policy((Rule("Metadata"),), ("Panic", "RequestReceived"), True) == reading.policy


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(HEAD + "rules:\n- level: None\n\n-\n  level: None\n", [4, 7], id="yaml-block"),
        pytest.param(HEAD + "rules: [{level: None},\n {level: None}]\n", [3, 4], id="yaml-flow"),
        pytest.param(HEAD + "rules:\n- &a\n  level: None\n- *a\n", [4, 6], id="yaml-alias-has-its-own-line"),
        pytest.param('{"apiVersion":"audit.k8s.io/v1",\n"rules":[{"level":"None"},\n\n{"level":"None"}]}', [2, 4],
                     id="json"),
        pytest.param('{"apiVersion":"audit.k8s.io/v1",\n"x":1,"x":1,"rules":[\n{"level":"None"}]}', [3],
                     id="json-with-a-repeated-field"),
    ],
)  # fmt: skip
def test_a_rule_knows_its_line(text: str, lines: list[int]) -> None:
    """Rule.line is where the rule begins."""
    reading = read(text)

    assert reading.policy is not None
    assert lines == [rule.line for rule in reading.policy.rules]


STAR = rule_with("resources: [{group: '*'}]")
MANAGED = rule_with("omitManagedFields: true")
BETA = ONE_RULE.replace("/v1", "/v1beta1")


@pytest.mark.parametrize(
    ("text", "version", "refused", "expected"),
    [
        pytest.param(STAR, "1.35", True, ["group-wildcard"], id="group-wildcard-is-refused-before-1.36"),
        pytest.param(STAR, "1.36", False, [], id="group-wildcard-loads-from-1.36"),
        pytest.param(MANAGED, "1.22", False, ["unknown-field"], id="omit-managed-fields-is-unknown-before-1.23"),
        pytest.param(MANAGED, "1.23", False, [], id="omit-managed-fields-is-known-from-1.23"),
        pytest.param(rule_with("omitManagedFields: [x]"), "1.22", False, ["unknown-field"],
                     id="omit-managed-fields-may-hold-anything-before-1.23"),
        pytest.param(BETA, "1.23", False, ["old-version"], id="v1beta1-loads-before-1.24"),
        pytest.param(BETA, "1.24", True, ["old-version"], id="v1beta1-is-refused-from-1.24"),
        pytest.param(BETA.replace("beta", "alpha"), "1.23", False, ["old-version"], id="v1alpha1-loads-before-1.24"),
        pytest.param(BETA.replace("beta", "alpha"), "1.24", True, ["old-version"], id="v1alpha1-is-refused-from-1.24"),
    ],
)  # fmt: skip
def test_a_version_decides(text: str, version: str, refused: bool, expected: list[str]) -> None:
    """The same file on two sides of a change in Kubernetes."""
    reading = read(text, version)

    assert (refused, expected) == (reading.refused, codes(reading))


def test_old_versions_get_the_way_out() -> None:
    """The migration is one word, and the message says so."""
    message = read(BETA).findings[0].message

    assert "change apiVersion to audit.k8s.io/v1; the rules stay as they are" in message


def test_the_group_wildcard_before_1_36_names_both_versions() -> None:
    """Who reads it must know which server it needs and which it was read for."""
    message = read(STAR).findings[0].message

    assert "1.36" in message and "1.35" in message


def test_omit_managed_fields_of_a_rule_is_dropped_before_1_23() -> None:
    """Unknown there, so the rule has none."""
    reading = read(MANAGED, "1.22")

    assert reading.policy is not None and reading.policy.rules[0].omit_managed_fields is None


def test_all_faults_are_reported_at_once() -> None:
    """Types, unknown fields and validation in one pass, each with its place, in the order of the file."""
    text = (
        HEAD
        + "omitStages: [Late]\nrules:\n- level: low\n  users: a\n- levle: None\n- {level: None, verbs: [1, x, 2]}\n"
    )

    found = [(f.code, f.path, f.line, f.column) for f in read(text).findings]

    assert found == [
        ("invalid-value", "omitStages[0]", 3, 14),
        ("unsupported-value", "rules[0].level", 5, 10),
        ("wrong-type", "rules[0].users", 6, 10),
        ("unknown-field", "rules[1].levle", 7, 3),
        ("required", "rules[1].level", 7, 3),
        ("wrong-type", "rules[2].verbs[0]", 8, 25),
        ("wrong-type", "rules[2].verbs[2]", 8, 31),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        pytest.param("\ufeff" + ONE_RULE, "byte-order-mark", 1, id="byte-order-mark"),
        pytest.param(ONE_RULE.replace("\n", "\r\n"), "crlf", 1, id="crlf"),
        pytest.param(ONE_RULE + "- &a {level: None}\n- *a\n", "anchor", 5, id="anchor"),
        pytest.param(ONE_RULE + "- <<: {level: None}\n  users: [a]\n", "merge-key", 5, id="merge-key"),
        pytest.param(ONE_RULE.replace("kind: Policy\n", ""), "missing-kind", 1, id="missing-kind"),
    ],
)
def test_what_loads_as_written_is_a_note(text: str, code: str, line: int) -> None:
    """Worth knowing, yet a strict reader has nothing against it."""
    reading = read(text)

    assert [(code, "note", line)] == [(f.code, f.severity, f.line) for f in reading.findings]
    assert reading.strict and not reading.refused


def test_a_merge_over_earlier_keys_is_not_as_written() -> None:
    """go-yaml lets a merge overwrite what stands before it, against the YAML specification."""
    reading = read(HEAD + "rules:\n- &a {level: None}\n- level: Request\n  <<: *a\n")

    assert reading.policy is not None
    assert ("None", False) == (reading.policy.rules[1].level, reading.strict)
    assert ("merge-overwrites", "rules[1].level", 6) in [(f.code, f.path, f.line) for f in reading.findings]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(rule_with("user: [a]"), "write users", id="user-is-users"),
        pytest.param(rule_with("verb: [a]"), "write verbs", id="verb-is-verbs"),
        pytest.param(rule_with("usergroups: [a]"), "write userGroups", id="usergroups-is-userGroups"),
        pytest.param(rule_with("stages: [a]"), "write omitStages", id="stages-is-omitStages"),
        pytest.param(rule_with("nmaespaces: [a]"), "write namespaces", id="swapped-letters"),
        pytest.param(rule_with("Level: None"), "write level", id="Level-is-level"),
        pytest.param(rule_with("users:  [a]\n  rules: []"), "it belongs to the top level", id="wrong-home"),
        pytest.param(rule_with("resources: [{group: '', namespaces: [a]}]"), "it belongs to a rule", id="too-deep"),
        pytest.param(rule_with("usr_grp_x: [a]"), "remove it or use one of level, users", id="no-idea"),
    ],
)
def test_an_unknown_field_gets_its_likely_word(text: str, message: str) -> None:
    """The message names the field that was meant, or says where it belongs."""
    finding = next(f for f in read(text).findings if f.severity == "strict")

    assert message in finding.message


def test_a_dropped_condition_is_said_to_broaden_the_rule() -> None:
    """The consequence is what makes the slip dangerous."""
    assert "BROADER" in read(rule_with("user: [a]")).findings[0].message


def test_text_of_the_file_is_escaped_in_findings() -> None:
    """Names and values are the author's: no control character reaches a terminal."""
    reading = read(HEAD + 'rules:\n- level: "\\e[31m"\n  "\\e]0;x\\a": 1\n')

    assert reading.findings
    for finding in reading.findings:
        assert (finding.message + finding.path).isprintable() and finding.message.isascii(), finding


def test_kubernetes_protobuf_is_refused_by_name() -> None:
    """The server would decode it (decision 0004); we say what it is."""
    assert ["protobuf"] == codes(read_policy(b"k8s\0\x0a\x00", "policy"))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_reading(data: bytes) -> None:
    """No exception for any bytes, and an error exactly where there is no policy."""
    assert_consistent(read_policy(data, "bytes"))


@given(st.integers(0, 10**12), st.binary(max_size=4), st.floats(0, 1))
def test_any_disturbed_policy_gives_a_reading(seed: int, inserted: bytes, where: float) -> None:
    """Near misses find what random bytes do not."""
    data = document(seed)
    at = int(where * len(data))

    assert_consistent(read_policy(data[:at] + inserted + data[at:], "policy"))


def assert_consistent(reading: PolicyReading) -> None:
    """A refusal has an error; findings stand in order and are printable lines."""
    assert reading.refused == any(f.severity == "error" for f in reading.findings), reading
    places = [(f.line, f.column) for f in reading.findings]
    assert places == sorted(places), reading
    assert all(f.message.isprintable() and f.path.isprintable() for f in reading.findings), reading


def test_findings_are_values() -> None:
    """Frozen and comparable, as scripts and tests use them."""
    assert PolicyFinding("syntax", "error", "x") == PolicyFinding("syntax", "error", "x", "", 0, 0)


def test_reading_json_does_not_import_yaml() -> None:
    """PyYAML is imported where YAML is read, and nowhere else."""
    code = (
        "import sys\n"
        "from kaudit_core.policy.reader import read_policy\n"
        'assert read_policy(b\'{"apiVersion":"audit.k8s.io/v1","rules":[{"level":"None"}]}\', \'x\').policy\n'
        "assert 'yaml' not in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("as_json", [pytest.param(True, id="json"), pytest.param(False, id="yaml")])
def test_ten_thousand_rules_are_read(as_json: bool) -> None:
    """A hang guard, not a measurement: a large policy comes back whole, with its lines."""
    rule = '{"level": "Metadata", "users": ["a"], "resources": [{"group": "apps", "resources": ["x"]}]}'
    between = ",\n" if as_json else "\n- "
    rules = between.join([rule] * 10_000)
    text = f'{{"apiVersion":"audit.k8s.io/v1","rules":[\n{rules}]}}' if as_json else HEAD + "rules:\n- " + rules + "\n"

    reading = read(text)

    assert reading.policy is not None
    assert (10_000, 10_000 + (1 if as_json else 3)) == (len(reading.policy.rules), reading.policy.rules[-1].line)
