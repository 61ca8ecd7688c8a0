"""Credentials are not repeated: a client can put its token into any text that is logged."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*){0,2}")


def redacted(text: str) -> str:
    """Replace what looks like a bearer token (a JWT, also one that was cut)."""
    return _TOKEN.sub("[token]", text)
