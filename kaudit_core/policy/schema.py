"""The shape of a policy file: which fields there are and what their values must be.

Mirrors k8s.io/apiserver pkg/apis/audit/v1 (Policy, PolicyRule, GroupResources) and the ObjectMeta of
k8s.io/apimachinery, which the server also decodes with types although a policy has no use for it.
"""

from __future__ import annotations

from typing import Final


class Shape:
    """What a value must be. `called` is how a message names it."""

    def __init__(self, called: str) -> None:
        self.called = called


class Text(Shape):
    """A string; null is ""."""


class Truth(Shape):
    """A boolean; null is not given."""


class OptionalTruth(Truth):
    """A boolean that knows whether it was given: a later null takes an earlier value away."""


class Whole(Shape):
    """A 64-bit integer; null is 0."""


class Moment(Shape):
    """An RFC 3339 time; null is none."""


class Anything(Shape):
    """Any value at all."""


class ListOf(Shape):
    """A list; null is an empty one."""

    def __init__(self, called: str, item: Shape) -> None:
        super().__init__(called)
        self.item = item


class MapOf(Shape):
    """A mapping from names to values; null is an empty one."""

    def __init__(self, called: str, value: Shape) -> None:
        super().__init__(called)
        self.value = value


class Struct(Shape):
    """A mapping with known fields; null is one without any."""

    def __init__(self, called: str, fields: dict[str, Shape]) -> None:
        super().__init__(called)
        self.fields = fields


TEXT: Final = Text("a string")
TRUTH: Final = Truth("true or false")
OPTIONAL_TRUTH: Final = OptionalTruth("true or false")
WHOLE: Final = Whole("a whole number")
MOMENT: Final = Moment("a time like 2026-01-31T12:00:00Z")
ANYTHING: Final = Anything("anything")
TEXTS: Final = ListOf("a list of strings", TEXT)
LABELS: Final = MapOf("a mapping of strings to strings", TEXT)

GROUP_RESOURCES: Final = Struct(
    "a mapping with group and resources", {"group": TEXT, "resources": TEXTS, "resourceNames": TEXTS}
)

RULE: Final = Struct(
    "a mapping with a level",
    {
        "level": TEXT,
        "users": TEXTS,
        "userGroups": TEXTS,
        "verbs": TEXTS,
        "resources": ListOf("a list of mappings with group and resources", GROUP_RESOURCES),
        "namespaces": TEXTS,
        "nonResourceURLs": TEXTS,
        "omitStages": TEXTS,
        "omitManagedFields": OPTIONAL_TRUTH,
    },
)

_OWNER: Final = Struct(
    "a mapping",
    dict.fromkeys(("apiVersion", "kind", "name", "uid"), TEXT)
    | dict.fromkeys(("controller", "blockOwnerDeletion"), TRUTH),
)

_MANAGED: Final = Struct(
    "a mapping",
    dict.fromkeys(("manager", "operation", "apiVersion", "fieldsType", "subresource"), TEXT)
    | {"time": MOMENT, "fieldsV1": ANYTHING},
)

METADATA: Final = Struct(
    "a mapping",
    dict.fromkeys(("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), TEXT)
    | {
        "generation": WHOLE,
        "creationTimestamp": MOMENT,
        "deletionTimestamp": MOMENT,
        "deletionGracePeriodSeconds": WHOLE,
        "labels": LABELS,
        "annotations": LABELS,
        "ownerReferences": ListOf("a list of mappings", _OWNER),
        "finalizers": TEXTS,
        "managedFields": ListOf("a list of mappings", _MANAGED),
    },
)

POLICY: Final = Struct(
    "a mapping with apiVersion, kind and rules",
    {
        "apiVersion": TEXT,
        "kind": TEXT,
        "metadata": METADATA,
        "rules": ListOf("a list of rules", RULE),
        "omitStages": TEXTS,
        "omitManagedFields": TRUTH,
    },
)


def without_managed_fields(policy: Struct) -> Struct:
    """The shape before Kubernetes 1.23, which did not know omitManagedFields."""
    rule = Struct(RULE.called, {name: shape for name, shape in RULE.fields.items() if name != "omitManagedFields"})
    fields = {name: shape for name, shape in policy.fields.items() if name != "omitManagedFields"}
    return Struct(policy.called, fields | {"rules": ListOf("a list of rules", rule)})


POLICY_BEFORE_1_23: Final = without_managed_fields(POLICY)
