"""Variables, host aliases and the DNS policy in static pod manifests: what is changed in place, and what is refused."""

from __future__ import annotations

import pytest

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.manifest import apply, inspect, remove
from kaudit_core.provisioning.refusal import EditRefused
from tests.provisioning.manifests import NAMED, kubeadm
from tests.provisioning.test_manifest import pod

ENV = AuditIntent(env={"A": "1"})
ALIAS = AuditIntent(host_aliases={"10.96.0.7": ("audit.example.com", "audit")})

env = {
    "absent": (["env: []"], ["env: # []", "- name: A", '  value: "1"']),
    "other-value": (["env:", "- name: A", "  value: '0' # why"], ["env:", "- name: A", "  value: '1' # why"]),
    "a-number-that-no-kubelet-reads": (["env:", "- name: A", "  value: 0"], ["env:", "- name: A", '  value: "1"']),
    "no-value": (["env:", "- name: A"], ["env:", "- name: A", '  value: "1"']),
    "flow": (["env: [{name: A, value: x}]"], ['env: [{name: A, value: "1"}]']),
    "same-value": (["env:", "- {value: '1', name: A}"], ["env:", "- {value: '1', name: A}"]),
    "beside-others": (
        ["env:", "  - name: B", '    value: "2"', "    # end"],
        ["env:", "  - name: B", '    value: "2"', "  - name: A", '    value: "1"', "    # end"],
    ),
}


@pytest.mark.parametrize(("before", "after"), env.values(), ids=env)
def test_variable_is_set(before: list[str], after: list[str]) -> None:
    """A variable has one entry with the wanted value, in the place and style in which it was found."""
    assert pod(*after) == apply(pod(*before), ENV)
    assert {"A": "1"}.items() <= inspect(pod(*after)).env.items()


aliases = {
    "other-address": (
        ["hostAliases:", "- ip: 10.96.0.8", "  hostnames: [theirs]"],
        [
            *["hostAliases:", "- ip: 10.96.0.8", "  hostnames: [theirs]"],
            *["- hostnames:", "  - audit.example.com", "  - audit", '  ip: "10.96.0.7"'],
        ],
    ),
    "same-address": (
        ["hostAliases:", "- ip: 10.96.0.7", "  hostnames: [theirs]"],
        ["hostAliases:", "- ip: 10.96.0.7", "  hostnames: [theirs, audit.example.com, audit]"],
    ),
    "one-of-the-names": (
        ["hostAliases:", "- hostnames:", '  - "audit"', '  ip: "10.96.0.7"'],
        ["hostAliases:", "- hostnames:", '  - "audit"', '  - "audit.example.com"', '  ip: "10.96.0.7"'],
    ),
}


def with_spec(*lines: str) -> str:
    """A manifest whose pod goes on with these lines."""
    return pod() + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize(("before", "after"), aliases.values(), ids=aliases)
def test_alias_is_set(before: list[str], after: list[str]) -> None:
    """Names of others stay with their addresses; ours stand behind them."""
    assert with_spec(*after) == apply(with_spec(*before), ALIAS)
    assert {"audit", "audit.example.com"} <= set(inspect(with_spec(*after)).host_aliases["10.96.0.7"])


def test_address_may_be_written_in_another_way() -> None:
    """An IPv6 address with its zeros is the same address, and its alias is used."""
    text = with_spec("hostAliases:", "- ip: fd00:0:0::7", "  hostnames: [theirs]")
    intent = AuditIntent(host_aliases={"fd00::7": ("audit",)})

    assert text.replace("[theirs]", "[theirs, audit]") == apply(text, intent)
    assert text == remove(apply(text, intent), intent)


def test_name_moves_with_its_receiver() -> None:
    """When the Service has another address, the name goes from the old one, and nothing of others goes."""
    text = with_spec("hostAliases:", "- ip: 10.96.0.7", "  hostnames: [theirs]")
    moved = AuditIntent(host_aliases={"10.96.0.9": ("audit.example.com", "audit")})

    changed = apply(apply(text, ALIAS), moved, previous=ALIAS)

    assert {"10.96.0.7": ("theirs",), "10.96.0.9": ("audit.example.com", "audit")} == inspect(changed).host_aliases
    assert text == remove(changed, moved)


def test_name_of_several_receivers() -> None:
    """In the order in which they are tried; each goes as it came."""
    several = AuditIntent(host_aliases={"10.0.0.9": ("audit",), "10.0.0.8": ("audit",)})
    one = AuditIntent(host_aliases={"10.0.0.8": ("audit",)})
    for before in (pod(), with_spec("hostAliases:", "- ip: 10.0.0.8", "  hostnames: [theirs]")):
        text = apply(before, several)

        assert ["audit"] == [*inspect(text).host_aliases["10.0.0.9"]]
        assert "audit" in inspect(text).host_aliases["10.0.0.8"]
        assert before == remove(text, several)
        assert apply(before, one) == apply(text, one, previous=several)


def test_inspect_tells_the_names() -> None:
    """Variables, aliases and the DNS policy come back as they were asked for; without them nothing is told."""
    view, bare = inspect(apply(kubeadm(35), NAMED)), inspect(kubeadm(35))

    assert (NAMED.env, NAMED.host_aliases, NAMED.dns_policy) == (view.env, view.host_aliases, view.dns_policy)
    assert ({}, {}, "") == (bare.env, bare.host_aliases, bare.dns_policy)


def test_dns_policy_is_changed_in_place_and_left_alone_unless_asked() -> None:
    """The empty text leaves it as it is, None takes it away."""
    text = with_spec("dnsPolicy: 'Default' # why", "hostNetwork: true")

    assert text.replace("Default", "ClusterFirst") == apply(text, AuditIntent(dns_policy="ClusterFirst"))
    assert text == apply(text, AuditIntent())
    assert with_spec("hostNetwork: true") == apply(text, AuditIntent(dns_policy=None))


refused = {
    "value-from-elsewhere": (
        pod("env:", "- name: A", "  valueFrom: {fieldRef: {fieldPath: status.podIP}}"),
        ENV,
        "spec.containers[0].env[0]: variable A has its value from elsewhere; remove it, or use another name",
    ),
    "variable-twice": (
        pod("env:", "- {name: A, value: x}", "- {name: A, value: y}"),
        ENV,
        "line 12, spec.containers[0].env[1]: variable A is there twice; leave one of them",
    ),
    "env-is-a-mapping": (pod("env: {A: b}"), ENV, "env: this is no list of mappings"),
    "name-of-another-address": (
        with_spec("hostAliases:", "- {ip: 10.0.0.1, hostnames: [audit]}"),
        ALIAS,
        "spec.hostAliases[0]: audit is a name of 10.0.0.1 here, not of 10.96.0.7; remove the name from this alias",
    ),
    "address-twice": (
        with_spec("hostAliases:", "- {ip: 10.96.0.7, hostnames: [a]}", "- {ip: 10.96.0.7, hostnames: [b]}"),
        ALIAS,
        "spec.hostAliases[1]: 10.96.0.7 is there twice; make one alias of them",
    ),
    "no-names": (
        with_spec("hostAliases:", "- {ip: 10.96.0.7, hostnames: []}"),
        ALIAS,
        "the alias of 10.96.0.7 has no names; remove it",
    ),
    "names-are-text": (
        with_spec("hostAliases:", "- {ip: 10.96.0.7, hostnames: a}"),
        ALIAS,
        "spec.hostAliases[0].hostnames: this is no list of names",
    ),
    "shared-by-an-anchor": (
        with_spec("hostAliases: &a", "- {ip: 10.96.0.8, hostnames: [a]}"),
        ALIAS,
        "spec.hostAliases: an anchor or a tag stands here",
    ),
}


@pytest.mark.parametrize(("text", "intent", "message"), refused.values(), ids=refused)
def test_entry_is_refused(text: str, intent: AuditIntent, message: str) -> None:
    """What is somebody else's, or can't be told apart, is not touched."""
    with pytest.raises(EditRefused) as caught:
        apply(text, intent)

    assert message in str(caught.value)
