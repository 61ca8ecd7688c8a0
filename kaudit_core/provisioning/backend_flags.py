"""A backend's flags from its variables: each of its type, and no two that contradict each other or do nothing.

Names, defaults and checks mirror k8s.io/apiserver pkg/server/options/audit.go, which are the same from 1.22 to 1.37.
The server starts with many a combination that does not do what was meant, without a word; here it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from kaudit_core.provisioning.refusal import SettingsError

MODES: Final = ("batch", "blocking", "blocking-strict")
VERSION: Final = "audit.k8s.io/v1"
LONGEST_WAIT: Final = 30.0
"""Seconds in which an event must be on its way, for the play waits for one of its own."""

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h)", re.ASCII)
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Backend:
    """A backend's name in flags and variables, the server's own defaults, and the options that only it has."""

    name: str
    mode: str
    batch_max_size: int
    throttled: bool
    own: tuple[str, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """Parts of variables, and with dashes of flags."""
        return (*self.own, *_COMMON)


LOG: Final = Backend("log", "blocking", 1, False, ("format", "compress"))
WEBHOOK: Final = Backend("webhook", "batch", 400, True, ("initial_backoff",))
BUFFER: Final = 10_000
MAX_BATCH: Final = 10 * 1024 * 1024
MAX_EVENT: Final = 100 * 1024
Value = str | int | float | bool


def backend_flags(backend: Backend, given: Mapping[str, Any]) -> dict[str, str]:
    """The flags that variables ask for, as the server reads them; what is not given stays the server's default.

    given: variables without apiserver_audit_; None and "" are not given. Raises SettingsError.
    """
    values: dict[str, Value] = {}
    for name in backend.options:
        value = given.get(f"{backend.name}_{name}")
        if value is not None and value != "":
            values[name] = _READERS[name](_variable(backend, name), value)
    _check_batches(backend, values)
    _check_throttle(backend, values)
    _check_truncation(backend, values)
    return {f"audit-{backend.name}-{name.replace('_', '-')}": _text(value) for name, value in values.items()}


def whole_number(variable: str, value: Any, least: int = 0) -> int:
    """A whole number, also one that was written as a text; raises SettingsError."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"{variable}: {value!r} is no whole number from {least}")
    return value


def _positive(variable: str, value: Any) -> int:
    return whole_number(variable, value, 1)


def _rate(variable: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not (isfinite(number) and number > 0):
        raise SettingsError(f"{variable}: {value!r} is no number of batches a second above 0")
    return number


def _truth(variable: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
        value = value.lower() in ("true", "yes")
    if not isinstance(value, bool):
        raise SettingsError(f"{variable}: {value!r} is neither true nor false")
    return value


def _duration_text(variable: str, value: Any) -> str:
    text = str(value)
    if text != "0" and not re.fullmatch(f"(?:{_DURATION.pattern})+", text, re.ASCII):
        raise SettingsError(f"{variable}: {value!r} is no duration; write one like 500ms or 2s")
    return text


def _duration(variable: str, value: Any) -> str:
    text = _duration_text(variable, value)
    if seconds_of(text) > LONGEST_WAIT:
        raise SettingsError(
            f"{variable}: an event would wait {text} for others, and the play only {LONGEST_WAIT:.0f} s for its own;"
            " lower it"
        )
    return text


def seconds_of(duration: str) -> float:
    """What a duration of Go's means in seconds."""
    parts = _DURATION.findall(duration)
    return sum(float(part.rstrip("nuµmsh")) * _SECONDS[part.lstrip("0123456789.")] for part in parts)


def _pause(variable: str, value: Any) -> str:
    text = _duration_text(variable, value)
    if seconds_of(text) == 0:
        raise SettingsError(f"{variable}: with {text} all five attempts follow each other at once; write one like 10s")
    return text


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def read(variable: str, value: Any) -> str:
        if value not in choices:
            raise SettingsError(f"{variable}: {value!r} is none of {', '.join(choices)}")
        return str(value)

    return read


def _format(variable: str, value: Any) -> str:
    if value == "legacy":
        raise SettingsError(f"{variable}: legacy lines hold too little to be verified; leave it at json")
    return _one_of("json")(variable, value)


_READERS: Final[dict[str, Callable[[str, Any], Value]]] = {
    "format": _format,
    "version": _one_of(VERSION),
    "compress": _truth,
    "initial_backoff": _pause,
    "mode": _one_of(*MODES),
    "batch_buffer_size": _positive,
    "batch_max_size": _positive,
    "batch_max_wait": _duration,
    "batch_throttle_enable": _truth,
    "batch_throttle_qps": _rate,
    "batch_throttle_burst": _positive,
    "truncate_enabled": _truth,
    "truncate_max_batch_size": _positive,
    "truncate_max_event_size": _positive,
}


_COMMON: Final = tuple(name for name in _READERS if name not in (*LOG.own, *WEBHOOK.own))


def _variable(backend: Backend, name: str) -> str:
    return f"apiserver_audit_{backend.name}_{name}"


def _check_batches(backend: Backend, values: Mapping[str, Any]) -> None:
    if values.get("mode", backend.mode) != "batch":
        for name in values:
            if name.startswith("batch_"):
                raise SettingsError(
                    f"{_variable(backend, name)}: does nothing unless {_variable(backend, 'mode')} is batch;"
                    " take it out, or set the mode"
                )
    size, room = values.get("batch_max_size", backend.batch_max_size), values.get("batch_buffer_size", BUFFER)
    if size > room:
        raise SettingsError(
            f"{_variable(backend, 'batch_max_size')}: a batch of {size} events never fits into a buffer of {room};"
            " lower it, or raise batch_buffer_size"
        )
    if size > 1 and "batch_max_wait" in values and seconds_of(values["batch_max_wait"]) == 0:
        raise SettingsError(
            f"{_variable(backend, 'batch_max_wait')}: the server would look for events without a pause, because batches"
            f" of {size} wait for others; write one like 1s"
        )


def _check_throttle(backend: Backend, values: Mapping[str, Any]) -> None:
    enabled = values.get("batch_throttle_enable", backend.throttled)
    for name in ("batch_throttle_qps", "batch_throttle_burst"):
        if name in values and not enabled:
            raise SettingsError(
                f"{_variable(backend, name)}: does nothing unless {_variable(backend, 'batch_throttle_enable')} is"
                " true; take it out, or enable throttling"
            )
        if enabled and not backend.throttled and name not in values:
            raise SettingsError(
                f"{_variable(backend, name)}: throttling is enabled and the server's own limit is 0, with which it"
                " does not start; set it"
            )


def _check_truncation(backend: Backend, values: Mapping[str, Any]) -> None:
    sizes = {"truncate_max_batch_size": MAX_BATCH, "truncate_max_event_size": MAX_EVENT}
    for name in sizes:
        if name in values and not values.get("truncate_enabled"):
            raise SettingsError(
                f"{_variable(backend, name)}: does nothing unless {_variable(backend, 'truncate_enabled')} is true;"
                " take it out, or enable truncation"
            )
    batch, event = (values.get(name, default) for name, default in sizes.items())
    if event > batch:
        raise SettingsError(
            f"{_variable(backend, 'truncate_max_event_size')}: events of {event} bytes never fit into batches of"
            f" {batch}; lower it, or raise truncate_max_batch_size"
        )


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
