"""Request URIs, read exactly as Go's net/url reads them in ParseRequestURI and URL.Query.

Python's urlsplit follows other rules: it takes "//pods" for a host, cuts fragments off, drops tabs and newlines,
and accepts broken percent escapes. The API server judged what Go understood, so that is what is understood here.

Texts may hold surrogate escapes (PEP 383) for bytes that are not UTF-8; decoded texts hold them again.

Go releases differ in three ways between Kubernetes 1.22 and 1.37. The newest reading is used, because the older ones
can be met only in requests that no ordinary client sends:
 - `;` also separated parameters up to Go 1.16 (Kubernetes 1.22); later such parameters are dropped;
 - a query of more than 10,000 parameters decodes to nothing in recent releases only;
 - authorities are checked more strictly in recent releases (what stands in brackets is an IPv6 address; http and
   https hosts hold one colon). The server logs no authority: this touches only strings that merely look absolute.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

MAX_PARAMETERS: Final = 10_000
"""A query with more parameters than this, empty ones counted, decodes to nothing."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")
_HOST_CHARACTERS = r"A-Za-z0-9!$&'()*+,;=:\[\]<>\"\-_.~"
# Beyond ASCII a host takes anything, bare or escaped; within ASCII "%25" is its only escape.
_HOST = re.compile(rf"(?:[{_HOST_CHARACTERS}]|[^\x00-\x7f]|%[89A-Fa-f][0-9A-Fa-f]|%25)*")
_ZONE = re.compile(rf"(?:[{_HOST_CHARACTERS}]|[^\x00-\x7f]|%[0-9A-Fa-f]{{2}})*")
_ZONE_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ZONE_ESCAPABLE = re.compile(rf"[{_HOST_CHARACTERS} %]")


class UnparsableURI(ValueError):
    """A request URI that the API server could not have resolved: Go refuses it, or its request-info rules do."""


class RequestURI(NamedTuple):
    """What the request-info rules see of a URI.

    path: decoded; "" for opaque URIs (mailto:x) and for an authority without a path.
    raw_query: as it stands; "" without one.
    """

    path: str
    raw_query: str


def parse_request_uri(uri: str) -> RequestURI:
    """Resolve a request URI as Go's ParseRequestURI does; raises UnparsableURI."""
    if not uri:
        raise UnparsableURI("The request URI is empty.")
    if found := _CONTROL.search(uri):
        raise UnparsableURI(f"The request URI holds the control character {found[0]!a}.")
    _check_encodable(uri)
    if uri == "*":
        return RequestURI("*", "")
    scheme, rest = _split_scheme(uri)
    rest, _, raw_query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return RequestURI("", raw_query)
        raise UnparsableURI("The request URI has neither a scheme nor a leading slash.")
    if scheme and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        _check_authority(scheme, authority)
        rest = slash + path
    return RequestURI(_unescape(rest), raw_query)


def parse_query(raw_query: str) -> dict[str, list[str]]:
    """Decode a query as Go's URL.Query does: broken parameters are dropped, the others keep their order per name."""
    values: dict[str, list[str]] = {}
    if raw_query.count("&") >= MAX_PARAMETERS:
        return values
    for parameter in raw_query.split("&"):
        if not parameter or ";" in parameter or _BROKEN_ESCAPE.search(parameter):
            continue
        name, _, value = parameter.replace("+", " ").partition("=")
        values.setdefault(_unescape(name), []).append(_unescape(value))
    return values


def _split_scheme(uri: str) -> tuple[str, str]:
    """Cut "http:" off; "" without a scheme."""
    if uri.startswith(":"):
        raise UnparsableURI("The request URI begins with a colon: its scheme is missing.")
    found = _SCHEME.match(uri)
    return (found[1].lower(), uri[found.end() :]) if found else ("", uri)


def _check_encodable(uri: str) -> None:
    try:
        uri.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise UnparsableURI("The request URI holds half a UTF-16 pair, which stands for no byte.") from None


def _unescape(text: str) -> str:
    """Percent-decode; "+" stays. Bytes that are not UTF-8 become surrogate escapes."""
    if "%" not in text:
        return text
    if found := _BROKEN_ESCAPE.search(text):
        raise UnparsableURI(f"The request URI holds the invalid escape {found[0]!a}.")
    return unquote_to_bytes(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def _check_authority(scheme: str, authority: str) -> None:
    """Refuse what Go refuses in the part between "//" and the next slash."""
    userinfo, at, host = authority.rpartition("@")
    if at:
        if not _USERINFO.fullmatch(userinfo):
            raise UnparsableURI("The user information in the request URI holds an invalid character.")
        _unescape(userinfo)
    if "[" in host:
        _check_ip_literal(host)
        return
    colon = host.find(":")
    if scheme not in ("http", "https"):
        colon = host.rfind(":")
    if colon >= 0:
        _check_port(host[colon:])
    _check_host(host)


def _check_port(port: str) -> None:
    if not _PORT.fullmatch(port):
        raise UnparsableURI(f"The request URI holds the invalid port {port[:20]!a}.")


def _check_host(host: str) -> None:
    if not _HOST.fullmatch(host):
        raise UnparsableURI("The host in the request URI holds an invalid character or escape.")


def _check_ip_literal(host: str) -> None:
    """Refuse what is not an IPv6 address in brackets, with a zone and a port where given."""
    literal, bracket, port = host.rpartition("]")
    if host.rfind("[") > 0 or not bracket:
        raise UnparsableURI("The brackets in the request URI's host are misplaced.")
    _check_port(port)
    address, zone_mark, zone = literal[1:].partition("%25")
    try:
        IPv6Address(address.replace("%", "/"))  # a bare zone is refused here, which Python alone would take
    except AddressValueError:
        raise UnparsableURI("The brackets in the request URI's host hold no IPv6 address.") from None
    if zone_mark and not zone:
        raise UnparsableURI("The IPv6 zone in the request URI's host is empty.")
    _check_zone(zone)


def _check_zone(zone: str) -> None:
    """Refuse zone escapes that stand for a character no host may hold; a space and "%" are let through."""
    escaped = (chr(int(digits, 16)) for digits in _ZONE_ESCAPE.findall(zone))
    if not (_ZONE.fullmatch(zone) and all(map(_ZONE_ESCAPABLE.fullmatch, escaped))):
        raise UnparsableURI("The IPv6 zone in the request URI's host holds an invalid character or escape.")
