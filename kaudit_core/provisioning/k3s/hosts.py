"""Lines of ours in /etc/hosts: the addresses of the webhook's name. All other bytes stay."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from kaudit_core.provisioning.refusal import EditRefused

PART: Final = "/etc/hosts"
MARK: Final = "# kaudit: webhook receiver"
_OURS: Final = re.compile(rf"^[^\n]*{re.escape(MARK)}[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def put_all(text: str, aliases: Mapping[str, Sequence[str]]) -> str:
    """The text with exactly these lines of ours, address by address; raises EditRefused, ValueError."""
    end = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"
    others = remove(text)
    lines = ""
    for address, names in aliases.items():
        ip_address(address)
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no host name in small letters")
            _check_free(others, address, name)
        lines += f"{address} {' '.join(names)} {MARK}{end}"
    if "".join(found.group() for found in _OURS.finditer(text)) == lines:
        return text
    # Before a last line that has no end: taking ours away gives its bytes back.
    at = others.rfind("\n") + 1
    return others[:at] + lines + others[at:]


def remove(text: str) -> str:
    """The text without our lines."""
    return _OURS.sub("", text)


def _check_free(text: str, address: str, name: str) -> None:
    """Refuse a name that another line gives to another address: the first line would win."""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if MARK not in line and name in words[1:] and words[0] != address:
            problem = f"{name} is already {words[0]} here, not {address}"
            raise EditRefused(PART, number, name, problem, "remove that line, or name another receiver")
