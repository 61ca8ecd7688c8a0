"""Policies of any size, made for measuring: the same size gives the same bytes on every machine.

    python bench/policies.py RULES > policy.yaml

The mix is that of a long-lived cluster: many rules that silence one component, some for one team's namespaces, a few by
name, non-resource URLs. None of these is about a request in the logs of logs.py: that is decided by the last eight
rules, so that every policy promises what these logs hold, and only its length matters.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import logs

SIZES = (12, 100, 1_000, 10_000)
GROUPS = ("", "apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io")
RESOURCES = ("pods", "secrets", "configmaps", "deployments", "jobs", "ingresses", "roles", "pods/log", "*/status")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
COMPONENTS = ("controller", "operator", "exporter", "syncer", "scaler")


def _component(index: int) -> dict[str, Any]:
    """Silence one service account on the two resources that it polls."""
    user = f"system:serviceaccount:team-{index % 97}:{COMPONENTS[index % len(COMPONENTS)]}-{index}"
    resources = [RESOURCES[index % len(RESOURCES)], RESOURCES[(index + 3) % len(RESOURCES)]]
    return {
        "level": "None",
        "users": [user],
        "verbs": list(VERBS[:3]),
        "resources": [{"group": GROUPS[index % len(GROUPS)], "resources": resources}],
    }


def _team(index: int) -> dict[str, Any]:
    """One team's writes in its own namespaces."""
    return {
        "level": LEVELS[1 + index % 3],
        "userGroups": [f"team-{index % 211}", f"oncall-{index % 13}"],
        "verbs": list(VERBS[3 + index % 3 :]),
        "namespaces": [f"team-{index}", f"team-{index}-staging"],
        "omitStages": ["RequestReceived"],
    }


def _named(index: int) -> dict[str, Any]:
    """One object that matters."""
    group = {"group": "", "resources": ["configmaps", "secrets"], "resourceNames": [f"settings-{index}"]}
    return {"level": "Metadata", "resources": [group], "omitManagedFields": True}


def _url(index: int) -> dict[str, Any]:
    """A path that is polled."""
    return {"level": "None", "nonResourceURLs": [f"/healthz/probe-{index}", f"/metrics/shard-{index}*"]}


SHAPES = (_component, _component, _team, _component, _named, _component, _team, _url)


def _about_the_logs(mix: str) -> list[dict[str, Any]]:
    """Rules for what logs.py makes, at the levels it gives; the last one is for everything else."""
    bodies = logs.LEVELS[mix]
    nodes = {"userGroups": ["system:nodes"]}
    return [
        {"level": "Metadata", **nodes, "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": bodies["patch"], **nodes, "resources": [{"group": "", "resources": ["pods/status"]}]},
        {
            "level": bodies["create"],
            "verbs": ["create"],
            "resources": [{"group": "authentication.k8s.io", "resources": ["tokenreviews"]}],
        },
        {
            "level": "Metadata",
            "verbs": ["list", "watch"],
            "resources": [{"group": group} for group in ("apps", "batch", "networking.k8s.io")],
        },
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "configmaps"]}]},
        {"level": bodies["get"], "resources": [{"group": "", "resources": ["endpoints", "services"]}]},
        {"level": "Metadata", "nonResourceURLs": ["/healthz", "/readyz*", "/metrics"]},
        {"level": "Metadata"},
    ]


def policy(rules: int, mix: str = "metadata") -> dict[str, Any]:
    """A valid policy with this many rules, for one of the logs."""
    last = _about_the_logs(mix)
    listed = [SHAPES[index % len(SHAPES)](index) for index in range(rules - len(last))]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [*listed, *last],
    }


def as_json(rules: int, mix: str = "metadata") -> str:
    """The policy as JSON."""
    return json.dumps(policy(rules, mix)) + "\n"


def as_yaml(rules: int) -> str:
    """The policy as the YAML that a person would write: a block per rule, lists in brackets."""
    lines = ["apiVersion: audit.k8s.io/v1", "kind: Policy", 'omitStages: ["RequestReceived"]', "rules:"]
    for rule in policy(rules)["rules"]:
        lines.append(f"- level: {rule['level']}")
        for field in ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs", "omitStages"):
            if field in rule:
                lines.append(f"  {field}: {json.dumps(rule[field])}")
        if "omitManagedFields" in rule:
            lines.append("  omitManagedFields: true")
        for number, group in enumerate(rule.get("resources", ())):
            lines += ["  resources:"] if number == 0 else []
            lines.append(f"  - group: {json.dumps(group['group'])}")
            lines += [f"    {key}: {json.dumps(group[key])}" for key in ("resources", "resourceNames") if key in group]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_yaml(int(sys.argv[1])))
