"""Audit logs of any size, made for measuring: Go's order and escapes, the same bytes on every machine.

    python bench/logs.py metadata|mixed BYTES > audit.log

metadata: nothing but Metadata, about 1 KB an event: leases, node and pod status, watches, reviews, health checks.
mixed: three events in ten carry bodies of 1 to 20 KB.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

NODES = [f"ip-10-{n % 64}-{n * 7 % 256}-{n * 13 % 256}.eu-central-1.compute.internal" for n in range(60)]
NAMESPACES = [
    "default",
    "kube-system",
    "monitoring",
    *(f"team-{n}-{kind}" for n in range(12) for kind in ("prod", "dev")),
]
LEVELS = {
    "metadata": {"patch": "Metadata", "create": "Metadata", "get": "Metadata"},
    "mixed": {"patch": "RequestResponse", "create": "Request", "get": "RequestResponse"},
}
"""What is recorded of pods' status, of reviews, and of endpoints and services that are read."""
AGENT = "kubelet/v1.35.4 (linux/amd64) kubernetes/93248f9"
ALLOWED = 'RBAC: allowed by ClusterRoleBinding "{0}" of ClusterRole "{0}" to ServiceAccount "{0}"'


def text(value: Any) -> str:
    """JSON as Go writes it."""
    plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def node(rng: Random) -> dict[str, Any]:
    name = rng.choice(NODES)
    return {
        "username": f"system:node:{name}",
        "groups": ["system:nodes", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [f"X509SHA256={rng.getrandbits(256):064x}"]},
    }


def account(rng: Random) -> dict[str, Any]:
    namespace, name = rng.choice(NAMESPACES), f"controller-{rng.randrange(40)}"
    return {
        "username": f"system:serviceaccount:{namespace}:{name}",
        "uid": uid(rng),
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "extra": {
            "authentication.kubernetes.io/credential-id": [f"JTI={uid(rng)}"],
            "authentication.kubernetes.io/pod-name": [f"{name}-{rng.getrandbits(40):010x}"],
            "authentication.kubernetes.io/pod-uid": [uid(rng)],
        },
    }


def uid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def event(rng: Random, verb: str, uri: str, user: dict[str, Any], reference: dict[str, str] | None) -> dict[str, Any]:
    """One event at Metadata, every field that such an event has."""
    day, second, micro = 1 + rng.randrange(28), rng.randrange(60), rng.randrange(10**6)
    stamp = f"2026-01-{day:02}T12:00:{second:02}.{micro:06}Z"
    whole: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": uid(rng),
        "stage": "ResponseStarted" if verb == "watch" and rng.random() < 0.5 else "ResponseComplete",
        "requestURI": uri,
        "verb": verb,
        "user": user,
        "sourceIPs": [f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"],
        "userAgent": AGENT,
    }
    if reference:
        whole["objectRef"] = reference
    name = user["username"].rpartition(":")[2]
    return whole | {
        "responseStatus": {"metadata": {}, "code": 201 if verb == "create" else 200},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": ALLOWED.format(name),
        },
    }


def resource_event(rng: Random) -> dict[str, Any]:
    """A lease, a pod's status, a secret, a watch, a list or a review."""
    namespace, name = rng.choice(NAMESPACES), f"web-{rng.getrandbits(40):010x}"
    place = {"namespace": namespace, "name": name}
    kind = rng.random()
    if kind < 0.36:
        uri = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}?timeout=10s"
        reference = {
            "resource": "leases",
            **place,
            "uid": uid(rng),
            "apiGroup": "coordination.k8s.io",
            "apiVersion": "v1",
        }
        return event(rng, "update", uri, node(rng), reference)
    if kind < 0.5:
        reference = {"resource": "pods", **place, "apiVersion": "v1", "subresource": "status"}
        return event(rng, "patch", f"/api/v1/namespaces/{namespace}/pods/{name}/status", node(rng), reference)
    if kind < 0.65:
        group, resource = rng.choice((("apps", "deployments"), ("batch", "jobs"), ("networking.k8s.io", "ingresses")))
        verb = rng.choice(("watch", "watch", "list"))
        query = f"resourceVersion={rng.randrange(10**9)}&timeoutSeconds={rng.randrange(600)}&watch=true"
        query = f"allowWatchBookmarks=true&labelSelector=app%3D{name}&{query}" if verb == "watch" else "limit=500"
        reference = {"resource": resource, "apiGroup": group, "apiVersion": "v1"}
        return event(rng, verb, f"/apis/{group}/v1/{resource}?{query}", account(rng), reference)
    if kind < 0.75:
        reference = {"resource": "tokenreviews", "apiGroup": "authentication.k8s.io", "apiVersion": "v1"}
        return event(rng, "create", "/apis/authentication.k8s.io/v1/tokenreviews", account(rng), reference)
    resource = rng.choice(("configmaps", "secrets", "pods", "endpoints", "services"))
    reference = {"resource": resource, **place, "apiVersion": "v1"}
    return event(rng, "get", f"/api/v1/namespaces/{namespace}/{resource}/{name}", account(rng), reference)


def body(rng: Random, reference: dict[str, str]) -> dict[str, Any]:
    """An object of 1 to 20 KB with managedFields, labels and a specification."""
    fields: dict[str, Any] = {}
    for number in range(rng.randrange(5, 90)):
        fields[f"f:field-{number}"] = {".": {}, f"f:{number}": {}} if number % 3 else {}
    containers = [
        {
            "name": f"container-{number}",
            "image": f"registry.example.com/team/image-{number}@sha256:{rng.getrandbits(256):064x}",
            "args": [f"--flag-{argument}={rng.getrandbits(32)}" for argument in range(8)],
            "env": [{"name": f"KEY_{key}", "value": f'a "quoted" <value> {key}\n'} for key in range(rng.randrange(12))],
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
            "ports": [{"containerPort": 8080 + number, "protocol": "TCP"}],
            "securityContext": {"runAsNonRoot": True, "privileged": False, "runAsUser": 1000},
        }
        for number in range(rng.randrange(1, 12))
    ]
    metadata = {
        "name": reference.get("name", "x"),
        "namespace": reference.get("namespace", "x"),
        "uid": uid(rng),
        "resourceVersion": str(rng.randrange(10**9)),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app.kubernetes.io/name": "web", "pod-template-hash": f"{rng.getrandbits(40):x}"},
        "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}],
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"containers": containers, "hostNetwork": True},
    }


def events(mix: str) -> Iterator[dict[str, Any]]:
    """Events without end."""
    rng, levels = Random(mix), LEVELS[mix]
    while True:
        if rng.random() < 0.05:
            path = rng.choice(("/healthz", "/readyz?verbose=true", "/metrics", "/openapi/v3", "/apis"))
            yield event(rng, "get", path, account(rng), None)
            continue
        one = resource_event(rng)
        resource = one["objectRef"]["resource"]
        full = one["verb"] in ("patch", "create") or resource in ("endpoints", "services")
        yield with_bodies(rng, one, levels[one["verb"]]) if full else one


def with_bodies(rng: Random, one: dict[str, Any], level: str) -> dict[str, Any]:
    """An event at another level, with what that level records, in Go's order: bodies before the timestamps."""
    if level == "Metadata":
        return one
    last = ("requestReceivedTimestamp", "stageTimestamp", "annotations")
    whole = {name: value for name, value in one.items() if name not in last} | {"level": level}
    if one["verb"] != "get":
        whole["requestObject"] = body(rng, one["objectRef"])
    if level == "RequestResponse":
        whole["responseObject"] = body(rng, one["objectRef"])
    return whole | {name: one[name] for name in last}


def log(mix: str, size: int) -> Iterator[bytes]:
    """Lines until they are `size` bytes."""
    for one in events(mix):
        line = text(one).encode() + b"\n"
        yield line
        size -= len(line)
        if size <= 0:
            return


if __name__ == "__main__":
    sys.stdout.buffer.writelines(log(sys.argv[1], int(float(sys.argv[2]))))
