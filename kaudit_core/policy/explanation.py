"""Why a rule does not match a request, in words."""

from __future__ import annotations

from typing import Final

from kaudit_core.policy.evaluator import first_mismatch
from kaudit_core.policy.findings import quoted
from kaudit_core.policy.types import Attributes, GroupResources, Rule

_SHOWN: Final = 8


def why_not(rule: Rule, attributes: Attributes) -> str:
    """Return the first field that keeps the rule from matching, with the reason; "" when it matches."""
    field = first_mismatch(rule, attributes)
    return f"{field}: {_REASONS[field](rule, attributes)}" if field else ""


def _users(rule: Rule, attributes: Attributes) -> str:
    if attributes.user is None:
        return "the request has no user"
    return f"{quoted(attributes.user)} is not in {_list(rule.users)}"


def _user_groups(rule: Rule, attributes: Attributes) -> str:
    if attributes.user is None:
        return "the request has no user"
    return f"none of {_list(attributes.groups)} is in {_list(rule.user_groups)}"


def _verbs(rule: Rule, attributes: Attributes) -> str:
    return f"{quoted(attributes.verb)} is not in {_list(rule.verbs)}"


def _namespaces(rule: Rule, attributes: Attributes) -> str:
    if not attributes.resource_request:
        return "the request is for no resource"
    return f"{quoted(attributes.namespace)} is not in {_list(rule.namespaces)}"


def _resources(rule: Rule, attributes: Attributes) -> str:
    if not attributes.resource_request:
        return "the request is for no resource"
    combined = "/".join(filter(None, (attributes.resource, attributes.subresource)))
    entries = "; ".join(_entry(entry) for entry in rule.resources[:_SHOWN])
    more = "; ..." if len(rule.resources) > _SHOWN else ""
    named = f", name {quoted(attributes.name)}," if any(entry.resource_names for entry in rule.resources) else ""
    return f"{quoted(combined)} of group {quoted(attributes.api_group)}{named} is not in {entries}{more}"


def _entry(entry: GroupResources) -> str:
    names = f" named {_list(entry.resource_names)}" if entry.resource_names else ""
    return f"group {quoted(entry.group)} {_list(entry.resources) if entry.resources else 'everything'}{names}"


def _non_resource_urls(rule: Rule, attributes: Attributes) -> str:
    if attributes.resource_request:
        return "the request is for a resource"
    return f"{quoted(attributes.path)} is not in {_list(rule.non_resource_urls)}"


def _list(values: tuple[str, ...]) -> str:
    more = ", ..." if len(values) > _SHOWN else ""
    return "[" + ", ".join(quoted(value) for value in values[:_SHOWN]) + more + "]"


_REASONS: Final = {
    "users": _users,
    "userGroups": _user_groups,
    "verbs": _verbs,
    "namespaces": _namespaces,
    "resources": _resources,
    "nonResourceURLs": _non_resource_urls,
}
