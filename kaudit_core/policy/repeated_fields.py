"""What Go makes of a JSON object that names a field twice.

encoding/json decodes the second value into what the first one left there: strings and booleans are replaced,
null changes nothing (but takes away lists, maps and optional booleans), mappings are joined, and lists are laid
over each other item by item. Even items that a shorter list cut off come back when a longer one follows.
`collapse` gives a document without repeats that means the same.
"""

from __future__ import annotations

from typing import Any

from kaudit_core.policy.document import Repeated
from kaudit_core.policy.schema import ListOf, MapOf, OptionalTruth, Shape, Struct


def collapse(shape: Shape, values: list[Any]) -> Any:
    """Return the one value that means what `values`, decoded one after the other, mean."""
    if isinstance(shape, Struct):
        return _struct(shape, [value for value in values if isinstance(value, dict)])
    if isinstance(shape, ListOf):
        return _list(shape, values)
    if isinstance(shape, MapOf):
        return _map(shape, values)
    if isinstance(shape, OptionalTruth):
        return values[-1]
    given = [value for value in values if value is not None]
    return given[-1] if given else None


def _pairs(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return value.pairs if isinstance(value, Repeated) else list(value.items())


def _struct(shape: Struct, values: list[dict[str, Any]]) -> dict[str, Any]:
    given: dict[str, list[Any]] = {}
    for value in values:
        for key, item in _pairs(value):
            if key in shape.fields:
                given.setdefault(key, []).append(item)
    return {key: collapse(shape.fields[key], items) for key, items in given.items()}


def _list(shape: ListOf, values: list[Any]) -> list[Any] | None:
    slots: list[list[Any]] = []
    length = 0
    absent = True
    for value in values:
        if value is None or value == []:
            slots, length = [], 0
        elif isinstance(value, list):
            slots += [[] for _ in range(len(value) - len(slots))]
            for slot, item in zip(slots, value, strict=False):
                slot.append(item)
            length = len(value)
        absent = value is None
    return None if absent else [collapse(shape.item, slot) for slot in slots[:length]]


def _map(shape: MapOf, values: list[Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for value in values:
        if value is None:
            made = {}
        elif isinstance(value, dict):
            made.update((key, collapse(shape.value, [item])) for key, item in _pairs(value))
    return made
