"""Intents that no manifest can carry are refused before any text is read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from kaudit_core.provisioning.intent import AuditIntent, Mount
from tests.provisioning.manifests import NAMED

mounts: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "Audit_Log"}, "is no DNS label"),
    "relative": ({"host_path": "var/log"}, "must be absolute"),
    "upwards": ({"host_path": "/var/../etc"}, "must be absolute"),
    "colon": ({"container_path": "/a:b"}, "must be absolute"),
    "type": ({"type": "Socket"}, "type 'Socket' is none of"),
}


@pytest.mark.parametrize(("change", "message"), mounts.values(), ids=mounts)
def test_mount_is_refused(change: dict[str, Any], message: str) -> None:
    """A mount that Kubernetes would refuse."""
    with pytest.raises(ValueError, match=message):
        Mount(**{"name": "log", "host_path": "/a", "container_path": "/a", **change})


LOG = Mount("log", "/a", "/a")
intents: dict[str, tuple[dict[str, Any], str]] = {
    "dashes": ({"flags": {"--audit-log-path": "-"}}, "without dashes before it"),
    "line-break": ({"flags": {"audit-log-path": "a\nb"}}, "must be printable"),
    "expansion": ({"flags": {"audit-log-path": "$(HOME)/a"}}, "must be printable and without"),
    "annotation-key": ({"annotations": {"a b": "c"}}, "is no qualified name"),
    "annotation-value": ({"annotations": {"a": "b\0"}}, "value must be printable"),
    "same-name": ({"mounts": (LOG, Mount("log", "/b", "/b"))}, "share a name or a container path"),
    "same-path": ({"mounts": (LOG, Mount("b", "/b", "/a/"))}, "share a name or a container path"),
    "wanted-and-not": ({"mounts": (LOG,), "absent_mounts": ("log",)}, "both wanted and to be removed"),
    "env-name": ({"env": {"1A": "x"}}, "env name '1A'"),
    "env-value": ({"env": {"A": "$(HOME)"}}, "env A: value"),
    "alias-address": ({"host_aliases": {"audit": ("a",)}}, "'audit' is no IP address"),
    "alias-without-names": ({"host_aliases": {"10.0.0.1": ()}}, "has no host name"),
    "alias-name": ({"host_aliases": {"10.0.0.1": ("A b",)}}, "'A b' is no host name"),
    "dns-policy": ({"dns_policy": "None"}, "DNS policy 'None' is none of ClusterFirst, "),
}


@pytest.mark.parametrize(("change", "message"), intents.values(), ids=intents)
def test_intent_is_refused(change: dict[str, Any], message: str) -> None:
    """Names and values that can't be written safely."""
    with pytest.raises(ValueError, match=message):
        AuditIntent(**change)


def test_intent_after_another_takes_its_rest_away() -> None:
    """What only the earlier intent names is to go."""
    aliases = {"10.0.0.1": ("a", "b"), "10.0.0.2": ("c",)}
    earlier = AuditIntent(
        {"a": "1", "b": "2"}, (LOG,), {"x": "1"}, ("old",), {"A": "1", "B": "2"}, aliases, {}, "Default"
    )
    later = AuditIntent({"b": "3"}, (), {"y": "2"}, (), {"B": "3"}, {"10.0.0.2": ("c", "a")})

    expected = AuditIntent(
        {"a": None, "b": "3"},
        (),
        {"x": None, "y": "2"},
        ("log",),
        {"A": None, "B": "3"},
        {"10.0.0.2": ("c", "a")},
        {"10.0.0.1": ("a", "b")},
        None,
    )
    assert expected == later.after(earlier)


def test_intent_survives_its_record() -> None:
    """What the record keeps as JSON is read back as it was; a record of an earlier version has no names."""
    whole = dataclasses.replace(NAMED, flags={"a": "1"}, mounts=(LOG,), absent_host_aliases={"10.0.0.1": ("a",)})
    earlier = {"flags": {"a": "1"}, "mounts": [], "annotations": {}, "absent_mounts": ["old"]}

    assert whole == AuditIntent.from_json(json.loads(json.dumps(whole.as_json())))
    assert AuditIntent({"a": "1"}, absent_mounts=("old",)) == AuditIntent.from_json(earlier)
