"""Credentials are not repeated: a client can put its token into any text that is logged."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"eyJ[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*){0,2}"  # JWT, also one that was cut
    r"|(?i:bearer|basic)(\s|%20|\+)+[A-Za-z0-9._~+/=-]{8,}"
    r"|sha256~[A-Za-z0-9_-]{16,}"  # OpenShift
    r"|\b[a-z0-9]{6}\.[a-z0-9]{16}\b"  # bootstrap token
)


def redacted(text: str) -> str:
    """Replace what looks like a bearer token."""
    return _TOKEN.sub("[token]", text)
