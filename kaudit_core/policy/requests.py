"""Requests and answers as `kaudit policy evaluate` reads and writes them: one JSON object each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kaudit_core.policy.types import Attributes, RequestAuditConfig

_TEXT_FIELDS: Final = {
    "verb": "verb",
    "namespace": "namespace",
    "apiGroup": "api_group",
    "apiVersion": "api_version",
    "resource": "resource",
    "subresource": "subresource",
    "name": "name",
    "path": "path",
}
ATTRIBUTE_KEYS: Final = frozenset((*_TEXT_FIELDS, "user", "groups", "resourceRequest"))
REQUEST_KEYS: Final = frozenset(("method", "requestURI", "user", "groups"))


class RequestError(ValueError):
    """An object is no request: what is wrong with it and what to write."""


def is_http(request: Mapping[str, Any]) -> bool:
    """Whether it is a method and a URI, from which attributes are made, rather than attributes."""
    return "method" in request or "requestURI" in request


def unknown_keys(request: Mapping[str, Any]) -> set[str]:
    """Return the keys that say nothing to this kind of request: perhaps misspelt."""
    return request.keys() - (REQUEST_KEYS if is_http(request) else ATTRIBUTE_KEYS)


def user_and_groups(request: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return who asks; no "user", or null, is a request without any user."""
    user, groups = request.get("user"), request.get("groups")
    if user is not None and not isinstance(user, str):
        raise RequestError('"user" must be a string')
    if groups is not None and not (isinstance(groups, list) and all(isinstance(group, str) for group in groups)):
        raise RequestError('"groups" must be a list of strings')
    return user, tuple(groups or ())


def text(request: Mapping[str, Any], key: str) -> str:
    """Return a string; absent and null are ""."""
    value = request.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f'"{key}" must be a string')
    return value or ""


def attributes_of(request: Mapping[str, Any]) -> Attributes:
    """Read attributes; absent keys are "" or false."""
    user, groups = user_and_groups(request)
    resource_request = request.get("resourceRequest")
    if resource_request is not None and not isinstance(resource_request, bool):
        raise RequestError('"resourceRequest" must be true or false')
    fields = {field: text(request, key) for key, field in _TEXT_FIELDS.items()}
    return Attributes(user=user, groups=groups, resource_request=bool(resource_request), **fields)


def as_logged(value: str) -> str:
    """Return the text as Go's JSON writes it: one U+FFFD for each byte that is not UTF-8."""
    if value.isascii():
        return value
    return "".join("\ufffd" if "\udc80" <= character <= "\udcff" else character for character in value)


def attributes_json(attributes: Attributes) -> dict[str, Any]:
    """Write attributes under the keys they are read from; a request without a user has no "user"."""
    who = {} if attributes.user is None else {"user": attributes.user}
    fields = {key: as_logged(getattr(attributes, field)) for key, field in _TEXT_FIELDS.items()}
    return {**who, "groups": list(attributes.groups), **fields, "resourceRequest": attributes.resource_request}


def config_json(config: RequestAuditConfig) -> dict[str, Any]:
    """Write the evaluator's answer."""
    return {
        "rule": config.rule,
        "level": config.level,
        "omitStages": list(config.omit_stages),
        "omitManagedFields": config.omit_managed_fields,
    }
