"""Another preset or level for one user group or one namespace: the same rules, about fewer requests.

A rule can't ask for two groups at once. A preset's rule about groups of its own stands in a group's override only as
far as one group implies the other; otherwise it is left out, and the preset's next rules decide. Presets only have
such rules to write less, never to keep credentials out, so that leaving one out makes no secret readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from kaudit_core.policy.findings import printable, quoted
from kaudit_core.policy.presets import NAMES, load
from kaudit_core.policy.types import LEVEL_RANK, LEVELS

CREDENTIALS: Final = (
    {"group": "", "resources": ["secrets", "configmaps", "serviceaccounts/token"]},
    {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
    {"group": "image.openshift.io", "resources": ["imagestreams/secrets"]},
    {"group": "oauth.openshift.io"},
    {"group": "route.openshift.io", "resources": ["routes", "routes/status"]},
)
"""Where bodies hold tokens, keys and passwords."""

_EVERYONE: Final = "system:authenticated"
_ANONYMOUS: Final = "system:unauthenticated"
_SERVICE_ACCOUNTS: Final = "system:serviceaccounts"
_NAMESPACE: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


class CompositionRefused(ValueError):
    """A value that can't be used: which, what is wrong with it and what to write."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Sourced(NamedTuple):
    """A rule, where it comes from (a field like rules_before[0], or "" for a preset), and a comment."""

    rule: Mapping[str, Any]
    field: str
    told: str


def credentials_rule() -> dict[str, Any]:
    """Metadata for whatever holds credentials."""
    return {"level": "Metadata", "resources": [dict(entry) for entry in CREDENTIALS]}


def takes_bodies(level: Any) -> bool:
    """Whether a level is above Metadata; one that is unknown may be."""
    return level not in LEVELS[:2]


def preset_name(value: Any, field: str) -> str:
    """Refuse what is no preset."""
    if value not in NAMES:
        shown = quoted(value) if isinstance(value, str) else "this"
        raise CompositionRefused(field, f"{shown} is no preset; write one of {', '.join(NAMES)}")
    return str(value)


def override_rules(given: Any, kind: str) -> Iterator[Sourced]:
    """The rules of all overrides of a kind, "group" or "namespace", in order."""
    field = f"{kind}_overrides"
    example = "{group: devs, preset: write-bodies}" if kind == "group" else "{namespace: shop, level: Request}"
    if not isinstance(given, list):
        raise CompositionRefused(field, f"must be a list of items like {example}")
    seen: dict[str, int] = {}
    for index, item in enumerate(given):
        here = f"{field}[{index}]"
        if not isinstance(item, dict):
            raise CompositionRefused(here, f"must be a mapping like {example}")
        _known_keys(item, kind, here)
        name = _name(item[kind], kind, f"{here}.{kind}")
        if name in seen:
            again = f"{quoted(name)} is in {field}[{seen[name]}] already, so this is never reached; remove one of them"
            raise CompositionRefused(f"{here}.{kind}", again)
        seen[name] = index
        yield from _narrowed(item, kind, name, here)


def _known_keys(item: Mapping[str, Any], kind: str, here: str) -> None:
    """Exactly one of preset and level, for exactly one name."""
    for key in item:
        if key not in (kind, "preset", "level"):
            raise CompositionRefused(here, f"unknown key {quoted(str(key))}; use {kind}, and preset or level")
    if kind not in item:
        raise CompositionRefused(here, f"says no {kind}; add {kind}: and a name")
    if ("preset" in item) == ("level" in item):
        both = "both preset and level" if "preset" in item else "neither preset nor level"
        raise CompositionRefused(here, f"has {both}; give one of them")


def _name(value: Any, kind: str, field: str) -> str:
    """A name that can match something."""
    if not isinstance(value, str) or not value:
        raise CompositionRefused(field, f"must be the name of a {kind}, as text")
    if value == "*":
        instead = f"write {_EVERYONE} for everyone who is not anonymous" if kind == "group" else "list the namespaces"
        raise CompositionRefused(field, f'"*" matches nothing here; {instead}')
    if kind == "namespace" and not _NAMESPACE.fullmatch(value):
        way = "lower-case letters, digits and dashes, up to 63; for cluster-scoped requests use rules_before"
        raise CompositionRefused(field, f"{quoted(value)} can be no namespace; write {way}")
    return value


def _narrowed(item: Mapping[str, Any], kind: str, name: str, here: str) -> Iterator[Sourced]:
    """What an override asks for, for its group or namespace."""
    narrow = _for_group if kind == "group" else _for_namespace
    wanted, rules = _wanted(item, here)
    for rule in rules:
        if made := narrow({key: value for key, value in rule.items() if key != "why"}, name):
            yield Sourced(made, here, f"{here}, {kind} {printable(name)} as {wanted}: {rule['why']}")


def _wanted(item: Mapping[str, Any], here: str) -> tuple[str, list[Mapping[str, Any]]]:
    if "preset" in item:
        preset = load(preset_name(item["preset"], f"{here}.preset"))
        return f"preset {preset.name}", list(preset.rules)
    level = item["level"]
    if not isinstance(level, str) or level not in LEVEL_RANK:
        meant = next((known for known in LEVELS if known.lower() == str(level).lower()), None)
        way = f"write {meant}, letter case matters" if meant else f"write one of {', '.join(LEVELS)}"
        shown = quoted(level) if isinstance(level, str) else "this"
        raise CompositionRefused(f"{here}.level", f"{shown} is no level; {way}")
    rules: list[Mapping[str, Any]] = [{"level": level, "why": "Everything else." if takes_bodies(level) else "All."}]
    if takes_bodies(level):
        rules.insert(0, credentials_rule() | {"why": "Their bodies hold credentials."})
    return f"level {level}", rules


def _for_group(rule: Mapping[str, Any], group: str) -> dict[str, Any] | None:
    own = rule.get("userGroups")
    if not own or any(group == each or _implies(group, each) for each in own):
        return {**rule, "userGroups": [group]}
    narrower = [each for each in own if _implies(each, group)]
    return {**rule, "userGroups": narrower} if narrower else None


def _implies(group: str, other: str) -> bool:
    """Whether everyone of a group is in the other too: so does the server fill groups."""
    if other == _EVERYONE:
        return group not in (_EVERYONE, _ANONYMOUS)
    return other == _SERVICE_ACCOUNTS and group.startswith(f"{_SERVICE_ACCOUNTS}:")


def _for_namespace(rule: Mapping[str, Any], namespace: str) -> dict[str, Any] | None:
    own = rule.get("namespaces")
    if rule.get("nonResourceURLs") or (own and namespace not in own):
        return None
    return {**rule, "namespaces": [namespace]}
