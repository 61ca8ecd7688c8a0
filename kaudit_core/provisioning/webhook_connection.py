"""What the role needs to write, probe and show the webhook of one master, in plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from kaudit_core.provisioning.webhook import Webhook, counted_as, from_receiver, from_variables, notes, source_of
from kaudit_core.provisioning.webhook_kubeconfig import from_kubeconfig, installed
from kaudit_core.provisioning.webhook_target import refusal

Plain = Mapping[str, Any]


def wanted(
    given: Plain, tree: Mapping[str, str], api_server: str, answer: Plain | None, now: datetime
) -> dict[str, Any]:
    """From the role's variables; answer: the API server's, asked for the Service. Raises SettingsError.

    kubeconfig and probe hold secrets; shown, notes and sha256 don't.
    """
    source = source_of(given)
    if source == "kubeconfig":
        made = from_kubeconfig(str(given["kubeconfig"]), given, api_server, now)
    elif source == "receiver_directory":
        made = from_receiver(given, tree, api_server, now)
    else:
        made = from_variables(given, api_server, now)
    addresses = made.addresses
    if given.get("service"):
        addresses = service_addresses(str(given["service"]), made, answer or {})
    dns_policy = _dns_policy(given, addresses)
    return {
        "kubeconfig": made.kubeconfig,
        "sha256": hashlib.sha256(made.kubeconfig.encode()).hexdigest(),
        "probe": probe(made, addresses),
        "name": made.target.host,
        "addresses": list(addresses),
        "dns_policy": dns_policy,
        "shown": shown(made, addresses),
        "notes": [*notes(made, now), *_dns_notes(dns_policy)],
    }


def found(text: str, path: str, aliases: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """From the file on a master, for status; aliases: names by address. Raises SettingsError."""
    made = installed(text, path)
    addresses = [address for address, names in aliases.items() if made.target.host in names]
    return {"probe": probe(made, addresses), "shown": shown(made, addresses)}


def probe(webhook: Webhook, addresses: Sequence[str]) -> dict[str, Any]:
    """The parameters of the module webhook_probe."""
    target = webhook.target
    return {
        "host": target.host,
        "port": target.port,
        "path": target.path,
        "tls": target.encrypted,
        "addresses": list(addresses),
        "ca": webhook.authority,
        "certificate": webhook.certificate,
        "key": webhook.key,
        "token": webhook.token,
        "server_name": webhook.server_name,
        "insecure": webhook.insecure,
        "counted_as": list(counted_as(webhook)),
    }


def shown(webhook: Webhook, addresses: Sequence[str]) -> str:
    """Where events go, in one line without secrets."""
    at = f" at {', '.join(addresses)}" if addresses else ""
    who = f", as {webhook.client}" if webhook.client else ", with a token" if webhook.token else ""
    return f"{webhook.target.url}{at}{who}"


def service_addresses(service: str, webhook: Webhook, answer: Plain) -> tuple[str, ...]:
    """The cluster's own addresses of a Service, to be pinned; raises SettingsError."""
    namespace, slash, name = service.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise refusal("service", f"{service!r} is no namespace and name", "write one like kaudit/kaudit-receiver")
    if webhook.addresses or webhook.target.is_address:
        raise refusal("service", "the receiver's address is set too", "leave one of them")
    told = answer.get("json") if answer.get("status") == 200 else None
    if not isinstance(told, dict):
        said = "there is none" if answer.get("status") == 404 else answer.get("msg") or f"status {answer.get('status')}"
        raise refusal("service", f"{service} can't be read from the API server ({said})", "create it first")
    spec = told.get("spec") or {}
    addresses = [address for address in spec.get("clusterIPs") or [spec.get("clusterIP")] if _is_address(address)]
    if not addresses:
        kind = spec.get("type") if spec.get("type") == "ExternalName" else "headless"
        raise refusal("service", f"{service} has no clusterIP ({kind})", "give it one, which API servers can reach")
    ports = [port.get("port") for port in spec.get("ports") or []]
    if webhook.target.port not in ports:
        listed = ", ".join(str(port) for port in ports) or "none"
        raise refusal("service", f"{service} has no port {webhook.target.port} (it has {listed})", "correct the URL")
    return tuple(addresses)


def _is_address(value: Any) -> bool:
    try:
        ip_address(str(value))
    except ValueError:
        return False
    return True


def _dns_policy(given: Plain, addresses: Sequence[str]) -> str:
    value = str(given.get("dns_policy") or "")
    if value not in ("", "ClusterFirstWithHostNet", "ClusterFirst", "Default"):
        raise refusal(
            "dns_policy", f"{value!r} is no policy for a static pod", "write ClusterFirstWithHostNet, or nothing"
        )
    if value and addresses:
        raise refusal("dns_policy", "the receiver's name is pinned to an address too", "leave one of them")
    return value


def _dns_notes(dns_policy: str) -> list[str]:
    """P20: kubeadm and OpenShift tried it and took it back."""
    if dns_policy != "ClusterFirstWithHostNet":
        return []
    return [
        "apiserver_audit_webhook_dns_policy: the API server would resolve names with the cluster's DNS, which needs the"
        " API server; kubeadm and OpenShift took that back twice. Pin the address instead"
    ]
