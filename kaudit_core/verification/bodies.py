"""Which bodies an event may carry (semantics B10, B11). A missing body is never a finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaudit_core.policy.types import LEVEL_RANK, RequestAuditConfig
from kaudit_core.verification.findings import UNEXPECTED_BODY, UNEXPECTED_MANAGED_FIELDS, Finding

_LEAST_LEVEL = {"requestObject": "Request", "responseObject": "RequestResponse"}


def unexpected_bodies(event: Mapping[str, Any], config: RequestAuditConfig) -> Iterator[Finding]:
    """Yield a finding for each body that the lower of policy level and logged level does not allow."""
    lower = min(config.level, event["level"], key=LEVEL_RANK.__getitem__)
    for name, least in _LEAST_LEVEL.items():
        if event.get(name) is None:
            continue
        if event["stage"] == "RequestReceived":
            yield Finding(UNEXPECTED_BODY, name, f"{name} at stage RequestReceived, where no body is known yet")
        elif LEVEL_RANK[lower] < LEVEL_RANK[least]:
            whose = "the policy's" if lower == config.level else "the event's own"
            yield Finding(UNEXPECTED_BODY, name, f"{name} is logged, but {whose} level {lower} has no {name}")


def unexpected_managed_fields(event: Mapping[str, Any], config: RequestAuditConfig) -> Iterator[Finding]:
    """Yield a finding for each body with managedFields where the policy omits them.

    A patch is logged as it was sent: the server does not strip it.
    """
    if not config.omit_managed_fields:
        return
    for name in _LEAST_LEVEL:
        if name == "requestObject" and event.get("verb") == "patch":
            continue
        place = _managed_fields(event.get(name))
        if place:
            yield Finding(UNEXPECTED_MANAGED_FIELDS, name, f"{name}.{place} is logged, but the policy omits it")


def _managed_fields(body: Any) -> str:
    """Return where managedFields stand that the server would have stripped; "" when nowhere."""
    if not isinstance(body, Mapping):
        return ""
    if _has_managed_fields(body):
        return "metadata.managedFields"
    for index, item in enumerate(_list(body.get("items"))):
        if _has_managed_fields(item):
            return f"items[{index}].metadata.managedFields"
    if body.get("kind") in (None, "Table"):  # another kind may have rows of its own, which the server leaves alone
        for index, row in enumerate(_list(body.get("rows"))):
            if isinstance(row, Mapping) and _has_managed_fields(row.get("object")):
                return f"rows[{index}].object.metadata.managedFields"
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _has_managed_fields(body: Any) -> bool:
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    return isinstance(metadata, Mapping) and bool(metadata.get("managedFields"))
