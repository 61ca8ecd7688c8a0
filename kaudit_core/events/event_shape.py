"""What is an audit event: the fields of k8s.io/apiserver pkg/apis/audit/v1 types.go and their types.

Go decodes null as absent, so does this module, but for the three fields without which nothing can be judged.
Unknown fields are let through: a later server may write them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kaudit_core.events.json_text import shown
from kaudit_core.policy.types import LEVELS, STAGES

API_VERSIONS: Final = ("audit.k8s.io/v1", "audit.k8s.io/v1beta1")
BODIES: Final = ("requestObject", "responseObject")
"""Members that hold whatever a client or the server sent: any JSON value, with raw parts that may even repeat keys."""

_STRINGS: Final = ("auditID", "verb", "userAgent", "requestReceivedTimestamp", "stageTimestamp")
_USER_STRINGS: Final = ("username", "uid")
_REFERENCE_STRINGS: Final = (
    "resource", "namespace", "name", "uid", "apiGroup", "apiVersion", "resourceVersion", "subresource",
)  # fmt: skip


def looks_like_list(value: Mapping[str, Any]) -> bool:
    """Whether an object is an EventList; one without kind has items and nothing that only an event has."""
    if value.get("kind"):
        return bool(value["kind"] == "EventList")
    return isinstance(value.get("items"), list) and "level" not in value and "auditID" not in value


def list_problem(value: Mapping[str, Any]) -> str | None:
    """Why an EventList can't be read, or None; the items are not looked at."""
    found = _version_problem(value)
    if found is None and not isinstance(value.get("items"), list | None):
        found = _wrong("items", value["items"], "a list")
    return found and f"not an EventList: {found}"


def judged_objects(event: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects in an event's bodies where managedFields are looked for, with their paths.

    The server wrote their keys itself, each once. Not so in a patch, which is logged as it was sent, and in the
    raw fields further down.
    """
    for name in BODIES:
        body = event.get(name)
        if not isinstance(body, dict) or (name == "requestObject" and event.get("verb") == "patch"):
            continue
        yield from _with_metadata(name, body)
        for index, item in _objects(body, "items"):
            yield from _with_metadata(f"{name}.items[{index}]", item)
        for index, row in _objects(body, "rows"):
            yield f"{name}.rows[{index}]", row
            yield from _with_metadata(f"{name}.rows[{index}].object", row.get("object"))


def _with_metadata(path: str, value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        if isinstance(metadata := value.get("metadata"), dict):
            yield f"{path}.metadata", metadata


def _objects(body: Mapping[str, Any], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    members = body.get(name)
    return ((at, one) for at, one in enumerate(members if isinstance(members, list) else ()) if isinstance(one, dict))


def event_problem(event: Mapping[str, Any]) -> str | None:
    """Why an object is not an audit event, naming the field, or None when it is one."""
    kind = event.get("kind")
    if kind not in (None, "", "Event"):
        found: str | None = f"kind is {shown(kind)}"
    else:
        found = (
            _version_problem(event)
            or _choice_problem(event, "level", LEVELS)
            or _choice_problem(event, "stage", STAGES)
            or _required_uri_problem(event)
            or _strings_problem(event, _STRINGS, "")
            or _list_of_strings_problem(event, "sourceIPs", "")
            or _user_problem(event, "user")
            or _user_problem(event, "impersonatedUser")
            or _reference_problem(event)
            or _status_problem(event)
            or _annotations_problem(event)
        )
    return found and f"not an audit event: {found}"


def _wrong(path: str, value: object, wanted: str) -> str:
    return f"{path} is {shown(value)}, not {wanted}"


def _version_problem(event: Mapping[str, Any]) -> str | None:
    version = event.get("apiVersion")
    if version in (None, "", *API_VERSIONS):
        return None
    return _wrong("apiVersion", version, " or ".join(API_VERSIONS))


def _choice_problem(event: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    if event.get(name) in choices:
        return None
    return _wrong(name, event[name], f"one of {', '.join(choices)}") if name in event else f"{name} is missing"


def _required_uri_problem(event: Mapping[str, Any]) -> str | None:
    if isinstance(event.get("requestURI"), str):
        return None
    return _wrong("requestURI", event["requestURI"], "a string") if "requestURI" in event else "requestURI is missing"


def _strings_problem(holder: Mapping[str, Any], names: tuple[str, ...], prefix: str) -> str | None:
    for name in names:
        value = holder.get(name)
        if value is not None and not isinstance(value, str):
            return _wrong(prefix + name, value, "a string")
    return None


def _list_of_strings_problem(holder: Mapping[str, Any], name: str, prefix: str) -> str | None:
    value = holder.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        return _wrong(prefix + name, value, "a list of strings")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            return _wrong(f"{prefix}{name}[{index}]", item, "a string")
    return None


def _object_problem(holder: Mapping[str, Any], name: str, prefix: str = "") -> str | None:
    value = holder.get(name)
    return None if value is None or isinstance(value, dict) else _wrong(prefix + name, value, "an object")


def _user_problem(event: Mapping[str, Any], name: str) -> str | None:
    user = event.get(name)
    if not isinstance(user, dict):
        return _object_problem(event, name)
    prefix = f"{name}."
    extra = user.get("extra") or {}
    found = (
        _strings_problem(user, _USER_STRINGS, prefix)
        or _list_of_strings_problem(user, "groups", prefix)
        or _object_problem(user, "extra", prefix)
    )
    if found is None and any(_list_of_strings_problem(extra, key, "") for key in extra):
        found = f"{prefix}extra holds something else than lists of strings"
    return found


def _reference_problem(event: Mapping[str, Any]) -> str | None:
    reference = event.get("objectRef")
    if not isinstance(reference, dict):
        return _object_problem(event, "objectRef")
    return _strings_problem(reference, _REFERENCE_STRINGS, "objectRef.")


def _status_problem(event: Mapping[str, Any]) -> str | None:
    status = event.get("responseStatus")
    if not isinstance(status, dict):
        return _object_problem(event, "responseStatus")
    code = status.get("code")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        return _wrong("responseStatus.code", code, "a whole number")
    return _strings_problem(status, ("status", "message", "reason"), "responseStatus.")


def _annotations_problem(event: Mapping[str, Any]) -> str | None:
    annotations = event.get("annotations")
    if not isinstance(annotations, dict):
        return _object_problem(event, "annotations")
    for key, value in annotations.items():
        if not isinstance(value, str):
            return _wrong(f"annotations[{shown(key)}]", value, "a string")
    return None
