"""Probes: requests that change nothing and whose events are known in advance. Only they can prove silence wrong.

Every write among them names an object that doesn't exist, with a body the API server can't take: it is refused after
it was audited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kaudit_core.events.attributes import request_attributes
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.types import Policy

USER: Final = "kube-apiserver-kubelet-client"
GROUPS: Final = (
    ("system:masters", "system:authenticated"),
    ("kubeadm:cluster-admins", "system:authenticated"),
)
"""Of the certificate that kubeadm gives an API server for its kubelets: before 1.29, and since."""

_VERSIONS: Final = {"autoscaling": "v2", "policy": "v1", "": "v1"}
_METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "delete": "DELETE",
    "update": "PUT",
    "patch": "PATCH",
    "create": "POST",
}
_DEFAULTS: Final = (("", "configmaps"), ("", "secrets"), ("rbac.authorization.k8s.io", "roles"), ("", "pods"))


@dataclass(frozen=True)
class Probe:
    """A request that the policy logs: its event has this rule and level, and one of these stages."""

    method: str
    uri: str
    rule: int | None
    level: str
    stages: tuple[str, ...]


def choose_probe(policy: Policy, name: str) -> Probe | None:
    """A request that is logged whoever of GROUPS sends it, with `name` in its URI; None: the policy logs none."""
    evaluator = Evaluator(policy)
    for method, uri in _candidates(policy, name):
        try:
            asked = [request_attributes(method, uri, USER, groups) for groups in GROUPS]
        except UnparsableURI:
            continue  # a URL of the policy that no client can send
        configs = {evaluator.evaluate(attributes) for attributes in asked}
        config = next(iter(configs))
        stages = tuple(stage for stage in ("RequestReceived", "ResponseComplete") if stage not in config.omit_stages)
        if len(configs) == 1 and config.level != "None" and stages:
            return Probe(method, uri, config.rule, config.level, stages)
    return None


def _candidates(policy: Policy, name: str) -> Iterator[tuple[str, str]]:
    """Reads first, and what the policy itself names after the usual."""
    resources = dict.fromkeys(_DEFAULTS)
    namespaces = dict.fromkeys(["kube-system"])
    urls = dict.fromkeys(["/version"])
    for rule in policy.rules:
        namespaces.update(dict.fromkeys(rule.namespaces or ()))
        urls.update(dict.fromkeys(url.replace("*", name) for url in rule.non_resource_urls or () if len(url) > 1))
        for entry in rule.resources or ():
            names = [resource for resource in entry.resources or ("kaudit",) if "/" not in resource and resource != "*"]
            resources.update(dict.fromkeys((entry.group, resource) for resource in names if entry.group != "*"))
    for verb, method in _METHODS.items():
        for group, resource in resources:
            root = f"/apis/{group}/{_VERSIONS.get(group, 'v1')}" if group else "/api/v1"
            for namespace in [*filter(None, namespaces), ""]:
                place = f"{root}/namespaces/{namespace}/{resource}" if namespace else f"{root}/{resource}"
                yield method, _uri(verb, place, name)
        if verb == "get":
            yield from (("GET", url) for url in urls)


def _uri(verb: str, place: str, name: str) -> str:
    if verb == "list":
        return f"{place}?fieldSelector=metadata.name%3D{name}&limit=1"
    return place if verb == "create" else f"{place}/{name}"
