"""The nouns of audit policy, in the field's words.

Mirrors k8s.io/apiserver pkg/apis/audit/types.go (Policy, PolicyRule, GroupResources),
pkg/authorization/authorizer (Attributes) and pkg/audit/evaluator.go (RequestAuditConfig).
Every docstring says what an empty value means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LEVELS: Final = ("None", "Metadata", "Request", "RequestResponse")
"""Levels from nothing to everything: the index is the order."""

LEVEL_RANK: Final = {level: rank for rank, level in enumerate(LEVELS)}

STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


@dataclass(frozen=True, slots=True)
class GroupResources:
    """Resources of one API group.

    group: "" is the core group; "*" is every group, since Kubernetes 1.36.
    resources: empty means every resource and subresource of the group, whatever resource_names says.
    resource_names: empty means every name; "" matches requests without a name.
    """

    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: all the fields that are given must match.

    users, user_groups, verbs: empty means any; they are compared as they stand, "*" is a literal.
    namespaces: empty means any; "" means cluster-scoped requests and requests across all namespaces.
    resources: empty means any. With namespaces or resources the rule sees resource requests only.
    non_resource_urls: empty means any; otherwise the rule sees non-resource requests only.
    omit_stages: joined with the policy's own.
    omit_managed_fields: None takes the policy's value.
    line: where the rule begins in its file, from 1; 0 when it came from no file.
    """

    level: str
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in order: the first that matches decides; where none matches nothing is logged.

    omit_stages: stages without events, for every rule.
    omit_managed_fields: default for rules that do not say.
    """

    rules: tuple[Rule, ...]
    omit_stages: tuple[str, ...] = ()
    omit_managed_fields: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the policy judges: one request as the server saw it before impersonation.

    user: None is a request without any user (not authenticated); "" is a user with an empty name.
    groups: empty means none; without a user they are not looked at.
    namespace: "" for cluster-scoped requests and for those across all namespaces.
    api_group: "" is the core group.
    path: the decoded URL path, without the query.
    resource_request: False for non-resource requests; all fields but user, groups, verb, path are then "".

    Bytes that are not UTF-8 stand as surrogate escapes (PEP 383), so that comparing is comparing bytes.
    """

    user: str | None = None
    groups: tuple[str, ...] = ()
    verb: str = ""
    namespace: str = ""
    api_group: str = ""
    api_version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""
    resource_request: bool = False


@dataclass(frozen=True, slots=True)
class RequestAuditConfig:
    """The evaluator's answer for one request.

    rule: index of the deciding rule from 0; None when no rule matched (level "None").
    omit_stages: policy's and rule's together, sorted, each once.
    """

    rule: int | None
    level: str
    omit_stages: tuple[str, ...]
    omit_managed_fields: bool
