"""One policy from a preset, overrides for groups and namespaces, and rules of one's own.

The order decides: rules_before, group overrides, namespace overrides, the preset's rules, rules_after, and the
preset's last rule, which has no conditions. Pure: plain values in, text out, the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaudit_core.policy.overrides import (
    CompositionRefused,
    Sourced,
    credentials_rule,
    override_rules,
    preset_name,
    takes_bodies,
)
from kaudit_core.policy.presets import Preset, load
from kaudit_core.policy.rendering import comment, render

LISTS: Final = ("rules_before", "group_overrides", "namespace_overrides", "rules_after")
SWITCHES: Final = ("without_tokens", "omit_managed_fields")
SOURCES: Final = ("preset", "file", "content")


@dataclass(frozen=True)
class Composed:
    """A policy's text, and for each of its rules the field it comes from ("" for the preset)."""

    preset: Preset
    text: str
    fields: tuple[str, ...]


def one_source(given: Mapping[str, Any]) -> str:
    """Which of SOURCES is given; exactly one may be, and only a preset takes overrides and more rules."""
    chosen = [source for source in SOURCES if given.get(source)]
    if len(chosen) != 1:
        names = [f"audit_policy_{source}" for source in SOURCES]
        found = " and ".join(f"audit_policy_{source}" for source in chosen) + " are set" if chosen else "none is set"
        raise ValueError(f"{names[0]}, {names[1]} or {names[2]}: {found}; set one of them")
    if chosen != ["preset"]:
        for field in (*LISTS, *SWITCHES):
            if given.get(field):
                where = f"audit_policy_{chosen[0]}"
                raise ValueError(f"audit_policy_{field}: only goes with audit_policy_preset; change {where} instead")
    return chosen[0]


def compose(given: Mapping[str, Any]) -> Composed:
    """Compose `preset`, LISTS and SWITCHES; what is absent is empty or false. Raises CompositionRefused."""
    preset = load(preset_name(given.get("preset"), "preset"))
    for switch in SWITCHES:
        if not isinstance(given.get(switch, False), bool):
            raise CompositionRefused(switch, "must be true or false")
    own = [Sourced(rule, "", f"{preset.name}: {rule['why']}") for rule in preset.rules]
    rules = [
        *_custom(given, "rules_before"),
        *override_rules(given.get("group_overrides") or [], "group"),
        *override_rules(given.get("namespace_overrides") or [], "namespace"),
        *own[:-1],
        *_custom(given, "rules_after"),
        own[-1],
    ]
    if given.get("without_tokens"):
        rules = _without_tokens(rules)
    fields: dict[str, Any] = {"omitStages": list(preset.omit_stages)}
    if given.get("omit_managed_fields"):
        fields["omitManagedFields"] = True
    shown = [(told, {key: value for key, value in rule.items() if key != "why"}) for rule, _, told in rules]
    return Composed(preset, render(_head(preset), fields, shown), tuple(rule.field for rule in rules))


def _custom(given: Mapping[str, Any], name: str) -> Iterator[Sourced]:
    """Rules as they stand; the lint of the whole policy judges their fields."""
    rules = given.get(name) or []
    if not isinstance(rules, list):
        raise CompositionRefused(name, "must be a list of rules like {level: Metadata, verbs: [delete]}")
    for index, rule in enumerate(rules):
        here = f"{name}[{index}]"
        if not isinstance(rule, dict) or not all(isinstance(key, str) for key in rule):
            raise CompositionRefused(here, "must be a mapping like {level: Metadata, verbs: [delete]}")
        if "why" in rule:
            raise CompositionRefused(here, 'unknown key "why"; write a comment in the inventory instead')
        yield Sourced(rule, here, here)


def _without_tokens(rules: list[Sourced]) -> list[Sourced]:
    """No rule from the first one with bodies on sees credentials; those before it take no bodies."""
    first = next((index for index, each in enumerate(rules) if takes_bodies(each.rule.get("level"))), None)
    if first is None:
        return rules
    told = "without_tokens: whatever the rules below say, no bodies of what holds credentials."
    return [*rules[:first], Sourced(credentials_rule(), "without_tokens", told), *rules[first:]]


def _head(preset: Preset) -> Iterator[str]:
    yield "# Managed by kaudit."
    yield from comment(f"Preset {preset.name}. {preset.purpose}")
    yield from comment(f"Cost: {preset.cost}")
    yield "# What it can't see:"
    for spot in preset.blind_spots:
        yield from comment(f"- {spot}")
