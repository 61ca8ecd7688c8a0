"""Compare what the reader makes of a policy file with what the upstream reader makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaudit_core.policy.reader import PolicyReading, read_policy
from kaudit_core.policy.types import Policy
from kaudit_core.policy.versions import KubernetesVersion
from tests.oracle.upstream import Oracle, encoded

STRICT_WITHOUT_WARNING = {"second-document", "encoding"}
"""Strict findings of ours that upstream's strict decoder does not know."""


def plain(policy: Policy) -> dict[str, Any]:
    """A policy as the oracle writes it."""
    rules = [
        {
            "level": rule.level,
            "users": list(rule.users),
            "userGroups": list(rule.user_groups),
            "verbs": list(rule.verbs),
            "resources": [
                {"group": entry.group, "resources": list(entry.resources), "resourceNames": list(entry.resource_names)}
                for entry in rule.resources
            ],
            "namespaces": list(rule.namespaces),
            "nonResourceURLs": list(rule.non_resource_urls),
            "omitStages": list(rule.omit_stages),
            "omitManagedFields": rule.omit_managed_fields,
        }
        for rule in policy.rules
    ]
    return {"rules": rules, "omitStages": list(policy.omit_stages), "omitManagedFields": policy.omit_managed_fields}


def answers(oracle: Oracle, files: Sequence[bytes]) -> list[dict[str, Any]]:
    """What upstream says of many files."""
    return oracle.ask({"op": "load", "id": "p", "policy": encoded(data)} for data in files)


def differences(oracle: Oracle, files: Sequence[bytes]) -> list[str]:
    """One text per file that is read differently, with all that is needed to see it again."""
    version = KubernetesVersion.parse(oracle.version)
    found = []
    for data, answer in zip(files, answers(oracle, files), strict=True):
        reading = read_policy(data, "policy", version)
        reason = difference(reading, answer)
        if reason:
            notes = "\n".join(f"    {finding}" for finding in reading.findings)
            found.append(f"{reason}\n  version: {version}\n  file: {data!r}\n  upstream: {answer}\n  ours:\n{notes}")
    return found


def difference(reading: PolicyReading, answer: dict[str, Any]) -> str:
    """Why a reading is not upstream's; "" when it is."""
    if reading.policy is None:
        if "ok" in answer:
            return "refused here, accepted upstream"
        return "" if any(finding.severity == "error" for finding in reading.findings) else "refused without an error"
    if "ok" not in answer:
        return "accepted here, refused upstream"
    if plain(reading.policy) != answer["policy"]:
        return f"another policy: {plain(reading.policy)}"
    strict = {f.code for f in reading.findings if f.severity == "strict"} - STRICT_WITHOUT_WARNING
    if bool(strict) != bool(answer["warnings"]):
        return "upstream's strict reader and ours disagree"
    return ""
