"""Is this policy well-formed for the server: all faults at once, each with its field.

Mirrors k8s.io/apiserver pkg/apis/audit/validation. What it does not check the server does not check either:
verbs, users, namespaces and resource names load as they stand, and may match nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from kaudit_core.policy.findings import Path, quoted
from kaudit_core.policy.types import LEVEL_RANK, LEVELS, STAGES, GroupResources, Policy, Rule
from kaudit_core.policy.versions import GROUP_WILDCARD_SINCE, KubernetesVersion

_SUBDOMAIN: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
_LONGEST_SUBDOMAIN: Final = 253
_VERSIONED: Final = r"(?P<group>[^/]+)/v[0-9][a-z0-9]*"


class Fault(NamedTuple):
    """One field that the server refuses."""

    path: Path
    code: str
    message: str


def validate(policy: Policy, version: KubernetesVersion) -> list[Fault]:
    """Return every reason for which a server of this version refuses the policy; empty means it is well-formed."""
    faults = list(_stages(("omitStages",), policy.omit_stages))
    for index, rule in enumerate(policy.rules):
        if _needs_a_look(rule):
            faults += _rule(("rules", index), rule, version)
    if not policy.rules:
        message = "the policy has no rules: add one, for example `- level: Metadata`"
        faults.append(Fault(("rules",), "no-rules", message))
    return faults


def _needs_a_look(rule: Rule) -> bool:
    """Cheap and often false: most rules of a large policy are well-formed and have nothing that needs care."""
    return (
        rule.level not in LEVEL_RANK
        or bool(rule.non_resource_urls)
        or bool(rule.omit_stages)
        or any(entry.group or entry.resource_names for entry in rule.resources)
    )


def _rule(path: Path, rule: Rule, version: KubernetesVersion) -> Iterator[Fault]:
    if rule.level not in LEVEL_RANK:
        yield _level((*path, "level"), rule.level)
    yield from _urls((*path, "nonResourceURLs"), rule)
    for index, entry in enumerate(rule.resources):
        yield from _group_resources((*path, "resources", index), entry, version)
    yield from _stages((*path, "omitStages"), rule.omit_stages)


def _level(path: Path, level: str) -> Fault:
    choices = ", ".join(LEVELS)
    if not level:
        return Fault(path, "required", f"the rule needs a level: add one of {choices}")
    meant = next((known for known in LEVELS if known.lower() == level.lower()), None)
    way = f"write {meant}, letter case matters" if meant else f"write one of {choices}"
    return Fault(path, "unsupported-value", f"{quoted(level)} is no level: {way}")


def _urls(path: Path, rule: Rule) -> Iterator[Fault]:
    if rule.non_resource_urls and (rule.resources or rule.namespaces):
        other = "resources" if rule.resources else "namespaces"
        message = f"a rule can't have both nonResourceURLs and {other}: make two rules of it"
        yield Fault(path, "invalid-value", message)
    for index, url in enumerate(rule.non_resource_urls):
        if url == "*":
            continue
        if not url.startswith("/"):
            message = f'{quoted(url)} must begin with "/", or be exactly "*": write {quoted("/" + url)}'
            yield Fault((*path, index), "invalid-value", message)
        if "*" in url[:-1]:
            message = f"{quoted(url)} has a * before its end: only the last character can be one"
            yield Fault((*path, index), "invalid-value", message)


def _group_resources(path: Path, entry: GroupResources, version: KubernetesVersion) -> Iterator[Fault]:
    if entry.group == "*":
        if version < GROUP_WILDCARD_SINCE:
            message = f'group "*" needs Kubernetes {GROUP_WILDCARD_SINCE}, this is {version}: list the groups'
            yield Fault((*path, "group"), "group-wildcard", message)
    elif entry.group and not _is_group(entry.group):
        yield Fault((*path, "group"), "invalid-value", _group_message(entry.group))
    if entry.resource_names and not entry.resources:
        message = "resourceNames needs resources beside it: say which resources the names are of"
        yield Fault((*path, "resourceNames"), "invalid-value", message)


@lru_cache(maxsize=1024)
def _is_group(group: str) -> bool:
    return len(group.encode()) <= _LONGEST_SUBDOMAIN and re.fullmatch(_SUBDOMAIN, group) is not None


def _group_message(group: str) -> str:
    versioned = re.fullmatch(_VERSIONED, group)
    if versioned and _is_group(versioned["group"]):
        return f"{quoted(group)} is a group with a version: write {quoted(versioned['group'])}"
    if _is_group(group.lower()):
        return f"{quoted(group)} must be lower case: write {quoted(group.lower())}"
    if group == "core":
        return 'the core group is written "": write group: ""'
    return f"{quoted(group)} is no API group: write a lower-case DNS name like apps or rbac.authorization.k8s.io"


def _stages(path: Path, stages: tuple[str, ...]) -> Iterator[Fault]:
    for index, stage in enumerate(stages):
        if stage not in STAGES:
            meant = next((known for known in STAGES if known.lower() == stage.lower()), None)
            way = f"write {meant}, letter case matters" if meant else f"write one of {', '.join(STAGES)}"
            yield Fault((*path, index), "invalid-value", f"{quoted(stage)} is no stage: {way}")
