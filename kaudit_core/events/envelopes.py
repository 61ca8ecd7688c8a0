"""What clouds wrap audit events into, and what is inside (docs/decisions/0011).

An envelope is told by its top-level keys, and only where no key of an event itself is among them; it is opened once,
so an envelope in an envelope is no event. Nothing inside is dropped: what is no audit event has its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from kaudit_core.events.json_text import shown

CLOUD_AUDIT_LOG: Final = "cloud-audit-log"
"""The code of records that are whole and genuine but rewritten by a cloud: nothing can be decided about them."""

MAX_CONTENTS: Final = 100_000
"""Longer lists are one malformed record: clouds deliver a megabyte at a time, and each content costs memory."""

_OF_EVENTS: Final = frozenset(("kind", "level", "auditID", "stage", "requestURI"))
_AKS_CATEGORIES: Final = ("kube-audit", "kube-audit-admin")
_REWRITTEN: Final = "a Cloud audit log, not the server's event: it has no level, stage, requestURI and groups"


class Content(NamedTuple):
    """One thing in an envelope. where: its path.

    value: an event's JSON text, or the event itself; None when problem and code say why it is neither.
    """

    where: str
    value: str | dict[str, Any] | None
    problem: str = ""
    code: str = ""


class Envelope(NamedTuple):
    """What an envelope holds. member: the key behind which it does. listed: it holds a list."""

    member: str
    listed: bool
    contents: list[Content]


def opened(value: Mapping[str, Any]) -> Envelope | None:
    """What an object holds that is an envelope of exactly one kind, else None."""
    if not _OF_EVENTS.isdisjoint(value):
        return None
    found = [kind for kind in _KINDS if kind.member in value and kind.beside <= value.keys()]
    if len(found) != 1:
        return None
    ((member, _, listed, content_of),) = found
    contents = _each(value[member], member, content_of) if listed else [content_of(value, "")]
    return Envelope(member, listed, contents)


def _each(items: object, member: str, content_of: Callable[[Mapping[str, Any], str], Content]) -> list[Content]:
    if not isinstance(items, list):
        return [_no_event(member, f"{shown(items)}, not a list")]
    if len(items) > MAX_CONTENTS:
        return [_no_event(member, f"a list of more than {MAX_CONTENTS:,}")]
    return [
        content_of(item, f"{member}[{index}].")
        if isinstance(item, dict)
        else _no_event(f"{member}[{index}]", f"{shown(item)}, not an object")
        for index, item in enumerate(items)
    ]


def _payload(holder: Mapping[str, Any], member: str, where: str) -> Content:
    """JSON text, or the object that somebody has already made of it."""
    path, value = where + member, holder.get(member)
    if isinstance(value, (str, dict)):
        return Content(path, value)
    return _no_event(path, f"{shown(value)}, not JSON text" if member in holder else "missing")


def _cloud_audit_log(_: Mapping[str, Any], where: str) -> Content:
    return Content(f"{where}protoPayload", None, _REWRITTEN, CLOUD_AUDIT_LOG)


def _aks_record(record: Mapping[str, Any], where: str) -> Content:
    category, properties = record.get("category"), record.get("properties")
    if category not in _AKS_CATEGORIES:
        wanted = " or ".join(_AKS_CATEGORIES)
        return Content(f"{where}category", None, f"another log: {shown(category)}, not {wanted}", "other-log")
    if not isinstance(properties, dict):
        return _no_event(f"{where}properties", f"{shown(properties)}, not an object")
    return _payload(properties, "log", f"{where}properties.")


def _no_event(where: str, what: str) -> Content:
    return Content(where, None, f"not an audit event: it is {what}", "not-an-event")


class _Kind(NamedTuple):
    """One kind of envelope: the key of what it holds, the keys beside it, and how its contents are found."""

    member: str
    beside: frozenset[str]
    listed: bool
    content_of: Callable[[Mapping[str, Any], str], Content]


_KINDS: Final = (
    # Cloud Logging, LogEntry: GKE's own log, and logs that an agent has shipped.
    _Kind("protoPayload", frozenset(("logName",)), False, _cloud_audit_log),
    _Kind("jsonPayload", frozenset(("logName",)), False, lambda entry, where: _payload(entry, "jsonPayload", where)),
    _Kind("textPayload", frozenset(("logName",)), False, lambda entry, where: _payload(entry, "textPayload", where)),
    # CloudWatch: a row of Logs Insights, an event of the API, and what a subscription delivers.
    _Kind("@message", frozenset(("@timestamp",)), False, lambda row, where: _payload(row, "@message", where)),
    _Kind(
        "message",
        frozenset(("timestamp", "ingestionTime")),
        False,
        lambda event, where: _payload(event, "message", where),
    ),
    _Kind("logEvents", frozenset(("messageType",)), True, lambda event, where: _payload(event, "message", where)),
    # Azure Monitor: a line of a storage account, and a message of an event hub.
    _Kind("properties", frozenset(("category",)), False, _aks_record),
    _Kind("records", frozenset(), True, _aks_record),
)
