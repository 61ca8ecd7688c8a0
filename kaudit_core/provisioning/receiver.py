"""What the role audit_receiver makes on the controller: certificates, kubeconfigs, a summary. Text in, text out."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final

import yaml

from kaudit_core.provisioning.certificates import (
    Pair,
    Term,
    Wanted,
    end_of,
    fingerprint,
    keep_authority,
    keep_leaf,
    why_renew,
)
from kaudit_core.provisioning.receiver_settings import ReceiverSettings, refuse

AUTHORITY: Final = ("authority/ca.crt", "authority/ca.key")
SUMMARY: Final = "api-servers.json"
FLAG: Final = "--audit-webhook-config-file"
_BEFORE_BEGIN: Final = re.compile(r"(?=-----BEGIN CERTIFICATE-----)")


@dataclass
class Connection:
    """What is to lie in the directory, what was made anew and why, and what may be shown of it."""

    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)

    def note(self, what: str, reason: str) -> None:
        """Remember a reason, unless there is none."""
        if reason:
            self.notes.append(f"{what}: {reason}")


@dataclass(frozen=True)
class Given:
    """Certificates that the operator brings; PEM."""

    server: Pair
    authority: str
    client_authority: str


def connect(settings: ReceiverSettings, found: Mapping[str, str], given: Given | None, now: datetime) -> Connection:
    """Everything that is to lie in the directory, by what lies there now; raises ValueError."""
    made = Connection()
    term = Term(now, settings.certificate_days, settings.renew_before_days)
    if given is not None:
        leaves = _use_given(made, settings, given, term)
        trusted = given.authority
    else:
        authority = _use_authority(made, settings, found, term)
        leaves = _issue_all(made, settings, found, authority, term)
        trusted = authority.certificate
        made.files["receivers/client-ca.crt"] = trusted
    made.files["receivers/ca.crt"] = trusted
    for name in settings.api_servers:
        made.files[f"api-servers/{name}/webhook.yaml"] = kubeconfig(settings.url(name), trusted, name)
    made.shown = _summary(settings, trusted, leaves)
    made.files[SUMMARY] = json.dumps(made.shown, indent=2) + "\n"
    return made


def _use_given(made: Connection, settings: ReceiverSettings, given: Given, term: Term) -> dict[str, str]:
    """One certificate for all receivers, if it will do."""
    ends = given.server.ends
    if ends <= term.now:
        refuse("certificate", f"expired on {ends:%Y-%m-%d}", "give a new one")
    signer = Pair(given.authority, "")
    wanted = Wanted(settings.name, server=True)
    if why_renew(given.server, signer, wanted, term) == "made: the one before had another key":
        refuse("key", "does not belong to audit_receiver_certificate", "give its own key")
    if term.over(ends):
        made.notes.append(f"the given certificate expires on {ends:%Y-%m-%d}: give a new one")
    for host in settings.hosts:
        made.files[f"receivers/{host}.pem"] = given.server.key + given.server.certificate
    made.files["receivers/client-ca.crt"] = given.client_authority
    return dict.fromkeys(settings.hosts, given.server.certificate)


def _use_authority(made: Connection, settings: ReceiverSettings, found: Mapping[str, str], term: Term) -> Pair:
    there = [name for name in AUTHORITY if name in found]
    if len(there) == 1:
        missing = next(name for name in AUTHORITY if name not in found)
        raise ValueError(
            f"{settings.directory}/{missing}: missing beside {there[0]}, which API servers may trust; bring it back, or"
            " remove both for a new authority"
        )
    before = Pair(found[AUTHORITY[0]], found[AUTHORITY[1]]) if there else None
    try:
        long_term = replace(term, days=settings.authority_days)
        authority, reason = keep_authority(before, f"{settings.name} authority", long_term, settings.certificate_days)
    except ValueError as error:
        raise ValueError(
            f"{settings.directory}/{AUTHORITY[0]}: no usable authority ({error}); bring it back, or remove"
            f" {settings.directory}/authority for a new one"
        ) from error
    made.note("authority", reason)
    made.files.update(zip(AUTHORITY, (authority.certificate, authority.key), strict=True))
    return authority


def _issue_all(
    made: Connection, settings: ReceiverSettings, found: Mapping[str, str], authority: Pair, term: Term
) -> dict[str, str]:
    """A leaf for every receiver and every API server; the receivers' certificates."""
    leaves = {}
    for host, addresses in settings.hosts.items():
        wanted = Wanted(settings.name, True, settings.names, addresses)
        path = f"receivers/{host}.pem"
        leaf, reason = keep_leaf(_split(found.get(path)), authority, wanted, term)
        made.note(f"receiver {host}", reason)
        # One file: a certificate and its key can't be met without each other.
        made.files[path] = leaf.key + leaf.certificate
        leaves[host] = leaf.certificate
    for name in settings.api_servers:
        paths = [f"api-servers/{name}/webhook.{ending}" for ending in ("crt", "key")]
        before = Pair(found[paths[0]], found[paths[1]]) if all(path in found for path in paths) else None
        leaf, reason = keep_leaf(before, authority, Wanted(name, server=False), term)
        made.note(f"API server {name}", reason and f"{reason}; give it webhook.crt and webhook.key")
        made.files.update(zip(paths, (leaf.certificate, leaf.key), strict=True))
    return leaves


def _split(text: str | None) -> Pair | None:
    """A key and its certificates, out of one file; None for anything else."""
    parts = _BEFORE_BEGIN.split(text or "", maxsplit=1)
    return Pair(parts[1], parts[0]) if len(parts) == 2 else None


def kubeconfig(url: str, authority: str, name: str) -> str:
    """What --audit-webhook-config-file takes.

    The client's certificate and key are files beside it: the API server reads them again when they were renewed,
    and this file only when it starts.
    """
    cluster = {"server": url, "certificate-authority-data": b64encode(authority.encode()).decode()}
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kaudit-receiver", "cluster": cluster}],
        "users": [{"name": name, "user": {"client-certificate": "webhook.crt", "client-key": "webhook.key"}}],
        "contexts": [{"name": "kaudit-receiver", "context": {"cluster": "kaudit-receiver", "user": name}}],
        "current-context": "kaudit-receiver",
    }
    return yaml.safe_dump(value, sort_keys=False)


def _summary(settings: ReceiverSettings, authority: str, leaves: Mapping[str, str]) -> dict[str, Any]:
    """What the API servers' side needs; no secrets."""
    pinned = [address for addresses in settings.hosts.values() for address in addresses]
    return {
        "url": settings.url("<api-server>"),
        "authority": f"{settings.directory}/receivers/ca.crt",
        "authority_sha256": fingerprint(authority),
        "name": settings.name,
        "addresses": pinned,
        "flag": f"{FLAG}=/etc/kubernetes/audit/webhook.yaml",
        "api_servers": {
            name: {
                "kubeconfig": f"{settings.directory}/api-servers/{name}/webhook.yaml",
                # Each begins with another receiver and goes on to the next when that doesn't answer.
                "hosts": [f"{address} {settings.name}" for address in turned(pinned, place)],
            }
            for place, name in enumerate(settings.api_servers)
        },
        "receivers": {
            host: {"certificate_sha256": fingerprint(leaf), "expires": f"{Pair(leaf, '').ends:%Y-%m-%dT%H:%M:%SZ}"}
            for host, leaf in leaves.items()
        },
    }


def turned(addresses: Sequence[str], by: int) -> list[str]:
    """The addresses, beginning with another one."""
    start = by % len(addresses) if addresses else 0
    return [*addresses[start:], *addresses[:start]]


def report(shown: Mapping[str, Any], directory: str) -> list[str]:
    """The lines that the play ends with."""
    lines = [
        f"URL: {shown['url']}",
        f"CA: {shown['authority']} (sha256 {shown['authority_sha256']})",
        f"pinned: {shown['name']} = {', '.join(shown['addresses'])}",
    ]
    for name, one in shown["api_servers"].items():
        lines.append(f"{name}: {one['kubeconfig']}, with webhook.crt and webhook.key beside it")
        lines += [f"{name}: hostAliases or /etc/hosts: {line}" for line in one["hosts"]]
    lines.append(f"flag: {shown['flag']}")
    for host, one in shown["receivers"].items():
        lines.append(f"certificate of {host}: expires {one['expires']}; run this play before that")
    return [*lines, f"all of it: {directory}/{SUMMARY}"]


def given_certificates(texts: Mapping[str, str]) -> Given | None:
    """The operator's certificates, by the names of their variables; None where none is given. Raises ValueError."""
    if not texts:
        return None
    for name in ("certificate", "key", "ca", "client_ca"):
        if name not in texts:
            refuse(name, "missing", "give certificate, key, ca and client_ca together, or none of them")
    try:
        given = Given(Pair(texts["certificate"], texts["key"]), texts["ca"], texts["client_ca"])
        end_of(given.server.leaf), fingerprint(given.authority), fingerprint(given.client_authority)
    except ValueError:
        raise ValueError("audit_receiver_certificate, _ca or _client_ca: no certificate in PEM; look at them") from None
    return given


def address_of(host: str, address: str, connected_by: str) -> str:
    """The address that is pinned for a receiver: its own variable, ansible_host, or its name if that is one."""
    for value in (address or connected_by, host):
        try:
            return str(ip_address(value))
        except ValueError:
            if value and value == address:
                refuse("address", f"{value!r} is no IP address", "write one like 192.0.2.10")
    return refuse("address", f"not known for {host}", "set it to the IP address that API servers are to use")
