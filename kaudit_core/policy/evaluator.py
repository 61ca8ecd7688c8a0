"""Which rule decides a request: the readable definition.

Mirrors k8s.io/apiserver pkg/audit/policy/checker.go. Numbers M1-M11 are the rows of the
semantics tests. Pure: no input, no output, no clock. The native matcher is compared with this file.
"""

from __future__ import annotations

from kaudit_core.policy.types import Attributes, GroupResources, Policy, RequestAuditConfig, Rule


class Evaluator:
    """A policy ready to answer. Stage unions are made once, as the server does (M11)."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.configs = tuple(
            RequestAuditConfig(
                rule=index,
                level=rule.level,
                omit_stages=_union(policy.omit_stages, rule.omit_stages),
                omit_managed_fields=(
                    policy.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields
                ),
            )
            for index, rule in enumerate(policy.rules)
        )
        self.default = RequestAuditConfig(None, "None", _union(policy.omit_stages), policy.omit_managed_fields)

    def evaluate(self, attributes: Attributes) -> RequestAuditConfig:
        """Return the config of the first rule that matches, or the default: level None (M1)."""
        for rule, config in zip(self.policy.rules, self.configs, strict=True):
            if not first_mismatch(rule, attributes):
                return config
        return self.default


def _union(*stage_lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({stage for stages in stage_lists for stage in stages}))


def first_mismatch(rule: Rule, attributes: Attributes) -> str:
    """Return the rule's field, in the file's spelling, that keeps it from matching; "" when it matches (M2-M4)."""
    if rule.users and (attributes.user is None or attributes.user not in rule.users):
        return "users"
    if rule.user_groups and (
        attributes.user is None or not any(group in rule.user_groups for group in attributes.groups)
    ):
        return "userGroups"
    if rule.verbs and attributes.verb not in rule.verbs:
        return "verbs"
    if rule.namespaces or rule.resources:
        return _resource_mismatch(rule, attributes)
    if rule.non_resource_urls and not _matches_non_resource(rule, attributes):
        return "nonResourceURLs"
    return ""


def _resource_mismatch(rule: Rule, attributes: Attributes) -> str:
    if rule.namespaces and (not attributes.resource_request or attributes.namespace not in rule.namespaces):
        return "namespaces"
    if rule.resources and not (
        attributes.resource_request and any(group_resources_match(entry, attributes) for entry in rule.resources)
    ):
        return "resources"
    return ""


def group_resources_match(entry: GroupResources, attributes: Attributes) -> bool:
    """One entry of `resources` (M7, M9). Without resources the names are not looked at."""
    if entry.group not in (attributes.api_group, "*"):
        return False
    if not entry.resources:
        return True
    if entry.resource_names and attributes.name not in entry.resource_names:
        return False
    return any(resource_matches(pattern, attributes) for pattern in entry.resources)


def resource_matches(pattern: str, attributes: Attributes) -> bool:
    """One resource pattern (M8)."""
    resource, subresource = attributes.resource, attributes.subresource
    combined = f"{resource}/{subresource}" if subresource else resource
    if pattern in (combined, "*"):
        return True
    if subresource and pattern.startswith("*/") and pattern[2:] == subresource:
        return True
    # "pods/*" compares the stem with the resource and never looks at the subresource: plain pods match too.
    return pattern.endswith("/*") and pattern[:-2] == resource


def _matches_non_resource(rule: Rule, attributes: Attributes) -> bool:
    if attributes.resource_request:
        return False
    return any(path_matches(attributes.path, spec) for spec in rule.non_resource_urls)


def path_matches(path: str, spec: str) -> bool:
    """One entry of nonResourceURLs (M10): any, exact, or a prefix before the trailing stars."""
    if spec in ("*", path):
        return True
    return spec.endswith("*") and path.startswith(spec.rstrip("*"))
