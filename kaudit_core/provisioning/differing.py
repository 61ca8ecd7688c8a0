"""What the masters of one cluster don't have in common, though all of them should be alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kaudit_core.provisioning.drift import UNKNOWN


def differing(masters: Sequence[Mapping[str, Any]], clusters: Sequence[str]) -> list[str]:
    """What the masters of one cluster don't have in common: the statuses, and each one's cluster."""
    made = []
    for cluster in dict.fromkeys(clusters):
        own = [master for master, its in zip(masters, clusters, strict=True) if its == cluster]
        made += [f"cluster {cluster}: {sentence}" for sentence in _differing(own)]
    return made


def _differing(masters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    read = [each for each in masters if each["auditing"] != UNKNOWN]
    if said := _sides("auditing", [(each["master"], each["auditing"]) for each in read]):
        yield said
    on = [each for each in masters if each["policy"]]
    if said := _sides("policy", [(each["master"], each["policy"][:12]) for each in on]):
        yield said
    for name in dict.fromkeys(name for each in on for name in each["flags"]):
        if said := _sides(f"--{name}", [(each["master"], each["flags"].get(name, "absent")) for each in on]):
            yield said


def _sides(what: str, values: Sequence[tuple[str, str]]) -> str:
    """Which master has which value, "" where all have one."""
    sides: dict[str, list[str]] = {}
    for master, value in values:
        sides.setdefault(value, []).append(master)
    shown = ", ".join(f"{value} ({', '.join(names)})" for value, names in sides.items())
    return f"{what}: {shown}" if len(sides) > 1 else ""
