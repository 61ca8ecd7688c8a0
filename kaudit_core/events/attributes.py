"""From a request, or from a logged event, to the attributes that the policy judged.

Mirrors k8s.io/apiserver pkg/endpoints/request/requestinfo.go as kube-apiserver sets it up: prefixes api and apis,
of which api has no groups. An event is not the request (design, decision 2): all but the user comes from the
requestURI and from the methods that can give its verb. There is no parameter for an impersonated user (A1), for
objectRef (B8) or for bodies (A7: a request that is proxied or aggregated has none at any level), on purpose.

The rules are the same from Kubernetes 1.22 to 1.37. List options gained parameters (sendInitialEvents in 1.27,
shardSelector by 1.37), none of which can fail to decode; selectors.py and uri.py name what else changed below them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from kaudit_core.events.selectors import InvalidSelector, check_label_selector, exact_match, is_int64
from kaudit_core.events.uri import RequestURI, UnparsableURI, parse_query, parse_request_uri
from kaudit_core.policy.types import Attributes

API_PREFIXES: Final = ("api", "apis")
GROUPLESS_API_PREFIXES: Final = ("api",)
SPECIAL_VERBS: Final = ("proxy", "watch")
NAMESPACE_SUBRESOURCES: Final = ("status", "finalize")

VERB_OF_METHOD: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
METHOD_OF_VERB: Final = {
    "create": "POST",
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    "": "OPTIONS",
}
"""For resource requests: one method that can give the verb. All that can give it lead to the same attributes."""

CACHED_LOCATIONS: Final = 4096
CACHED_URI_LENGTH: Final = 1024
"""Clients choose the URIs: longer ones are resolved each time, so that the cache stays a few MB."""

_LOWER_CASE_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")


class _Location(NamedTuple):
    """Where a URI leads, whatever the method: attributes whose verb is "" unless the path gives it (A5)."""

    attributes: Attributes
    raw_query: str


def request_attributes(
    method: str, request_uri: str, user: str | None = None, groups: tuple[str, ...] = ()
) -> Attributes:
    """The attributes of a request; raises UnparsableURI where the server answers 400 or 500 before it audits.

    method: as sent; its case matters.
    user: the authenticated one, before impersonation; None for a request without any.
    """
    judged = _judge(method, _location(request_uri))
    return replace(judged, user=user, groups=groups) if user is not None or groups else judged


def attributes_for_verb(
    verb: str, request_uri: str, user: str | None = None, groups: tuple[str, ...] = ()
) -> tuple[Attributes, ...]:
    """What may have been judged for an event with this verb and URI; raises UnparsableURI.

    Empty: no HTTP method gives this verb on this URI. Two: the URI's path is "/", which is also logged for requests
    whose path was "" (CONNECT, absolute URIs without a path). Otherwise there is one.
    The verb "" on a resource path stands for every method without a verb of its own (OPTIONS, TRACE, "get").
    """
    location = _location(request_uri)
    if location.attributes.resource_request:
        method = METHOD_OF_VERB.get(verb, "GET")
    elif _LOWER_CASE_METHOD.fullmatch(verb):
        method = verb.upper()
    else:
        return ()
    judged = _judge(method, location)
    if judged.verb != verb:
        return ()
    judged = replace(judged, user=user, groups=groups)
    return (judged, replace(judged, path="")) if judged.path == "/" else (judged,)


def _location(request_uri: str) -> _Location:
    if len(request_uri) > CACHED_URI_LENGTH:
        return _resolve(parse_request_uri(request_uri))
    return _cached_location(request_uri)


@lru_cache(CACHED_LOCATIONS)
def _cached_location(request_uri: str) -> _Location:
    return _resolve(parse_request_uri(request_uri))


def _resolve(uri: RequestURI) -> _Location:
    """Split the decoded path (A6: %2F is a slash like any other, empty segments count) into its parts."""
    non_resource = _Location(Attributes(path=uri.path), uri.raw_query)
    prefix, *parts = uri.path.strip("/").split("/")
    if prefix not in API_PREFIXES:
        return non_resource
    group = ""
    if parts and prefix not in GROUPLESS_API_PREFIXES:
        group, *parts = parts
    # A2: a resource request has a version and a resource at least.
    if len(parts) < 2:
        return non_resource
    version, *parts = parts

    verb = ""
    if parts[0] in SPECIAL_VERBS:
        verb, *parts = parts
        if not parts:
            raise UnparsableURI(f"The path ends with {verb!r}, where a resource should follow.")

    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        # A5: a namespace's own subresources, in any group; all else below a namespace is a namespaced resource.
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]

    return _Location(
        Attributes(
            verb=verb,
            namespace=namespace,
            api_group=group,
            api_version=version,
            resource=parts[0],
            subresource=parts[2] if len(parts) > 2 and verb != "proxy" else "",
            name=parts[1] if len(parts) > 1 else "",
            path=uri.path,
            resource_request=True,
        ),
        uri.raw_query,
    )


def _judge(method: str, location: _Location) -> Attributes:
    """Add what the method and the query decide: the verb, and for lists and watches perhaps the name."""
    attributes = location.attributes
    if not attributes.resource_request:
        return replace(attributes, verb=method.lower())
    if attributes.verb:
        return attributes
    verb, name = VERB_OF_METHOD.get(method, ""), attributes.name
    # A3: named requests stay what they are, whatever their query says.
    if not name and verb == "get":
        verb, name = _list_or_watch(location.raw_query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    return replace(attributes, verb=verb, name=name)


def _list_or_watch(raw_query: str) -> tuple[str, str]:
    """The verb of a nameless get, and the name that its field selector requires or ""."""
    query = {name: values[0] for name, values in parse_query(raw_query).items()}
    watch = query.get("watch")
    try:
        name = _selected_name(query)
    except _UndecodableListOptions:
        # A4: one broken list option loses all of them; only watch is then read again, by a rule of its own.
        return _watch_verb(watch is not None and watch.lower() not in ("false", "0")), ""
    return _watch_verb(watch is not None and not _is_false(watch)), name


class _UndecodableListOptions(ValueError):
    """The query holds a list option that the server can't decode."""


def _watch_verb(watch: bool) -> str:
    return "watch" if watch else "list"


def _is_false(value: str) -> bool:
    """A boolean option is on unless it says otherwise, even when empty. Upstream folds case: U+017F is an "s"."""
    return value == "0" or value.replace("\u017f", "s").lower() == "false"


def _selected_name(query: dict[str, str]) -> str:
    """The name that list options ask for; "" without one, or where it could be no path segment (A4)."""
    for option in ("timeoutSeconds", "limit"):
        if option in query and not is_int64(query[option]):
            raise _UndecodableListOptions(option)
    try:
        check_label_selector(query.get("labelSelector", ""))
        name = exact_match(query.get("fieldSelector", ""), "metadata.name") or ""
    except InvalidSelector as error:
        raise _UndecodableListOptions from error
    return "" if name in (".", "..") or "/" in name or "%" in name else name
