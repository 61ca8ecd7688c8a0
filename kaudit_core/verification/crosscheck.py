"""objectRef against what the URI says (semantics B8, B9). It is never what the policy judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kaudit_core.events.json_text import shown
from kaudit_core.policy.requests import as_logged
from kaudit_core.policy.types import Attributes
from kaudit_core.verification.findings import INCONSISTENT, Finding

_FROM_URI: Final = {
    "resource": "resource",
    "subresource": "subresource",
    "apiGroup": "api_group",
    "apiVersion": "api_version",
    "namespace": "namespace",
    "name": "name",
}
_FILLED_LATER: Final = ("namespace", "name")
_NEVER_IN_URI: Final = ("uid", "resourceVersion")


def contradictions(event: Mapping[str, Any], attributes: Attributes) -> Iterator[Finding]:
    """Yield what objectRef says against the URI of the same event.

    namespace and name that are empty in the URI, and uid and resourceVersion, may have been filled in from the
    request's body, at any stage but RequestReceived.
    """
    reference = event.get("objectRef")
    if reference is None:
        if attributes.resource_request:
            yield _finding("objectRef", "objectRef is missing, but the URI names a resource")
        return
    if not attributes.resource_request:
        yield _finding("objectRef", "objectRef is there, but the URI names no resource")
        return
    received = event["stage"] == "RequestReceived"
    for name, field in _FROM_URI.items():
        logged, in_uri = reference.get(name) or "", as_logged(getattr(attributes, field))
        if logged != in_uri and (received or in_uri or name not in _FILLED_LATER):
            yield _finding(name, f"objectRef.{name} is {shown(logged)}, but the URI says {shown(in_uri)}")
    for name in _NEVER_IN_URI:
        if received and reference.get(name):
            yield _finding(
                name, f"objectRef.{name} is {shown(reference[name])} at stage RequestReceived: not known yet"
            )


def _finding(field: str, why: str) -> Finding:
    return Finding(INCONSISTENT, f"objectRef.{field}" if field != "objectRef" else field, why)
