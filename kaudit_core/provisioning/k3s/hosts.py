"""One line of ours in /etc/hosts: the address of the webhook's name. All other bytes stay."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from kaudit_core.provisioning.refusal import EditRefused

PART: Final = "/etc/hosts"
MARK: Final = "# kaudit: webhook receiver"
_OURS: Final = re.compile(rf"^[^\n]*{re.escape(MARK)}[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def put(text: str, address: str, name: str) -> str:
    """The text with our line for a name, in the place of an earlier one; raises EditRefused, ValueError."""
    ip_address(address)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no host name in small letters")
    _check_free(text, address, name)
    first_break = re.search("\r?\n", text)
    line = f"{address} {name} {MARK}" + (first_break.group() if first_break else "\n")
    if found := _OURS.search(text):
        rest = _OURS.sub("", text[found.end() :])
        return text[: found.start()] + line + rest
    # Before a last line that has no end: taking ours away gives its bytes back.
    at = text.rfind("\n") + 1
    return text[:at] + line + text[at:]


def remove(text: str) -> str:
    """The text without our line."""
    return _OURS.sub("", text)


def _check_free(text: str, address: str, name: str) -> None:
    """Refuse a name that another line gives to another address: the first line would win."""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if MARK not in line and name in words[1:] and words[0] != address:
            problem = f"{name} is already {words[0]} here, not {address}"
            raise EditRefused(PART, number, name, problem, "remove that line, or name another receiver")
