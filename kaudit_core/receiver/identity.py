"""Which API server a batch comes from: its client certificate or the path it posts to say so, the events don't.

The name becomes a directory, so it is quoted like a URL's part: `master-1` stays, `../x` becomes `%2E.%2Fx`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

_LONGEST: Final = 200


def directory_name(server: str) -> str | None:
    """The directory of an API server's events, or None for a name that can't be one: empty or too long."""
    quoted = quote(server, safe="")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    return quoted if 0 < len(quoted) <= _LONGEST else None


def server_name(directory: str) -> str:
    """The API server whose events a directory holds."""
    return unquote(directory)


def certificate_name(certificate: Mapping[str, Any] | None) -> str | None:
    """The last common name of a verified client certificate, as ssl.getpeercert gives it; None without one."""
    names = [
        value
        for part in (certificate or {}).get("subject", ())
        for key, value in part
        if key == "commonName" and isinstance(value, str) and value
    ]
    return names[-1] if names else None


def peer_name(tls: ssl.SSLObject | None) -> str | None:
    """The name in the certificate that the peer of a connection has proven to hold."""
    return certificate_name(tls.getpeercert()) if tls is not None else None
