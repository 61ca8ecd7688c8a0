"""What a static pod's manifest says about auditing, in plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kaudit_core.provisioning.flags import audit_flags, effective
from kaudit_core.provisioning.mounts import MountView
from kaudit_core.provisioning.pod import VOLUMES, annotations_of, arguments_of, container_path, items
from kaudit_core.provisioning.pod_names import aliases_of, dns_policy_of, env_of
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path

_VERSION: Final = re.compile(r":v?(\d+\.\d+\.\d+)[^:/@]*(?:@|$)")


@dataclass(frozen=True)
class ManifestView:
    """What a manifest says about auditing.

    flags: every flag of the server, the last of several; repeated: audit flags that are there more than once.
    image_version: of the server, for example 1.35.4, "" where the image's tag doesn't tell.
    env: of the server's container; host_aliases: address to names; dns_policy: "" where the pod has none of its own.
    """

    name: str
    namespace: str
    container: str
    image: str
    image_version: str
    flags: dict[str, str] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()
    mounts: tuple[MountView, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    host_aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dns_policy: str = ""

    @property
    def audit_flags(self) -> dict[str, str]:
        """The flags that are about auditing."""
        return audit_flags(self.flags)


def view_of(editor: Editor) -> ManifestView:
    """What a manifest says."""
    container = container_path(editor)
    arguments = arguments_of(editor, container)
    names = [use.name for use in arguments.uses if use.name.startswith("audit-")]
    metadata = editor.get(("metadata",))
    image = str(editor.get((*container, "image")) or "")
    version = _VERSION.search(image)
    return ManifestView(
        name=str(metadata.get("name") or ""),
        namespace=str(metadata.get("namespace") or "default"),
        container=str(editor.get((*container, "name")) or ""),
        image=image,
        image_version=version.group(1) if version else "",
        flags=effective(arguments.uses),
        repeated=tuple(dict.fromkeys(name for name in names if names.count(name) > 1)),
        mounts=mounts_of(editor, container),
        annotations={str(key): value for key, value in annotations_of(editor).items() if isinstance(value, str)},
        env=env_of(editor, container),
        host_aliases=aliases_of(editor),
        dns_policy=dns_policy_of(editor),
    )


def mounts_of(editor: Editor, container: Path) -> tuple[MountView, ...]:
    """Every mount of a container with its volume."""
    volumes = {str(item.get("name", "")): item.get("hostPath") for item in items(editor, VOLUMES)}
    made = []
    for item in items(editor, (*container, "volumeMounts")):
        name, path = str(item.get("name", "")), str(item.get("mountPath", ""))
        found = volumes.get(name)
        host = found if isinstance(found, dict) else {}
        source = str(host.get("path", ""))
        if source and item.get("subPath"):
            source = f"{source.rstrip('/')}/{item['subPath']}"
        view = MountView(name, path, item.get("readOnly") is True, source, str(host.get("type") or ""))
        made.append(view)
    return tuple(made)
