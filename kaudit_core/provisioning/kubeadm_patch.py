"""What kubeadm's ClusterConfiguration has no place for, as a file for `kubeadm upgrade --patches` (pitfall P15).

kubeadm writes the manifest anew from its configuration, with flags and mounts; annotations, variables, host aliases and
the DNS policy would be lost. A strategic merge patch adds them and leaves alone what others have there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.pod import NAME

PATCH_NAME: Final = "kube-apiserver0kaudit+strategic.yaml"
"""As kubeadm wants it: the target, a suffix that decides the order among patches, and the kind of patch."""

_HEAD: Final = "# Written by kaudit, removed by disable.yml: what of auditing kubeadm's own configuration can't hold.\n"


def kubeadm_patch(intent: AuditIntent) -> str:
    """The patch file for kube-apiserver, "" for an intent that fits into the ClusterConfiguration as a whole."""
    patch: dict[str, Any] = {}
    if annotations := _present(intent.annotations):
        patch["metadata"] = {"annotations": annotations}
    spec: dict[str, Any] = {}
    if env := _present(intent.env):
        entries = [{"name": name, "value": value} for name, value in env.items()]
        spec["containers"] = [{"name": NAME, "env": entries}]
    if intent.host_aliases:
        aliases = intent.host_aliases.items()
        spec["hostAliases"] = [{"ip": address, "hostnames": list(names)} for address, names in aliases]
    if intent.dns_policy:
        spec["dnsPolicy"] = intent.dns_policy
    if spec:
        patch["spec"] = spec
    return _HEAD + yaml.safe_dump(patch, sort_keys=False, width=10_000, allow_unicode=True) if patch else ""


def kubeadm_patch_of(intent: Mapping[str, Any]) -> str:
    """The same, of an intent as a deployment's record has it."""
    return kubeadm_patch(AuditIntent.from_json(intent))


def _present(wanted: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if value is not None}
