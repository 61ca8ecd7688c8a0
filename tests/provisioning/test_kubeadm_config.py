"""Auditing in kubeadm's ClusterConfiguration: the map of v1beta3 and the list of v1beta4."""

from __future__ import annotations

import pytest

from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.kubeadm_config import apply, inspect, remove
from kaudit_core.provisioning.mounts import MountView
from tests.provisioning.manifests import CONFIGURATIONS, INTENT, LOG, POLICY, V1BETA3, V1BETA4, V1BETA4_ARGS

MAXAGE = AuditIntent({"audit-log-maxage": "30"})

changes = {
    "map-value": (V1BETA3, "    authorization-mode", '    audit-log-maxage: "7"\n', '    audit-log-maxage: "30"\n'),
    "map-number-is-quoted": (
        V1BETA3,
        "    authorization-mode",
        "    audit-log-maxage: 30\n",
        '    audit-log-maxage: "30"\n',
    ),
    "list-value": (
        V1BETA4_ARGS,
        "  - name: authorization-mode",
        "  - name: audit-log-maxage\n    value: '7' # c\n",
        "  - name: audit-log-maxage\n    value: '30' # c\n",
    ),
    "list-duplicates": (
        V1BETA4_ARGS,
        "  - name: authorization-mode",
        '  - name: audit-log-maxage\n    value: "1"\n  - {value: "2", name: audit-log-maxage}\n',
        '  - {value: "30", name: audit-log-maxage}\n',
    ),
}


@pytest.mark.parametrize(("text", "place", "before", "after"), changes.values(), ids=changes)
def test_flag_is_changed_in_place(text: str, place: str, before: str, after: str) -> None:
    """A flag has one entry with the wanted string."""
    assert text.replace(place, after + place) == apply(text.replace(place, before + place), MAXAGE)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_inspect_tells_what_apply_did(name: str) -> None:
    """Flags and mounts come back as they were asked for; annotations have no place here."""
    view = inspect(apply(CONFIGURATIONS[name], INTENT))

    assert INTENT.flags == view.audit_flags
    assert (
        MountView(POLICY.name, POLICY.container_path, True, POLICY.host_path, "Directory"),
        MountView(LOG.name, LOG.container_path, False, LOG.host_path, "DirectoryOrCreate"),
    ) == view.mounts[-2:]


def test_inspect_tells_versions() -> None:
    """Of the API and of Kubernetes."""
    view = inspect(V1BETA4)

    assert ("kubeadm.k8s.io/v1beta4", "1.35.4") == (view.api_version, view.kubernetes_version)


def test_flag_is_removed() -> None:
    """None takes an entry away."""
    text = V1BETA3.replace("    auth", '    audit-log-compress: "true"\n    auth')

    assert V1BETA3 == apply(text, AuditIntent({"audit-log-compress": None}))


def test_previous_names_may_change_wholly() -> None:
    """What an earlier apply brought may get other paths, and what is no longer wanted goes."""
    moved = Mount(LOG.name, "/data/audit", "/data/audit", read_only=False)
    wanted = AuditIntent({"audit-log-path": "/data/audit/a.log"}, (moved,))
    changed = apply(apply(V1BETA4, INTENT), wanted, previous=INTENT)

    assert {"audit-log-path": "/data/audit/a.log"} == inspect(changed).audit_flags
    assert V1BETA4 == remove(changed, wanted)
