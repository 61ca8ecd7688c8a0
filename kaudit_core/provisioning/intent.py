"""What is wanted of an API server: flags, mounts and annotations, in the same words for every way to start one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

HOST_PATH_TYPES: Final = ("DirectoryOrCreate", "Directory", "FileOrCreate", "File")
_FLAG_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VOLUME_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ANNOTATION: Final = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


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
    """

    flags: Mapping[str, str | None] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    absent_mounts: tuple[str, ...] = ()

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

    def _check_mounts(self) -> None:
        names = [mount.name for mount in self.mounts]
        paths = [mount.container_path.rstrip("/") for mount in self.mounts]
        if len(set(names)) < len(names) or len(set(paths)) < len(paths):
            raise ValueError("two mounts share a name or a container path")
        if both := set(names).intersection(self.absent_mounts):
            raise ValueError(f"mount {min(both)} is both wanted and to be removed")

    def as_json(self) -> dict[str, Any]:
        """For a deployment's record."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AuditIntent:
        """Read what as_json wrote; raises ValueError, TypeError or KeyError for anything else."""
        mounts = tuple(Mount(**mount) for mount in value["mounts"])
        return cls(dict(value["flags"]), mounts, dict(value["annotations"]), tuple(value["absent_mounts"]))

    def after(self, previous: AuditIntent) -> AuditIntent:
        """This intent, which also takes away what `previous` brought and this one no longer names."""
        names = {mount.name for mount in self.mounts}
        gone = [mount.name for mount in previous.mounts if mount.name not in names]
        return AuditIntent(
            {**{name: None for name in previous.flags if name not in self.flags}, **self.flags},
            self.mounts,
            {**{name: None for name in previous.annotations if name not in self.annotations}, **self.annotations},
            tuple(dict.fromkeys([*self.absent_mounts, *gone])),
        )
