"""What a role may put on a host: messages with file and line, and which versions must agree."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.policy.deployable import PolicyRefused, check_policy, policy_text
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import GroupResources, Rule

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n"
GOOD = HEAD + "- level: Metadata\n"
GROUP_STAR = HEAD + "- level: Metadata\n  resources:\n  - group: '*'\n"
OLD_VERSION = GOOD.replace("audit.k8s.io/v1", "audit.k8s.io/v1beta1")
OMIT_FIELDS = GOOD + "  omitManagedFields: true\n"


def refusal(text: str | bytes, version: str | None = None) -> PolicyRefused:
    """Why a policy is refused."""
    with pytest.raises(PolicyRefused) as caught:
        check_policy(text if isinstance(text, bytes) else text.encode(), "p.yaml", version)
    return caught.value


def test_good_policy_keeps_its_bytes() -> None:
    """Text and hash are those of the file, comments and all."""
    text = f"# ours\r\n{GOOD}"
    policy = check_policy(text.encode(), "p.yaml")

    assert ("p.yaml", text, hashlib.sha256(text.encode()).hexdigest()) == (policy.source, policy.text, policy.sha256)


def test_note_is_no_obstacle() -> None:
    """What is only worth knowing is handed on with its place."""
    (note,) = check_policy(GOOD.replace("kind: Policy\n", "").encode(), "p.yaml").notes

    assert note.startswith("p.yaml:1:1: ")


messages = {
    "unknown-field": (GOOD + "  user: [a]\n", "p.yaml:5:3: "),
    "level": (HEAD + "- level: Metdata\n", "p.yaml:4:10: "),
    "syntax": (HEAD + "- level: [\n", "p.yaml:"),
    "empty": ("", "p.yaml:1:1: the file is empty"),
}


@pytest.mark.parametrize(("text", "start"), messages.values(), ids=messages)
def test_message_has_file_line_and_column(text: str, start: str) -> None:
    """Where lint would point to."""
    assert refusal(text).lines[0].startswith(start)


def test_message_names_the_field_once() -> None:
    """The path is added where the message lacks it."""
    (line,) = refusal(HEAD + "- level: Metdata\n").lines

    assert 1 == line.count("rules[0].level")


def test_many_findings_are_cut() -> None:
    """Three are shown, the others counted."""
    error = refusal(HEAD + "- level: X\n" * 5)

    assert 5 == len(error.lines)
    assert str(error).endswith("; and 2 more")


def test_hostile_text_is_escaped() -> None:
    """What a file holds can't act on a terminal."""
    error = refusal(HEAD + '- level: "\\e[31m\\u202eM"\n  "\\e]0;x": 1\n')

    assert str(error).isprintable()


accepted = {
    "group-star-by-the-newest": GROUP_STAR,
    "old-version-by-the-oldest": OLD_VERSION,
    "omitManagedFields-by-most": OMIT_FIELDS,
}


@pytest.mark.parametrize("text", accepted.values(), ids=accepted)
def test_without_a_version_one_server_is_enough(text: str) -> None:
    """Before the server is known only what none takes is refused."""
    assert text == check_policy(text.encode(), "p.yaml").text


def test_refused_by_all_shows_the_default_version() -> None:
    """Two faults, each of which some version has nothing against: the default's view is shown."""
    both = GROUP_STAR.replace("audit.k8s.io/v1", "audit.k8s.io/v1beta1")

    assert [f"p.yaml:{place}" for place in ("1:13", "6:12")] == [line.split(": ")[0] for line in refusal(both).lines]


refused = {
    "group-star-before-1.36": (GROUP_STAR, "1.35"),
    "old-version-since-1.24": (OLD_VERSION, "v1.24.0"),
    "omitManagedFields-before-1.23": (OMIT_FIELDS, "1.22"),
}


@pytest.mark.parametrize(("text", "version"), refused.values(), ids=refused)
def test_with_a_version_that_server_decides(text: str, version: str) -> None:
    """The same text is refused for the server that would not start with it, or drop a field."""
    assert refusal(text, version).lines[0].startswith("p.yaml:")


def test_unknown_version_is_refused() -> None:
    """A version that nobody tested is no reason to guess."""
    with pytest.raises(ValueError, match="Kubernetes 1.99 is not supported"):
        check_policy(GOOD.encode(), "p.yaml", "1.99")


def test_policy_must_be_utf8() -> None:
    """Refused with its place, whatever the server would make of it."""
    assert "UTF-8" in str(refusal(b"# caf\xe9\n" + GOOD.encode()))


def test_text_of_a_variable_stands() -> None:
    """A policy given as text is not touched."""
    assert "  # odd\n" == policy_text("  # odd\n")


def test_mapping_has_the_managed_header() -> None:
    """A reader of the host's file learns who writes it."""
    text = policy_text({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None"}]})

    assert "# Managed by kaudit.\napiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: None\n" == text


odd_texts = st.sampled_from(["1e3", "0o14", "08", "0X1f", "y", "N", "on", "~", "null", "12:30", "2026-01-01", "=", ""])


@given(st.lists(odd_texts | st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=5))
def test_texts_of_a_mapping_stay_texts(texts: list[str]) -> None:
    """A user named 1e3 is a number to the server's YAML unless it is quoted."""
    rules: list[dict[str, Any]] = [{"level": "Metadata", "users": texts, "resources": [{"resources": texts}]}]
    text = policy_text({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules})
    reading = read_policy(text.encode(), "p.yaml")

    assert reading.policy is not None, reading.findings
    assert (
        Rule("Metadata", users=tuple(texts), resources=(GroupResources("", tuple(texts)),)),
    ) == reading.policy.rules


def test_number_for_a_text_is_refused() -> None:
    """What was no text in the inventory is not made one."""
    assert "rules[0].users[0]" in str(refusal(policy_text({"rules": [{"level": "None", "users": [1000]}]})))
