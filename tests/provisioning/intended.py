"""What an edit should mean, worked out once more on plain values: the reference for the splices."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from kaudit_core.provisioning.intent import AuditIntent, Mount


def load(text: str) -> Any:
    """A text as PyYAML understands it."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def pod(before: Any, intent: AuditIntent) -> Any:
    """The pod after an apply, for pods whose first or only container is the server and whose flags are --name=value."""
    made = copy.deepcopy(before)
    container = made["spec"]["containers"][0]
    for name, value in intent.flags.items():
        uses = [word for key in ("command", "args") for word in container.get(key) or [] if is_use(word, name)]
        last = f"--{name}={value}"
        for key in ("command", "args"):
            words = container.get(key) or []
            kept = [word for word in words if not is_use(word, name) or (value is not None and word is uses[-1])]
            if len(kept) < len(words):
                container[key] = kept
            if uses and value is not None:
                container[key] = [last if is_use(word, name) else word for word in container.get(key) or []]
                if not container[key]:
                    del container[key]
        if not uses and value is not None:
            container["args" if container.get("args") else "command"].append(last)
    for mount in intent.mounts:
        put(made["spec"], "volumes", volume(mount))
        put(container, "volumeMounts", volume_mount(mount))
    for name, value in intent.env.items():
        put(container, "env", {"name": name, "value": value})
    for address, names in intent.host_aliases.items():
        put_alias(made["spec"], address, names)
    if intent.dns_policy:
        made["spec"]["dnsPolicy"] = intent.dns_policy
    for name, value in intent.annotations.items():
        made["metadata"]["annotations"] = {**(made["metadata"].get("annotations") or {}), name: value}
    return made


def is_use(word: str, name: str) -> bool:
    """Whether an element is this flag in the form --name=value."""
    return word.startswith(f"--{name}=")


def put(owner: dict[str, Any], key: str, item: dict[str, Any]) -> None:
    """Replace the item of this name, or append it."""
    items = list(owner.get(key) or [])
    names = [found["name"] for found in items]
    if item["name"] in names:
        items[names.index(item["name"])] = item
    else:
        items.append(item)
    owner[key] = items


def put_alias(spec: dict[str, Any], address: str, names: tuple[str, ...]) -> None:
    """Give an address names behind those that it has."""
    aliases = [dict(item) for item in spec.get("hostAliases") or []]
    found = next((item for item in aliases if item["ip"] == address), None)
    if found is None:
        found = {"ip": address, "hostnames": []}
        aliases.append(found)
    found["hostnames"] = [*found["hostnames"], *(name for name in names if name not in found["hostnames"])]
    spec["hostAliases"] = aliases


def volume(mount: Mount) -> dict[str, Any]:
    """The volume of a mount."""
    return {"name": mount.name, "hostPath": {"path": mount.host_path, "type": mount.type}}


def volume_mount(mount: Mount) -> dict[str, Any]:
    """The volumeMount of a mount."""
    made: dict[str, Any] = {"name": mount.name, "mountPath": mount.container_path}
    return {**made, "readOnly": True} if mount.read_only else made


def configuration(before: Any, intent: AuditIntent) -> Any:
    """The ClusterConfiguration after an apply to one that has none of it."""
    made = copy.deepcopy(before)
    server = made["apiServer"] = dict(made.get("apiServer") or {})
    if intent.flags and made["apiVersion"].endswith("v1beta4"):
        added = [{"name": name, "value": value} for name, value in intent.flags.items()]
        server["extraArgs"] = [*(server.get("extraArgs") or []), *added]
    elif intent.flags:
        server["extraArgs"] = {**(server.get("extraArgs") or {}), **intent.flags}
    for mount in intent.mounts:
        item = {"name": mount.name, "hostPath": mount.host_path, "mountPath": mount.container_path}
        put(server, "extraVolumes", {**item, "pathType": mount.type} | ({"readOnly": True} if mount.read_only else {}))
    if not server and not before.get("apiServer"):
        return copy.deepcopy(before)
    return made
