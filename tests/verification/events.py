"""Made-up events for tests: plausible by default, one thing changed at a time."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]


def pod_event(**changes: Any) -> Event:
    """GET of one pod at Metadata, complete; keyword arguments replace fields, None takes one away."""
    event: Event = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "id-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/x/pods/p",
        "verb": "get",
        "user": {"username": "alice", "groups": ["devs"]},
        "objectRef": {"resource": "pods", "namespace": "x", "name": "p", "apiVersion": "v1"},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.000000Z",
    }
    event.update(changes)
    return {name: value for name, value in event.items() if value is not None}


def path_event(path: str, **changes: Any) -> Event:
    """GET of a non-resource URI at Metadata."""
    return pod_event(**{"requestURI": path, "objectRef": None, **changes})
