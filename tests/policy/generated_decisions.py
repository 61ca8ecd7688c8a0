"""Policies and requests made from a seed, weighted towards near misses.

A request takes its values from one rule of the policy three times in four; else one of them is off by a character,
a letter's case or a path segment, or comes from another rule. Every policy made here is one that a server loads.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

Document = dict[str, Any]
Request = dict[str, Any]

USERS = ("alice", "bob", "system:admin", "system:serviceaccount:n:s", "system:node:n-1", "*", "", "użytkownik", "a b")
GROUPS = ("devs", "ops", "system:masters", "system:authenticated", "system:serviceaccounts:n", "*", "", "grp ę")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "proxy", "post", "*", "")
NAMESPACES = ("n", "n2", "kube-system", "default", "*", "")
API_GROUPS = ("", "", "", "apps", "apps", "batch", "rbac.authorization.k8s.io", "a.b")
RESOURCES = ("pods", "secrets", "deployments", "nodes", "namespaces", "pod", "")
SUBRESOURCES = ("log", "status", "exec", "scale", "")
PATTERNS = (
    *("pods", "pods", "pods/log", "pods/*", "*", "*/status", "*/log", "*/*", "deployments/scale", "secrets", "secrets"),
    *("pod*", "pods/", "/log", "/*", "*/", "", "/", "pods/log/*", "*/log/*", "**", "pods/**", "Pods", "nodes/*"),
)
NAMES = ("x", "y", "web-0", "*", "", "x/y", "ż")
URLS = (
    *("/healthz*", "/healthz", "/version", "/", "/*", "*", "/metrics", "/api*", "/apis/*", "/a b", "/healthz/*"),
    *("/logs/", "/ż*", "/openapi/v2", "/readyz*"),
)
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
LETTERS = "aZ*/- :.żs"

SHAPES = ("mixed", "who", "resources", "paths", "long")
"""mixed: any field; who: users, groups, verbs; long: lists and policies around 64 entries."""


def some(rng: Random, pool: tuple[str, ...], shape: str) -> list[str]:
    """One to three values, or about 64 of which most are never asked for."""
    values = [rng.choice(pool) for _ in range(rng.choice((1, 1, 2, 3)))]
    if shape == "long" and rng.random() < 0.3:
        values += [f"filler-{number}" for number in range(rng.choice((62, 63, 64, 65)) - len(values))]
        rng.shuffle(values)
    return values


def some_entry(rng: Random, shape: str, any_group: bool) -> dict[str, Any]:
    """One entry of `resources`."""
    entry: dict[str, Any] = {"group": "*" if any_group and rng.random() < 0.2 else rng.choice(API_GROUPS)}
    if entry["group"] == "" and rng.random() < 0.3:
        del entry["group"]
    if rng.random() < 0.85:
        entry["resources"] = some(rng, PATTERNS, shape)
        if rng.random() < 0.3:
            entry["resourceNames"] = some(rng, NAMES, shape)
    return entry


def some_rule(rng: Random, shape: str, any_group: bool) -> dict[str, Any]:
    """One rule; fields that the shape is about come often."""
    who, what = (0.6, 0.1) if shape == "who" else (0.15, 0.9) if shape in ("resources", "paths") else (0.3, 0.7)
    rule: dict[str, Any] = {"level": rng.choice(LEVELS)}
    for field, pool in (("users", USERS), ("userGroups", GROUPS), ("verbs", VERBS)):
        if rng.random() < who:
            rule[field] = some(rng, pool, shape)
    if rng.random() < what:
        if rng.random() < {"resources": 0.05, "paths": 0.85}.get(shape, 0.3):
            rule["nonResourceURLs"] = [url for url in some(rng, URLS, shape) if url[0] in "/*"] or ["/version"]
        else:
            fields = rng.choice((("namespaces",), ("resources",), ("resources",), ("namespaces", "resources")))
            if "namespaces" in fields:
                rule["namespaces"] = some(rng, NAMESPACES, shape)
            if "resources" in fields:
                rule["resources"] = [some_entry(rng, shape, any_group) for _ in range(rng.choice((1, 1, 2, 3)))]
    if rng.random() < 0.3:
        rule["omitStages"] = rng.sample(STAGES, rng.choice((0, 1, 2)))
    if rng.random() < 0.3:
        rule["omitManagedFields"] = rng.random() < 0.5
    return rule


def some_policy(rng: Random, shape: str, any_group: bool = False) -> Document:
    """A policy that loads. any_group: it may hold group "*"."""
    count = rng.choice((63, 64, 65, 130)) if shape == "long" and rng.random() < 0.2 else rng.choice((1, 2, 3, 5, 8, 13))
    document: Document = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    if rng.random() < 0.4:
        document["omitStages"] = rng.sample(STAGES, rng.choice((1, 2)))
    if rng.random() < 0.4:
        document["omitManagedFields"] = rng.random() < 0.5
    return document | {"rules": [some_rule(rng, shape, any_group) for _ in range(count)]}


def near(rng: Random, text: str) -> str:
    """Text that is off by a character, a letter's case or a segment."""
    at = rng.randrange(len(text) + 1)
    changed = (
        text[:at] + text[at + 1 :],
        text[:at] + rng.choice(LETTERS) + text[at:],
        text[:at] + rng.choice(LETTERS) + text[at + 1 :],
        text[:at] + text[at : at + 1].swapcase() + text[at + 1 :],
        text.rpartition("/")[0],
        text + rng.choice(("/x", "/", "*", "/*")),
        "",
    )
    return rng.choice(changed)


def taken(rng: Random, values: list[str], pool: tuple[str, ...]) -> str:
    """One of the rule's values three times in four, else one that is near, or any at all."""
    value = rng.choice(values) if values else rng.choice(pool)
    if rng.random() < 0.75:
        return value
    return near(rng, value) if rng.random() < 0.7 else rng.choice(pool)


def asked_resource(rng: Random, pattern: str) -> tuple[str, str]:
    """A resource and a subresource that a pattern is about."""
    resource, _, subresource = pattern.partition("/")
    if resource == "*" and rng.random() < 0.9:
        resource = rng.choice(RESOURCES)
    if (subresource == "*" and rng.random() < 0.9) or pattern == "*":
        subresource = rng.choice(SUBRESOURCES)
    return resource, subresource


def some_request(rng: Random, document: Document) -> Request:
    """A request that is near to one rule of a policy, as `kaudit policy evaluate` reads it."""
    rule = rng.choice(document["rules"])
    entry = rng.choice(rule.get("resources") or [{}])
    about_resource = "resources" in rule or "namespaces" in rule
    url = taken(rng, rule.get("nonResourceURLs", []), URLS)
    if url.endswith("*") and rng.random() < 0.8:
        url = url.rstrip("*") + rng.choice(("", "", "x", "/x", "*", "/"))
    request: Request = {"verb": taken(rng, rule.get("verbs", []), VERBS), "path": url}
    if rng.random() < 0.9:
        request["user"] = taken(rng, rule.get("users", []), USERS)
    groups = [taken(rng, rule.get("userGroups", []), GROUPS) for _ in range(rng.choice((0, 1, 1, 2)))]
    request["groups"] = [*(rng.choice(GROUPS) for _ in range(rng.choice((0, 0, 1)))), *groups]
    if not about_resource and "nonResourceURLs" not in rule:
        about_resource = rng.random() < 0.5
    request["resourceRequest"] = about_resource if rng.random() < 0.93 else not about_resource
    if about_resource or rng.random() < 0.1:
        resource, subresource = asked_resource(rng, taken(rng, entry.get("resources", []), PATTERNS))
        request |= {
            "namespace": taken(rng, rule.get("namespaces", []), NAMESPACES),
            "apiGroup": taken(rng, [entry.get("group", "").replace("*", rng.choice(API_GROUPS))], API_GROUPS),
            "apiVersion": rng.choice(("v1", "v1beta1", "")),
            "resource": resource,
            "subresource": subresource if rng.random() < 0.9 else near(rng, subresource),
            "name": taken(rng, entry.get("resourceNames", []), NAMES),
        }
    return request


def rendered(rng: Random, document: Document) -> bytes:
    """The policy's file: JSON, or YAML in block style with every text in quotes."""
    if rng.random() < 0.5:
        return json.dumps(document, indent=rng.choice((None, 1)), ensure_ascii=rng.random() < 0.5).encode()
    return (_block(document, "") + "\n").encode()


def _block(value: Any, pad: str) -> str:
    if isinstance(value, dict):
        return f"\n{pad}".join(f"{key}:{_nested(item, pad)}" for key, item in value.items())
    return json.dumps(value, ensure_ascii=False)


def _nested(value: Any, pad: str) -> str:
    if isinstance(value, list) and value:
        return "".join(f"\n{pad}- {_block(item, pad + '  ')}" for item in value)
    return " " + (_block(value, pad) if value != [] else "[]")
