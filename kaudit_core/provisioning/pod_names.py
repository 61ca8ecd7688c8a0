"""Names in a static pod: entries of the container's environment, and how the pod finds other hosts."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from kaudit_core.provisioning.pod import items
from kaudit_core.provisioning.yaml_editor import Editor
from kaudit_core.provisioning.yaml_source import Path

ALIASES: Final[Path] = ("spec", "hostAliases")
DNS_POLICY: Final[Path] = ("spec", "dnsPolicy")


def env_of(editor: Editor, container: Path) -> dict[str, str]:
    """The container's variables that have a value of their own; the last of several counts."""
    found = items(editor, (*container, "env"))
    return {str(item.get("name", "")): str(item.get("value") or "") for item in found if "valueFrom" not in item}


def put_env(editor: Editor, container: Path, wanted: dict[str, str]) -> None:
    """Have exactly these variables besides the others; one that is there gets another value in its place."""
    path = (*container, "env")
    new = []
    for name, value in wanted.items():
        at = _find_env(editor, path, name)
        if at is None:
            new.append({"name": name, "value": value})
            continue
        item = editor.get(at)
        if "valueFrom" in item:
            raise editor.refusal(at, f"variable {name} has its value from elsewhere", "remove it, or use another name")
        if "value" not in item:
            editor.add(at, {"value": value})
        elif item["value"] != value:
            editor.replace((*at, "value"), value)
    if new:
        editor.add(path, new)


def drop_env(editor: Editor, container: Path, name: str) -> None:
    """Take a variable away."""
    at = _find_env(editor, (*container, "env"), name)
    if at is not None:
        editor.remove(at)


def _find_env(editor: Editor, path: Path, name: str) -> Path | None:
    found = [index for index, item in enumerate(items(editor, path)) if item.get("name") == name]
    if len(found) > 1:
        raise editor.refusal((*path, found[1]), f"variable {name} is there twice", "leave one of them")
    return (*path, found[0]) if found else None


def aliases_of(editor: Editor) -> dict[str, tuple[str, ...]]:
    """Address to names, as the pod's /etc/hosts gets them."""
    made: dict[str, tuple[str, ...]] = {}
    for index, item in enumerate(items(editor, ALIASES)):
        address = str(item.get("ip", ""))
        made[address] = (*made.get(address, ()), *_names(editor, (*ALIASES, index)))
    return made


def put_aliases(editor: Editor, wanted: Mapping[str, tuple[str, ...]]) -> None:
    """Give addresses these names too, behind those that they have; a name may have several addresses."""
    for index, item in enumerate(items(editor, ALIASES)):
        for name in _names(editor, (*ALIASES, index)):
            ours = [address for address, names in wanted.items() if name in names]
            if ours and not any(_same(item.get("ip"), address) for address in ours):
                problem = f"{name} is a name of {item.get('ip')} here, not of {', '.join(ours)}"
                raise editor.refusal((*ALIASES, index), problem, "remove the name from this alias")
    for address, names in wanted.items():
        _put_alias(editor, address, names)


def _put_alias(editor: Editor, address: str, names: tuple[str, ...]) -> None:
    at = _find_alias(editor, address)
    if at is None:
        editor.add(ALIASES, [{"hostnames": list(names), "ip": address}])
        return
    there = _names(editor, at)
    if not there:
        raise editor.refusal(at, f"the alias of {address} has no names", "remove it")
    if new := [name for name in names if name not in there]:
        editor.add((*at, "hostnames"), new)


def drop_aliases(editor: Editor, address: str, names: tuple[str, ...]) -> None:
    """Take these names of an address away, and the alias with the last of them."""
    at = _find_alias(editor, address)
    if at is None:
        return
    there = _names(editor, at)
    if there and set(there) <= set(names):
        editor.remove(at)
        return
    for index in reversed(range(len(there))):
        if there[index] in names:
            editor.remove((*at, "hostnames", index))


def _find_alias(editor: Editor, address: str) -> Path | None:
    found = [index for index, item in enumerate(items(editor, ALIASES)) if _same(item.get("ip"), address)]
    if len(found) > 1:
        raise editor.refusal((*ALIASES, found[1]), f"{address} is there twice", "make one alias of them")
    return (*ALIASES, found[0]) if found else None


def _names(editor: Editor, at: Path) -> list[str]:
    names = editor.get((*at, "hostnames"))
    if not isinstance(names, list | None) or not all(isinstance(name, str) for name in names or []):
        raise editor.refusal((*at, "hostnames"), "this is no list of names", "repair the manifest first")
    return names or []


def _same(found: Any, address: str) -> bool:
    """Whether two texts are one address: ::1 is 0:0::1."""
    try:
        return ip_address(str(found)) == ip_address(address)
    except ValueError:
        return str(found) == address


def dns_policy_of(editor: Editor) -> str:
    """The pod's DNS policy, "" where it says nothing."""
    return str(editor.get(DNS_POLICY) or "")


def put_dns_policy(editor: Editor, wanted: str) -> None:
    """Have this DNS policy."""
    found = editor.get(("spec",))
    if "dnsPolicy" not in found:
        editor.add(("spec",), {"dnsPolicy": wanted})
    elif found["dnsPolicy"] != wanted:
        editor.replace(DNS_POLICY, wanted)


def drop_dns_policy(editor: Editor) -> None:
    """Leave the DNS policy to Kubernetes."""
    if "dnsPolicy" in editor.get(("spec",)):
        editor.remove(DNS_POLICY)
