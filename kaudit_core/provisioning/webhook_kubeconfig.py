"""A kubeconfig for the webhook as the API server and client-go read it: checked, and taken apart for the probe."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

import yaml

from kaudit_core.provisioning.refusal import SettingsError
from kaudit_core.provisioning.webhook import Webhook, check
from kaudit_core.provisioning.webhook_target import PREFIX, pinned, read_url, refusal

VARIABLE: Final = "kubeconfig"
_CLUSTER: Final = frozenset(
    ["server", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name", "disable-compression"]
)
_USER: Final = frozenset(["client-certificate-data", "client-key-data", "token"])
_ELSEWHERE: Final = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
    "tokenFile": "token",
}
"""They name files, which aren't there on a master."""
_EMPTY: Final[tuple[Any, ...]] = (None, "", {}, [])


def from_kubeconfig(text: str, given: Mapping[str, Any], api_server: str, now: datetime) -> Webhook:
    """The operator's own kubeconfig, kept byte for byte; raises SettingsError."""
    cluster, user = _current(_read(text))
    _known(cluster, _CLUSTER, "cluster")
    _known(user, _USER, "user")
    if not isinstance(cluster.get("server"), str):
        raise refusal(VARIABLE, "its cluster has no server", "give the URL there")
    target = read_url(cluster["server"], api_server, VARIABLE, bool(given.get("allow_http")))
    if target.url != cluster["server"]:
        raise refusal(VARIABLE, f"its server is {cluster['server']}", f"write {target.url}")
    made = Webhook(
        target,
        authority=_pem(cluster, "certificate-authority-data"),
        certificate=_pem(user, "client-certificate-data"),
        key=_pem(user, "client-key-data"),
        token=str(user.get("token") or ""),
        insecure=cluster.get("insecure-skip-tls-verify") is True,
        server_name=str(cluster.get("tls-server-name") or ""),
        addresses=pinned(given, target),
        given=text,
    )
    _check_named(made, given, now)
    return made


def installed(text: str, path: str) -> Webhook:
    """What lies on a master, for status; raises SettingsError with the file's name where it can't be read."""
    try:
        cluster, user = _current(_read(text))
        target = read_url(str(cluster.get("server")), "", VARIABLE, True)
        return Webhook(
            target,
            _pem(cluster, "certificate-authority-data"),
            _pem(user, "client-certificate-data"),
            _pem(user, "client-key-data"),
            str(user.get("token") or ""),
            cluster.get("insecure-skip-tls-verify") is True,
            str(cluster.get("tls-server-name") or ""),
            given=text,
        )
    except SettingsError as error:
        raise SettingsError(str(error).replace(f"{PREFIX}{VARIABLE}", path)) from error


def _check_named(made: Webhook, given: Mapping[str, Any], now: datetime) -> None:
    """What must be asked for by name must be so in a kubeconfig too."""
    try:
        check(made, now)
    except SettingsError as error:
        _, _, said = str(error).removeprefix(PREFIX).partition(": ")
        raise SettingsError(f"{PREFIX}{VARIABLE}: {said}") from error
    if made.insecure and not given.get("insecure_skip_tls_verify"):
        raise refusal(
            VARIABLE, "skips verifying the receiver", f"give its CA, or set {PREFIX}insecure_skip_tls_verify: true too"
        )


def _read(text: str) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise refusal(VARIABLE, f"{place}this is no YAML", "repair it") from None
    if not isinstance(value, dict) or value.get("kind") != "Config" or value.get("apiVersion") != "v1":
        raise refusal(VARIABLE, "this is no kubeconfig (apiVersion v1, kind Config)", "give one")
    return value


def _current(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The cluster and the user of the current context."""
    name = config.get("current-context")
    if not name:
        raise refusal(VARIABLE, "has no current-context", "name one of its contexts there")
    context = _entry(config, "contexts", "context", str(name))
    cluster = _entry(config, "clusters", "cluster", str(context.get("cluster")))
    return cluster, _entry(config, "users", "user", str(context["user"])) if context.get("user") else {}


def _entry(config: Mapping[str, Any], lists: str, member: str, name: str) -> Mapping[str, Any]:
    entries = config.get(lists)
    found = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    for each in found:
        if str(each.get("name")) == name:
            value = each.get(member) or {}
            if isinstance(value, dict):
                return value
    raise refusal(VARIABLE, f"{lists} has no {name!r}", "correct the name, or add it")


def _known(part: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """client-go ignores what it does not know, so a slip of the pen would leave a receiver unverified."""
    for name, value in part.items():
        if name in known or value in _EMPTY:
            continue
        if name in _ELSEWHERE:
            raise refusal(VARIABLE, f"its {what} names a file ({name})", f"put the content in as {_ELSEWHERE[name]}")
        like = get_close_matches(str(name), known, 1)
        advice = f"did you mean {like[0]}" if like else "take it out; a token or a client certificate can be probed"
        raise refusal(VARIABLE, f"its {what} has {name!r}", advice)


def _pem(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    if not value:
        return ""
    try:
        return b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError):
        raise refusal(VARIABLE, f"{name} is no base64 of PEM", "encode the whole file") from None
