"""The variables of the role audit_receiver, checked before any host is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from posixpath import normpath
from typing import Any, Final, NoReturn

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABELS: Final = re.compile(r"(?=.{1,63}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SHARED: Final = frozenset(
    [
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root"),
        *("/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/local", "/var", "/var/lib", "/var/log", "/var/tmp"),
    ]
)
"""The spool's directory belongs to the receiver, and is removed with the events if that is asked for."""


@dataclass(frozen=True)
class ReceiverSettings:
    """Where receivers run and under which name; hosts: of each receiver its addresses."""

    directory: str
    name: str
    names: tuple[str, ...]
    port: int
    hosts: Mapping[str, Sequence[str]]
    api_servers: tuple[str, ...]
    certificate_days: int
    authority_days: int
    renew_before_days: int

    def url(self, api_server: str) -> str:
        """Where an API server posts to."""
        return f"https://{self.name}:{self.port}/reportAuditEvent/{api_server}"


def refuse(variable: str, problem: str, advice: str) -> NoReturn:
    """One line: the variable, what is wrong with it, what to do."""
    raise ValueError(f"audit_receiver_{variable}: {problem}; {advice}")


def receiver_settings(given: Mapping[str, Any], hosts: Mapping[str, str]) -> ReceiverSettings:
    """Read the role's variables, without their prefix; hosts: address of each receiver. Raises ValueError."""
    in_cluster = given["placement"] == "cluster"
    _check_words(given)
    name = str(given["name"])
    if not _LABELS.fullmatch(name):
        refuse("name", f"{name!r} is no DNS name", "write one like kaudit-receiver")
    made = ReceiverSettings(
        directory=str(given["directory"]).rstrip("/"),
        name=name,
        names=(name, *_service_names(given)) if in_cluster else (name,),
        port=_number(given, "port", 1, 65535),
        hosts={"cluster": (_cluster_ip(given),)} if in_cluster else {host: (each,) for host, each in hosts.items()},
        api_servers=_api_servers(given),
        certificate_days=_number(given, "certificate_days", 1, 3650),
        authority_days=_number(given, "authority_days", 1, 36500),
        renew_before_days=_number(given, "renew_before_days", 0, 3650),
    )
    if made.renew_before_days >= made.certificate_days:
        refuse("renew_before_days", f"{made.renew_before_days} is not less than certificate_days", "lower it")
    if made.authority_days <= made.renew_before_days + made.certificate_days:
        refuse("authority_days", f"{made.authority_days} is too short for certificates under it", "raise it")
    return made


def is_removed(given: Mapping[str, Any]) -> bool:
    """Whether the receiver is to be removed; what that needs is checked here. Raises ValueError."""
    _choice(given, "placement", ("host", "cluster"))
    _check_spool(str(given["spool"]))
    if _choice(given, "state", ("present", "absent")) == "present":
        return False
    _service_names(given)
    return True


def _service_names(given: Mapping[str, Any]) -> tuple[str, ...]:
    namespace = str(given["namespace"])
    if not _LABEL.fullmatch(namespace):
        refuse("namespace", f"{namespace!r} is no namespace", "write one like kaudit")
    if namespace == "default" or namespace.startswith("kube-"):
        refuse("namespace", f"{namespace} holds other things too", "give the receivers one of their own like kaudit")
    return f"kaudit-receiver.{namespace}.svc", f"kaudit-receiver.{namespace}.svc.cluster.local"


def _cluster_ip(given: Mapping[str, Any]) -> str:
    if not given["image"]:
        refuse("image", "not set", "name one that holds kaudit[receive]")
    _number(given, "replicas", 1, 100)
    try:
        return str(ip_address(str(given["cluster_ip"])))
    except ValueError:
        refuse(
            "cluster_ip",
            f"{given['cluster_ip']!r} is no IP address",
            "choose a free one in the cluster's service range: API servers can't resolve names of services",
        )


def _check_spool(spool: str) -> None:
    if not spool.startswith("/") or normpath(spool) != spool or spool[1:2] == "/" or re.search(r"[\s%$\"'\\:]", spool):
        refuse("spool", f"{spool!r} is no plain absolute path", "write one like /var/lib/kaudit-receiver")
    if spool in _SHARED:
        refuse("spool", f"{spool} holds other things too", f"give it one of its own like {spool.rstrip('/')}/receiver")


def _check_words(given: Mapping[str, Any]) -> None:
    if not isinstance(given["options"], list) or not all(isinstance(one, str) for one in given["options"]):
        refuse("options", "no list of texts", "write [--keep-time, 30d, --delete-untaken]")
    for option in given["options"]:
        if not option or re.search(r"[\s%$\"'\\;]", option):
            refuse("options", f"{option!r} has blanks or signs that systemd reads", "write one word an item")
    for network in given["allow_from"]:
        try:
            ip_network(str(network))
        except ValueError:
            refuse("allow_from", f"{network!r} is no address and no network", "write 10.0.0.11 or 10.0.0.0/24")


def _api_servers(given: Mapping[str, Any]) -> tuple[str, ...]:
    names = given["api_servers"]
    if not isinstance(names, list) or not names:
        refuse("api_servers", "names no API server", "list them, or let the inventory have the group masters")
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            refuse("api_servers", f"{name!r} can't be a name", "use up to 63 letters, digits, dots and hyphens")
    return tuple(dict.fromkeys(names))


def _choice(given: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    if given[name] not in choices:
        refuse(name, f"{given[name]!r} is not known", f"write {' or '.join(choices)}")
    return str(given[name])


def _number(given: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = given[name]
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        refuse(name, f"{given[name]!r} is no whole number from {least} to {most}", "correct it")
    return value
