"""The deployment record: what earlier versions of kaudit wrote stays readable, and what is ours is put together."""

from __future__ import annotations

from typing import Any

from kaudit_core.provisioning import record
from kaudit_core.provisioning.intent import AuditIntent
from tests.provisioning.manifests import NAMED

EARLIER = {"flags": {"a": "1"}, "mounts": [], "annotations": {}, "absent_mounts": []}


def entry(policy: str, intent: dict[str, Any]) -> dict[str, Any]:
    """A deployment that stayed."""
    return {"outcome": "deployed", "finished": "2026-01-01T00:00:00Z", "policy_sha256": policy, "intent": intent}


def test_deployment_of_an_earlier_version_is_the_same_as_one_that_asks_for_no_names() -> None:
    """Going back passes over deployments that asked for the same, whichever version wrote them down."""
    first, second = entry("A", EARLIER), entry("B", EARLIER)
    third = entry("B", AuditIntent({"a": "1"}).as_json())

    assert first == record.to_go_back_to([first, second, third])


def test_other_variables_are_another_deployment() -> None:
    """A changed variable of the environment is something to go back from."""
    first, second = entry("A", EARLIER), entry("A", AuditIntent({"a": "1"}, env={"A": "1"}).as_json())

    assert first == record.to_go_back_to([first, second])


def test_names_are_put_together() -> None:
    """Of several deployments the last value of a variable counts, and a name has the last address it was given."""
    moved = AuditIntent(env={"A": "1"}, host_aliases={"10.96.0.9": ("audit",)})
    ours = record.combined([entry("A", NAMED.as_json()), entry("A", moved.as_json())])

    assert {**NAMED.env, "A": "1"} == ours.env
    assert {
        "10.96.0.7": ("audit.example.com",),
        "10.96.0.9": ("audit",),
        "fd00::7": ("audit6.example.com",),
    } == ours.host_aliases
    assert "ClusterFirstWithHostNet" == ours.dns_policy


def test_name_keeps_all_addresses_of_its_last_deployment() -> None:
    """One that named two receivers, and one that named another two."""
    first = AuditIntent(host_aliases={"10.0.0.1": ("audit",), "10.0.0.2": ("audit",)})
    second = AuditIntent(host_aliases={"10.0.0.3": ("audit",), "10.0.0.2": ("audit",)})

    assert (
        second.host_aliases == record.combined([entry("A", first.as_json()), entry("A", second.as_json())]).host_aliases
    )
