"""Policies for common wishes, as data beside this module, each with what it is for, costs and can't see.

A rule has the fields of a policy file, and `why`: the comment it is rendered with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

NAMES: Final = ("secure", "metadata", "write-bodies", "all-bodies", "openshift-default", "gce", "ack")
"""In the order in which they are shown."""


@dataclass(frozen=True)
class Preset:
    """A policy by name.

    purpose, cost: a sentence or two. blind_spots: what it can't see, a sentence each.
    omit_stages: the same in all presets, so that one can stand within another.
    rules: in order; the last one has no conditions, so every request is decided.
    """

    name: str
    purpose: str
    cost: str
    blind_spots: tuple[str, ...]
    omit_stages: tuple[str, ...]
    rules: tuple[dict[str, Any], ...]


@cache
def load(name: str) -> Preset:
    """Read one of NAMES."""
    # PyYAML costs more to import than the rest of a command that only lists names.
    import yaml

    data = yaml.safe_load(resources.files(__name__).joinpath(f"{name}.yaml").read_text("utf-8"))
    return Preset(
        name=name,
        purpose=data["purpose"],
        cost=data["cost"],
        blind_spots=tuple(data["blind_spots"]),
        omit_stages=tuple(data["omitStages"]),
        rules=tuple(data["rules"]),
    )
