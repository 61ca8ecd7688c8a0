"""What an unknown field was probably meant to be, and what its absence does to the policy."""

from __future__ import annotations

from typing import Final

from kaudit_core.policy.findings import Path, path_text, printable
from kaudit_core.policy.schema import GROUP_RESOURCES, POLICY, RULE

_MEANT: Final = {
    "rule": {
        "group": "userGroups", "groups": "userGroups", "usergroup": "userGroups", "user": "users", "username": "users",
        "usernames": "users", "serviceaccounts": "users", "verb": "verbs", "operations": "verbs", "methods": "verbs",
        "namespace": "namespaces", "resource": "resources", "stages": "omitStages", "stage": "omitStages",
        "omitstage": "omitStages", "nonresourceurl": "nonResourceURLs", "nonresources": "nonResourceURLs",
        "urls": "nonResourceURLs", "paths": "nonResourceURLs", "auditlevel": "level", "levels": "level",
        "apigroups": "resources",
    },
    "group": {
        "apigroup": "group", "apigroups": "group", "groups": "group", "resource": "resources", "kinds": "resources",
        "names": "resourceNames", "name": "resourceNames", "resourcename": "resourceNames",
    },
    "policy": {"rule": "rules", "stages": "omitStages", "omitstage": "omitStages", "version": "apiVersion"},
}  # fmt: skip
_STRUCTS: Final = {"rule": RULE, "group": GROUP_RESOURCES, "policy": POLICY}
_WHERE: Final = {"rule": "a rule", "group": "an entry of resources", "policy": "the top level"}
_NARROWING: Final = frozenset(
    {"users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "group", "resourceNames"}
)
_FARTHEST: Final = 2


def describe(parent: Path, key: str, fields: list[str]) -> tuple[str, str]:
    """Return the code and the message for a field that `parent` does not have."""
    level = _level(parent)
    meant = likely_field(key, fields, level)
    name, dropped = printable(key), "the server drops it silently"
    if key == "omitManagedFields" and level in ("policy", "rule"):
        return "unknown-field", f"{name} is unknown before Kubernetes 1.23, {dropped}: remove it"
    if meant is not None:
        slip = meant.lower() == key.lower()
        start = f"{name} is not {meant}" if slip else f"unknown field {name}"
        code = "letter-case" if slip else "unknown-field"
        return code, f"{start}: {dropped}, {_effect(meant, level)}; write {meant}"
    home = _home(key, level)
    if home is not None:
        return "unknown-field", f"{name} stands in the wrong place, {dropped}, {_effect(key, level)}; {home}"
    where = path_text(parent) or "the policy"
    choices = ", ".join(fields)
    return "unknown-field", (
        f"unknown field {name}: {dropped}, so {where} means what it says without it; remove it or use one of {choices}"
    )


def likely_field(key: str, fields: list[str], level: str) -> str | None:
    """The field whose name differs in letter case, is a known slip, or is at most two letters away."""
    folded = {field.lower(): field for field in fields}
    meant = folded.get(key.lower()) or _MEANT.get(level, {}).get(key.lower().replace("_", "").replace("-", ""))
    if meant in fields:
        return meant
    if len(key) > 40:
        return None
    near = [(distance(key.lower(), name), field) for name, field in folded.items()]
    best = min(near, default=(_FARTHEST + 1, ""))
    return best[1] if best[0] <= min(_FARTHEST, len(key) // 3) else None


def distance(left: str, right: str) -> int:
    """Edits that turn one word into the other: insert, drop, replace a letter, swap two neighbours."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _level(parent: Path) -> str:
    if not parent:
        return "policy"
    if parent[0] == "rules":
        return "rule" if len(parent) == 2 else "group"
    return "metadata"


def _effect(field: str, level: str) -> str:
    if field in _NARROWING and level in ("rule", "group"):
        return "so the rule gets BROADER: it matches as if the line were not there"
    if field == "level":
        return "so the rule has no level and the server refuses the file"
    if field == "rules":
        return "so the policy has no rules and the server refuses the file"
    if field == "omitStages":
        return "so no stage is omitted and more events are written"
    if field == "omitManagedFields":
        return "so managed fields are not omitted"
    return "so the file means what it says without it"


def _home(key: str, level: str) -> str | None:
    for other in ("rule", "group", "policy"):
        if level in _WHERE and other != level and key in _STRUCTS[other].fields:
            return f"it belongs to {_WHERE[other]}: move it there"
    return None
