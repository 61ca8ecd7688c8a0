"""From a parsed document to a policy: types, unknown fields, null.

Mirrors sigs.k8s.io/json (field names match exactly, unknown fields are skipped whatever they hold) and reports
every fault, where Go stops at the first one or says nothing at all.
"""

from __future__ import annotations

from typing import Any, Final

from kaudit_core.policy.document import Document, List, Number, Position, Repeated
from kaudit_core.policy.findings import ERROR, STRICT, PolicyFinding, path_text, printable, quoted
from kaudit_core.policy.schema import TEXT, TEXTS, ListOf, MapOf, Moment, Shape, Struct, Text, Truth, Whole
from kaudit_core.policy.types import GroupResources, Policy, Rule

_ONLY_TEXT: Final = frozenset({str})


class Decoder:
    """Walks a document along its shape once; collects findings on the way."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._path: list[str | int] = []
        self.findings: list[PolicyFinding] = []

    def decode(self, shape: Struct) -> dict[str, Any]:
        """Return the known fields, decoded; null and wrongly typed ones are left out."""
        made = self._value(shape, self._document.root, self._document.start)
        return made if isinstance(made, dict) else {}

    def _value(self, shape: Shape, value: Any, position: Position) -> Any:
        """Decode one value; None stands for null and for a value of the wrong type."""
        if value is None:
            return None
        if isinstance(shape, Struct):
            if isinstance(value, dict):
                return self._struct(shape, value)
        elif isinstance(shape, ListOf):
            if isinstance(value, list):
                return self._list(shape, value)
        elif isinstance(shape, MapOf):
            if isinstance(value, dict):
                return self._map(shape, value)
        elif _fits(shape, value):
            return value
        self._report("wrong-type", ERROR, _wrong_type(shape, value, path_text(tuple(self._path))), position)
        return None

    def _struct(self, shape: Struct, value: dict[str, Any]) -> dict[str, Any]:
        if isinstance(value, Repeated):
            return self._repeated(shape, value)
        made: dict[str, Any] = {}
        fields = shape.fields
        for key, item in value.items():
            field = fields.get(key)
            # The two shapes that nearly all values have, taken without a call.
            if (field is TEXT and type(item) is str) or (
                field is TEXTS and isinstance(item, list) and _ONLY_TEXT.issuperset(map(type, item))
            ):
                made[key] = item
            elif field is None:
                self._unknown(shape, key, _place(value, key)[0])
            else:
                made[key] = self._entry(field, value, key, item)
        return made

    def _repeated(self, shape: Struct, value: Repeated) -> dict[str, Any]:
        """A JSON object that repeats fields: every one is checked, the first place is named at the later ones."""
        made = {}
        first: dict[str, Position] = {}
        for (key, item), (key_at, value_at) in zip(value.pairs, value.places, strict=True):
            field = shape.fields.get(key)
            if field is None:
                self._unknown(shape, key, key_at)
                continue
            if key in first:
                self._duplicate(key, first[key], key_at)
            first.setdefault(key, key_at)
            self._path.append(key)
            made[key] = self._value(field, item, value_at)
            self._path.pop()
        return made

    def _map(self, shape: MapOf, value: dict[str, Any]) -> dict[str, Any]:
        if isinstance(value, Repeated):
            return self._repeated(Struct(shape.called, dict.fromkeys(value, shape.value)), value)
        return {key: self._entry(shape.value, value, key, item) for key, item in value.items()}

    def _list(self, shape: ListOf, value: list[Any]) -> list[Any]:
        item_shape = shape.item
        made = []
        path = self._path
        places = getattr(value, "at", None)
        for index, item in enumerate(value):
            path.append(index)
            made.append(self._value(item_shape, item, places[index] if places else None))
            path.pop()
        return made

    def _entry(self, shape: Shape, container: dict[str, Any], key: str, item: Any) -> Any:
        self._path.append(key)
        value = self._value(shape, item, _place(container, key)[1])
        self._path.pop()
        return value

    def _unknown(self, shape: Struct, key: str, position: Position) -> None:
        # Rare, so imported here: the import of this module stays cheap. So below.
        from kaudit_core.policy.unknown_fields import describe

        code, message = describe(tuple(self._path), key, list(shape.fields))
        self._path.append(key)
        self._report(code, STRICT, message, position, of_key=True)
        self._path.pop()

    def _duplicate(self, key: str, first: Position, position: Position) -> None:
        line, _ = self._document.place(first)
        self._path.append(key)
        message = f"{printable(key)} is given before, at line {line}; the server mixes both: keep one of them"
        self._report("duplicate-key", STRICT, message, position)
        self._path.pop()

    def _report(self, code: str, severity: str, message: str, position: Position, of_key: bool = False) -> None:
        path = tuple(self._path)
        place = self._document.locate(path, of_key) if position is None else self._document.place(position)
        self.findings.append(PolicyFinding(code, severity, message, path_text(path), *place))


def _place(container: Any, key: Any) -> tuple[Position, Position]:
    at = getattr(container, "at", None)
    return at[key] if at is not None else (None, None)


def _fits(shape: Shape, value: Any) -> bool:
    if isinstance(shape, Text):
        return type(value) is str
    if isinstance(shape, Truth):
        return value is True or value is False
    if isinstance(shape, Whole):
        return type(value) is Number and _is_int64(value)
    if isinstance(shape, Moment):
        from kaudit_core.policy.timestamps import is_rfc3339

        return type(value) is str and is_rfc3339(value)
    return True


def _is_int64(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isdigit() and len(digits) < 20 and -(2**63) <= int(text) < 2**63


def _wrong_type(shape: Shape, value: Any, path: str) -> str:
    subject = f"{path} must be" if path else "the file must hold"
    message = f"{subject} {shape.called}, not {_called(value)}"
    if shape is TEXT and not isinstance(value, (dict, list)):
        return f"{message}: put it in quotes"
    if isinstance(shape, ListOf) and shape.item is TEXT and type(value) is str:
        return f"{message}: write [{quoted(value)}]"
    if isinstance(shape, Truth) and type(value) is str:
        return f"{message}: write true or false without quotes"
    return f"{message}: correct it"


def _called(value: Any) -> str:
    if value is True or value is False:
        return f"the boolean {'true' if value else 'false'} (y, yes, on, n, no and off are booleans too)"
    if type(value) is Number:
        return f"the number {value[:40]}"
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    return "a list" if isinstance(value, list) else "a mapping"


def policy_of(fields: dict[str, Any], document: Document) -> Policy:
    """Build the policy from decoded fields; what is absent is empty."""
    decoded = fields.get("rules") or []
    source = document.root.get("rules") if isinstance(document.root, dict) else None
    lines = [document.place(position)[0] for position in source.at] if isinstance(source, List) else []
    lines += [0] * (len(decoded) - len(lines))
    return Policy(
        rules=tuple(_rule(rule or {}, line) for rule, line in zip(decoded, lines, strict=False)),
        omit_stages=_texts(fields.get("omitStages")),
        omit_managed_fields=bool(fields.get("omitManagedFields")),
    )


def _rule(fields: dict[str, Any], line: int) -> Rule:
    given = fields.get
    return Rule(
        given("level") or "",
        _texts(given("users")),
        _texts(given("userGroups")),
        _texts(given("verbs")),
        tuple([_group_resources(entry or {}) for entry in given("resources") or ()]),
        _texts(given("namespaces")),
        _texts(given("nonResourceURLs")),
        _texts(given("omitStages")),
        given("omitManagedFields"),
        line,
    )


def _group_resources(fields: dict[str, Any]) -> GroupResources:
    return GroupResources(
        fields.get("group") or "", _texts(fields.get("resources")), _texts(fields.get("resourceNames"))
    )


def _texts(values: list[str | None] | None) -> tuple[str, ...]:
    if not values:
        return ()
    return tuple([value or "" for value in values]) if None in values else tuple(values)  # type: ignore[arg-type]
