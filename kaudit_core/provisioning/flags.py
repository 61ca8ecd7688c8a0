"""Flags as kube-apiserver reads them (github.com/spf13/pflag): both forms, duplicates, underscores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

# These take the next element, whatever it is, where they have no value of their own.
_BATCH: Final = ("buffer-size", "max-size", "max-wait", "throttle-qps", "throttle-burst")
_BACKEND: Final = ("mode", "version", "truncate-max-batch-size", "truncate-max-event-size")
VALUED: Final = frozenset(
    [
        "audit-policy-file",
        *(f"audit-log-{name}" for name in ("path", "maxage", "maxbackup", "maxsize", "format", *_BACKEND)),
        *(f"audit-webhook-{name}" for name in ("config-file", "initial-backoff", "batch-initial-backoff", *_BACKEND)),
        *(f"audit-{backend}-batch-{name}" for backend in ("log", "webhook") for name in _BATCH),
    ]
)
# A bare --name of these means true.
BOOLEAN: Final = frozenset(
    [
        "audit-log-compress",
        "audit-log-batch-throttle-enable",
        "audit-log-truncate-enabled",
        "audit-webhook-batch-throttle-enable",
        "audit-webhook-truncate-enabled",
    ]
)


@dataclass(frozen=True)
class FlagUse:
    """One appearance of a flag.

    at: the index of its element; value_at: of its value's element, None in the form --name=value and for a bare name.
    """

    name: str
    value: str
    at: int
    value_at: int | None


def normalized(name: str) -> str:
    """A flag's name as the server knows it: --audit_log_path is --audit-log-path."""
    return name.replace("_", "-")


def parse_flags(arguments: list[str]) -> list[FlagUse]:
    """Every use of a flag, in order; of several with one name the last one counts.

    Whether an unknown flag takes the next element is not known here: it does unless that begins with a dash.
    """
    uses = []
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        value_at = None
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument[2:].partition("=")
            name = normalized(name)
            if not equals:
                value_at = index + 1 if _takes_next(name, arguments[index + 1 : index + 2]) else None
                value = arguments[value_at] if value_at is not None else "true"
            uses.append(FlagUse(name, value, index, value_at))
        index = index + 1 if value_at is None else value_at + 1
    return uses


def _takes_next(name: str, following: list[str]) -> bool:
    if not following or name in BOOLEAN:
        return False
    return name in VALUED or not following[0].startswith("-")


def lacks_value(arguments: list[str]) -> bool:
    """Whether the last flag still waits for its value: the server would not start, or take what comes next for it."""
    uses = parse_flags(arguments)
    last = uses[-1] if uses else None
    return last is not None and last.name in VALUED and last.value_at is None and "=" not in arguments[last.at]


def effective(uses: Iterable[FlagUse]) -> dict[str, str]:
    """Name and value of every flag that counts."""
    return {use.name: use.value for use in uses}


def audit_flags(flags: Mapping[str, str]) -> dict[str, str]:
    """Those of a server's flags that are about auditing."""
    return {name: value for name, value in flags.items() if name.startswith("audit-")}
