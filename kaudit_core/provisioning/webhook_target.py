"""The URL that an API server posts its events to, and the addresses that its name is pinned to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from posixpath import normpath
from typing import Any, Final
from urllib.parse import quote, urlsplit

from kaudit_core.provisioning.refusal import SettingsError

PREFIX: Final = "apiserver_audit_webhook_"
DEFAULT_PATH: Final = "/reportAuditEvent"
PLACE_OF_NAME: Final = "<api-server>"
"""In a URL: this API server's name in the inventory. The role audit_receiver reports its URL with it."""
EXAMPLE: Final = "write one like https://receiver:8443/reportAuditEvent"
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True)
class Target:
    """A URL that was checked; path: with its leading slash, as it is sent."""

    url: str
    host: str
    port: int
    path: str

    @property
    def encrypted(self) -> bool:
        """Whether events go through TLS."""
        return self.url.startswith("https://")

    @property
    def is_address(self) -> bool:
        """Whether the URL has an address instead of a name."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


def refusal(variable: str, problem: str, advice: str) -> SettingsError:
    """One line: the variable, what is wrong with it, what to do."""
    return SettingsError(f"{PREFIX}{variable}: {problem}; {advice}")


def read_url(text: str, api_server: str, variable: str, http: bool) -> Target:
    """Check a URL and fill in what it leaves out; raises SettingsError."""
    url = text.replace(PLACE_OF_NAME, quote(api_server, safe=""))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refusal(variable, f"{url!r} is no URL", EXAMPLE) from None
    host = (parts.hostname or "").lower()
    if not url.isascii() or not url.isprintable() or " " in url or not host or parts.scheme not in ("http", "https"):
        raise refusal(variable, f"{url!r} is no URL", EXAMPLE)
    if parts.scheme == "http" and not http:
        raise refusal(
            variable,
            f"{url} would carry events in the clear",
            f"write https, or set {PREFIX}allow_http: true",
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise refusal(variable, "an API server sends no user, query or fragment of a URL", "take it out")
    path = parts.path if parts.path not in ("", "/") else DEFAULT_PATH
    if normpath(path) != path or path.startswith("//"):
        raise refusal(variable, f"an API server would post to {normpath(path)} and not to {path}", "write that")
    _check_host(variable, host)
    shown = f"[{host}]" if ":" in host else host
    number = f":{port}" if port is not None else ""
    return Target(
        f"{parts.scheme}://{shown}{number}{path}", host, port or (443 if parts.scheme == "https" else 80), path
    )


def _check_host(variable: str, host: str) -> None:
    looks_like_address = ":" in host or host.replace(".", "").isdigit()
    try:
        ip_address(host)
    except ValueError:
        if looks_like_address or not _NAME.fullmatch(host):
            raise refusal(variable, f"{host!r} is neither a name nor an address", "correct it") from None


def pinned(given: Mapping[str, Any], target: Target) -> tuple[str, ...]:
    """The addresses of the URL's name, without repetitions; raises SettingsError."""
    wanted = given.get("address") or []
    made = []
    for value in [wanted] if isinstance(wanted, str) else wanted:
        try:
            made.append(str(ip_address(str(value).strip("[]"))))
        except ValueError:
            raise refusal("address", f"{value!r} is no IP address", "write one like 192.0.2.10") from None
    if made and given.get("service"):
        raise refusal("address", f"set together with {PREFIX}service", "leave one of them")
    if made and target.is_address:
        raise refusal("address", f"the URL has an address already, {target.host}", "give the URL a name, or leave it")
    return tuple(dict.fromkeys(made))
