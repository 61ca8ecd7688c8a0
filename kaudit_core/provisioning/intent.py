"""What is wanted of an API server: flags, mounts and more, in the same words for every way to start one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

HOST_PATH_TYPES: Final = ("DirectoryOrCreate", "Directory", "FileOrCreate", "File")
DNS_POLICIES: Final = ("ClusterFirst", "ClusterFirstWithHostNet", "Default")
_FLAG_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VOLUME_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ANNOTATION: Final = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_ENV_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Mount:
    """One path of the host in the API server's container.

    name: of the volume; read_only: of the mount; type: of the hostPath volume.
    """

    name: str
    host_path: str
    container_path: str
    read_only: bool = True
    type: str = "DirectoryOrCreate"

    def __post_init__(self) -> None:
        """Refuse what the API server or the kubelet would refuse."""
        if not _VOLUME_NAME.fullmatch(self.name):
            raise ValueError(f"mount name {self.name!r} is no DNS label")
        for path in (self.host_path, self.container_path):
            if not path.startswith("/") or ".." in path.split("/") or ":" in path or not path.isprintable():
                raise ValueError(f"mount {self.name}: path {path!r} must be absolute, printable, without '..' and ':'")
        if self.type not in HOST_PATH_TYPES:
            raise ValueError(f"mount {self.name}: type {self.type!r} is none of {', '.join(HOST_PATH_TYPES)}")


@dataclass(frozen=True)
class AuditIntent:
    """What an edit brings about; what it doesn't name stays as it is.

    flags: without the leading dashes, in the order they are added; None removes the flag.
    mounts: a volume and a volumeMount each; absent_mounts: names of mounts to remove.
    annotations: of the pod; None removes the annotation.
    env: of the container; None removes the entry.
    host_aliases: address to the names that the pod's /etc/hosts is to give it, in the order in which addresses of one
        name are tried; absent_host_aliases: those to take away.
    dns_policy: of the pod; None removes it, "" leaves it as it is.
    """

    flags: Mapping[str, str | None] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    absent_mounts: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    host_aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent_host_aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dns_policy: str | None = ""

    def __post_init__(self) -> None:
        """Refuse names and values that no manifest can carry."""
        for name, value in self.flags.items():
            if not _FLAG_NAME.fullmatch(name):
                raise ValueError(f"flag name {name!r}: write it without dashes before it, for example audit-log-path")
            # The kubelet expands $(NAME) in command and args.
            if value is not None and (not value.isprintable() or "$(" in value):
                raise ValueError(f"flag {name}: value {value!r} must be printable and without '$('")
        for name, value in self.annotations.items():
            if not _ANNOTATION.fullmatch(name):
                raise ValueError(f"annotation {name!r} is no qualified name")
            if value is not None and not value.isprintable():
                raise ValueError(f"annotation {name}: value must be printable")
        self._check_mounts()
        self._check_env()
        self._check_names()

    def _check_mounts(self) -> None:
        names = [mount.name for mount in self.mounts]
        paths = [mount.container_path.rstrip("/") for mount in self.mounts]
        if len(set(names)) < len(names) or len(set(paths)) < len(paths):
            raise ValueError("two mounts share a name or a container path")
        if both := set(names).intersection(self.absent_mounts):
            raise ValueError(f"mount {min(both)} is both wanted and to be removed")

    def _check_env(self) -> None:
        for name, value in self.env.items():
            if not _ENV_NAME.fullmatch(name):
                raise ValueError(f"env name {name!r}: write letters, digits, '.', '_' and '-', no digit first")
            if value is not None and (not value.isprintable() or "$(" in value):
                raise ValueError(f"env {name}: value {value!r} must be printable and without '$('")

    def _check_names(self) -> None:
        for address, names in self.host_aliases.items():
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ValueError(f"host alias {address!r} is no IP address") from None
            if not names:
                raise ValueError(f"host alias {address} has no host name")
            for name in names:
                if not _HOST_NAME.fullmatch(name):
                    raise ValueError(f"host alias {address}: {name!r} is no host name; write it in lower case")
        if self.dns_policy and self.dns_policy not in DNS_POLICIES:
            raise ValueError(f"DNS policy {self.dns_policy!r} is none of {', '.join(DNS_POLICIES)}")

    @property
    def pinned(self) -> str:
        """The addresses that names are pinned to, in words."""
        return ", ".join(self.host_aliases) or "none"

    def as_json(self) -> dict[str, Any]:
        """For a deployment's record."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AuditIntent:
        """Read what as_json wrote, or an earlier version, which knew neither env nor names.

        Raises ValueError, TypeError or KeyError for anything else.
        """
        return cls(
            dict(value["flags"]),
            tuple(Mount(**mount) for mount in value["mounts"]),
            dict(value["annotations"]),
            tuple(value["absent_mounts"]),
            dict(value.get("env", {})),
            _aliases(value.get("host_aliases", {})),
            _aliases(value.get("absent_host_aliases", {})),
            value.get("dns_policy", ""),
        )

    def after(self, previous: AuditIntent) -> AuditIntent:
        """This intent, which also takes away what `previous` brought and this one no longer names."""
        names = {mount.name for mount in self.mounts}
        gone = [mount.name for mount in previous.mounts if mount.name not in names]
        return AuditIntent(
            _with_absent(previous.flags, self.flags),
            self.mounts,
            _with_absent(previous.annotations, self.annotations),
            tuple(dict.fromkeys([*self.absent_mounts, *gone])),
            _with_absent(previous.env, self.env),
            self.host_aliases,
            {**self._aliases_not_in(previous.host_aliases), **self.absent_host_aliases},
            None if previous.dns_policy and self.dns_policy == "" else self.dns_policy,
        )

    def _aliases_not_in(self, earlier: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Those of earlier aliases that this intent doesn't want."""
        left = {
            address: tuple(name for name in names if name not in self.host_aliases.get(address, ()))
            for address, names in earlier.items()
        }
        return {address: names for address, names in left.items() if names}


def _aliases(value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {address: tuple(names) for address, names in value.items()}


def _with_absent(previous: Mapping[str, str | None], wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    return {**{name: None for name in previous if name not in wanted}, **wanted}
