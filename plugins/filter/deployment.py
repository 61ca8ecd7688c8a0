"""Filters of the roles: one call into kaudit_core each, in plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.kaudit.k8s.plugins.plugin_utils.core import core, plain

NAMES = ("recorded", "serial_batches", "turn_order")


def _filter(name: str) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return getattr(core("provisioning.on_host"), name)(*[plain(argument) for argument in arguments])

    return call


class FilterModule:
    """The filters kaudit.k8s.*."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name and function of each."""
        return {name: _filter(name) for name in NAMES}
