"""Objects of the Kubernetes API as the roles apply them: where they live, and whether an answer changed anything."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

import yaml

MANAGER: Final = "kaudit"
_KINDS: Final = {
    ("v1", "Namespace"): "/api/v1/namespaces",
    ("v1", "Secret"): "/api/v1/namespaces/{}/secrets",
    ("v1", "Service"): "/api/v1/namespaces/{}/services",
    ("v1", "PersistentVolumeClaim"): "/api/v1/namespaces/{}/persistentvolumeclaims",
    ("apps/v1", "Deployment"): "/apis/apps/v1/namespaces/{}/deployments",
    ("policy/v1", "PodDisruptionBudget"): "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    ("networking.k8s.io/v1", "NetworkPolicy"): "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}
_SERVERS: Final = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def read_objects(text: str) -> list[dict[str, Any]]:
    """The objects of a YAML text."""
    return [one for one in yaml.safe_load_all(text) if one]


def title(value: Mapping[str, Any]) -> str:
    """An object's kind and name, for messages."""
    return f"{value['kind']} {value['metadata']['name']}"


def uri(value: Mapping[str, Any]) -> str:
    """Where an object lives in the API."""
    place = _KINDS[value["apiVersion"], value["kind"]].format(value["metadata"].get("namespace"))
    return f"{place}/{value['metadata']['name']}"


def applying(dry: bool) -> str:
    """The query of a server-side apply: unknown and repeated fields are errors, and what others changed is put back."""
    return f"?fieldManager={MANAGER}&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry else "")


def elsewhere(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same object in a namespace that every cluster has: to check one whose own namespace is not there yet."""
    return {**value, "metadata": {**value["metadata"], "namespace": "default"}}


def essence(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """An object without what the server keeps for itself."""
    kept = deepcopy(dict(value or {}))
    kept.pop("status", None)
    for name in _SERVERS:
        kept.get("metadata", {}).pop(name, None)
    return kept


def shown(value: Mapping[str, Any] | None) -> str:
    """An object for a diff: of a Secret only the names of what it holds."""
    kept = essence(value)
    if kept.get("kind") == "Secret":
        kept["data"] = dict.fromkeys(kept.get("data") or {}, "(hidden)")
    return yaml.safe_dump(kept) if kept else ""


def is_rolled_out(deployment: Mapping[str, Any] | None) -> bool:
    """Whether all pods of a Deployment are those of its newest template, and available."""
    if deployment is None:
        return False
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(seen and wanted == status.get("updatedReplicas", 0) == status.get("availableReplicas", 0))
