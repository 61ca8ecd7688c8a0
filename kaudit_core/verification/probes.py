"""Probes: requests that change nothing and whose events are known in advance. Only they can prove silence wrong.

Every write among them names an object that doesn't exist, with a body the API server can't take: it is refused after
it was audited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kaudit_core.events.attributes import request_attributes
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.types import Attributes, Policy, Rule

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
_PLAIN: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
"""A name of the policy that is put into a URI. "secrets#" or "secrets?" would lead a DELETE to all secrets."""
_PLAIN_URL: Final = re.compile(r"/([A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*")
_LONG: Final = ("/debug/", "/logs/")
"""URLs whose answers may take half a minute, or be large."""

_NOWHERE: Final = "kaudit"
"""A resource that doesn't exist: the answer is 404, after the request was audited."""
_NAMESPACES: Final = ("kube-system", "default", "")
_RESOURCES: Final = (
    *(("", "configmaps"), ("", "secrets"), ("rbac.authorization.k8s.io", "roles"), ("", "pods")),
    *(("apps", "deployments"), ("", _NOWHERE)),
)


@dataclass(frozen=True)
class Probe:
    """A request that the policy logs: its event has this rule and level, and one of these stages."""

    method: str
    uri: str
    rule: int | None
    level: str
    stages: tuple[str, ...]


def choose_probe(policy: Policy, name: str) -> Probe | None:
    """A request that one rule logs whoever of GROUPS sends it; None: the policy logs none that can be made safely.

    name: of an object that doesn't exist; in the URI of every request but creates and the policy's own URLs.
    """
    evaluator = Evaluator(policy)
    for verb, uri in _candidates(policy, name):
        method = _METHODS.get(verb, "GET")
        try:
            asked = [request_attributes(method, uri, USER, groups) for groups in GROUPS]
        except UnparsableURI:
            continue  # like a resource that is named watch
        if not _asks(asked[0], verb, name):
            continue  # like one that is named status
        configs = {evaluator.evaluate(attributes) for attributes in asked}
        config = next(iter(configs))
        stages = tuple(stage for stage in ("RequestReceived", "ResponseComplete") if stage not in config.omit_stages)
        if len(configs) == 1 and config.level != "None" and stages:
            return Probe(method, uri, config.rule, config.level, stages)
    return None


def _asks(attributes: Attributes, verb: str, name: str) -> bool:
    """Whether the API server understands a URI as it is meant: never more than the one object that doesn't exist."""
    if not verb or not attributes.resource_request:
        return not verb and not attributes.resource_request
    meant = (verb, "" if verb == "create" else name, "")
    return meant == (attributes.verb, attributes.name, attributes.subresource)


def _candidates(policy: Policy, name: str) -> Iterator[tuple[str, str]]:
    """Verb ("" for other URLs) and URI; reads first, and what the policy itself names after the usual."""
    targets = dict.fromkeys(_targets(policy))
    urls = dict.fromkeys(
        ["/version", *(url.replace("*", name) for rule in policy.rules for url in rule.non_resource_urls)]
    )
    for verb in _METHODS:
        for group, resource, namespace in targets:
            root = f"/apis/{group}/{_VERSIONS.get(group, 'v1')}" if group else "/api/v1"
            place = f"{root}/namespaces/{namespace}/{resource}" if namespace else f"{root}/{resource}"
            yield verb, _uri(verb, place, name)
        if verb == "get":
            yield from (("", url) for url in urls if _PLAIN_URL.fullmatch(url) and _is_quick(url, name))


def _targets(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """Group, resource and namespace: the usual ones, then for every rule that logs what it may be about."""
    yield from ((group, resource, namespace) for group, resource in _RESOURCES for namespace in _NAMESPACES)
    for rule in policy.rules:
        if rule.level == "None" or rule.non_resource_urls:
            continue
        namespaces = [each for each in rule.namespaces if not each or _PLAIN.fullmatch(each)]
        for group, resource in _resources(rule) if rule.resources else _RESOURCES:
            for namespace in namespaces if rule.namespaces else _NAMESPACES:
                yield group, resource, namespace


def _resources(rule: Rule) -> Iterator[tuple[str, str]]:
    for entry in rule.resources:
        group = "" if entry.group == "*" else entry.group
        for pattern in entry.resources or ("*",):
            resource = _NOWHERE if pattern == "*" else pattern.removesuffix("/*")
            if _PLAIN.fullmatch(resource) and (not group or _PLAIN.fullmatch(group)):
                yield group, resource


def _is_quick(url: str, name: str) -> bool:
    return name in url or not url.startswith(_LONG)


def _uri(verb: str, place: str, name: str) -> str:
    if verb == "list":
        return f"{place}?fieldSelector=metadata.name%3D{name}&limit=1"
    return place if verb == "create" else f"{place}/{name}"
