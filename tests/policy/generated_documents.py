"""Policy files made from a seed: valid, nearly valid and odd, as YAML in several styles and as JSON.

A mapping is a list of pairs here, so that a key can come twice, in any letter case, with anything as its value.
"""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

USERS = ("alice", "system:node:n1", "system:", "x y", "*", "", "yes", "1", "é", "a?b", "#a", "a#b", "-", "null", "~")
NAMES = ("pods", "pods/log", "*", "*/status", "secrets", "", "/healthz*", "/", "*", "/a*b", "kube-system", "12:30:45")
GROUPS = ("", "apps", "*", "Apps", "apps/v1", "a.b", "a..b", "core", "-a", "a" * 254)
LEVELS = ("None", "Metadata", "Request", "RequestResponse", "Metadata", "Metadata", "metadata", "", "Body")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic", "requestreceived")
URLS = ("/healthz*", "*", "/version", "/", "", "a", "/a**", "/a*b", "/metrics")
PLAIN_ODDITIES = (
    "yes",
    "no",
    "on",
    "y",
    "null",
    "~",
    "1",
    "0x1F",
    "1e3",
    "1_000",
    "0o17",
    "017",
    "08",
    ".5",
    "1.",
    ".inf",
    ".nan",
    "12:30:45",
    "2020-01-01",
    "=",
    "<<",
    "true",
    "!!str 1",
    "!!int 3",
    "!!binary YQ==",
    "! 1",
    "!x a",
    "!!float 1",
    "!!bool yes",
    "!!null ''",
    "{}",
    "[]",
    "{a: b}",
    "[1, a]",
    "''",
    '""',
    "*a",
    "&b c",
    "? x",
    "{1: a, true: b}",
    "{null: a}",
    "{.5: 1}",
    "{a: 1, a: 2}",
    "{a: {b: {c: [[]]}}}",
    '"\\x41"',
    "|-\n      a",
    ">\n      a",
    "@a",
    "a: b",
    "a:b",
    "-1",
    "- a",
    "18446744073709551616",
)
JSON_ODDITIES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    1e3,
    "",
    "a",
    [],
    {},
    [None],
    [[]],
    {"a": 1},
    10**30,
    "2026-01-31T12:00:00Z",
    ["a", 1],
)
SAFE = {"audit.k8s.io/v1", "system:node:n1", "pods/log", "/version", "apps/v1", "a#b", "12:30:45", "x y", "a?b"}
METADATA: tuple[Any, ...] = (
    [("name", "x")],
    [("labels", [("a", "b")])],
    [("labels", [("a", 1)])],
    [("annotations", [])],
    [("generation", 1)],
    [("name", 1)],
    [("creationTimestamp", "2026-01-31T12:00:00Z")],
    [("creationTimestamp", "x")],
    [("creationTimestamp", None)],
    [("finalizers", ["a"])],
    [("finalizers", "a")],
    [("ownerReferences", [[("kind", "a"), ("controller", True)]])],
    [("ownerReferences", [[("uid", 1)]])],
    [("managedFields", [[("fieldsV1", [("a", 1)]), ("time", "2026-01-31T12:00:00+01:00")]])],
    [("generation", 1.5)],
    [("foo", 1)],
    [("deletionGracePeriodSeconds", 1e3)],
    [("deletionTimestamp", "2026-02-30T12:00:00Z")],
    [("generation", None)],
    [("generation", 1e3)],
    [("generation", 2**63)],
    [("managedFields", [[("fieldsV1", "a"), ("manager", 1)]])],
    [("labels", None)],
    [("labels", [("a", None)])],
)
SLIPS = {
    "users": ("user", "Users", "USERS", "userss"),
    "verbs": ("verb", "Verbs"),
    "userGroups": ("usergroups", "groups"),
    "omitStages": ("stages", "omitstages"),
    "level": ("Level", "lvl", "level "),
    "rules": ("Rules", "rule"),
    "apiVersion": ("apiversion", "APIVERSION", "ApiVersion", "version"),
    "kind": ("Kind", "KIND", "kınd", "\u212aind"),
    "group": ("Group", "apiGroup"),
    "resourceNames": ("resourcenames", "names"),
}


class Odd(str):
    """Text that goes into YAML as it stands."""


def several(rng: Random, pool: tuple[str, ...]) -> list[Any]:
    return [rng.choice(pool) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]


def group_resources(rng: Random) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [("group", rng.choice(GROUPS[:2] if rng.random() < 0.9 else GROUPS))]
    if rng.random() < 0.8:
        pairs.append(("resources", several(rng, NAMES) or ["pods"]))
    if rng.random() < 0.2:
        pairs.append(("resourceNames", several(rng, USERS)))
    return pairs


def rule(rng: Random) -> list[tuple[str, Any]]:
    level = rng.choice(LEVELS[:6]) if rng.random() < 0.97 else rng.choice(LEVELS)
    pairs: list[tuple[str, Any]] = [("level", level)]
    for name, pool in (("users", USERS), ("userGroups", USERS), ("verbs", NAMES), ("namespaces", NAMES)):
        if rng.random() < 0.2:
            pairs.append((name, several(rng, pool)))
    if rng.random() < 0.3:
        pairs.append(("resources", [group_resources(rng) for _ in range(rng.randrange(1, 3))]))
    elif rng.random() < 0.2:
        pairs.append(("nonResourceURLs", several(rng, URLS[:3] if rng.random() < 0.95 else URLS)))
    if rng.random() < 0.15:
        pairs.append(("omitStages", several(rng, STAGES[:4] if rng.random() < 0.9 else STAGES)))
    if rng.random() < 0.1:
        pairs.append(("omitManagedFields", rng.choice((True, False, None))))
    rng.shuffle(pairs)
    return pairs


def policy(rng: Random) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [("apiVersion", "audit.k8s.io/v1"), ("kind", "Policy")]
    pairs.append(("rules", [rule(rng) for _ in range(rng.choice((1, 1, 2, 3, 5)))]))
    if rng.random() < 0.2:
        pairs.append(("omitStages", several(rng, STAGES[:4])))
    if rng.random() < 0.1:
        pairs.append(("omitManagedFields", rng.choice((True, False))))
    if rng.random() < 0.25:
        pairs.append(("metadata", deepcopy(rng.choice(METADATA))))
    if rng.random() < 0.2:
        rng.shuffle(pairs)
    return pairs


def is_mapping(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], tuple)


def parts(value: Any) -> list[list[Any]]:
    """Every list and mapping in a value."""
    if not isinstance(value, list):
        return []
    children = [item[1] if isinstance(item, tuple) else item for item in value]
    return [value, *(part for child in children for part in parts(child))]


def disturb(rng: Random, value: list[Any], as_json: bool) -> None:
    """Change one place: wrong type, other letter case, unknown, repeated, dropped, null."""
    part = rng.choice([part for part in parts(value) if part] or [value])
    at = rng.randrange(len(part)) if part else 0
    odd = deepcopy(rng.choice(JSON_ODDITIES)) if as_json else Odd(rng.choice(PLAIN_ODDITIES))
    if not is_mapping(part):
        part.insert(at, odd)
        return
    key, item = part[at]
    change = rng.randrange(6)
    if change == 0:
        part[at] = (key, odd)
    elif change == 1:
        part[at] = (rng.choice(SLIPS.get(key, (key + "s", key.upper()))), item)
    elif change == 2:
        part.insert(rng.randrange(len(part) + 1), (rng.choice(("foo", "verb", "level", "x y", "rules", "kind")), odd))
    elif change == 3:
        part.insert(rng.randrange(len(part) + 1), (key, deepcopy(rng.choice((odd, item, rng.choice(part)[1])))))
    elif change == 4:
        part.pop(at)
    else:
        part[at] = (key, None)


def json_text(value: Any, rng: Random) -> str:
    gap = rng.choice(("", " ", "\n", "\r\n  ", "\t"))
    if is_mapping(value):
        return "{" + f",{gap}".join(f"{json.dumps(key)}{gap}:{gap}{json_text(item, rng)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + f",{gap}".join(json_text(item, rng) for item in value) + gap + "]"
    return json.dumps(value, ensure_ascii=rng.random() < 0.5)


def scalar_text(value: Any, rng: Random) -> str:
    if isinstance(value, Odd):
        return str(value)
    if value is None:
        return rng.choice(("null", "~", ""))
    if not isinstance(value, str):
        return json.dumps(value)
    style = rng.random()
    if style < 0.3:
        return json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if style < 0.5 or (style < 0.97 and value not in SAFE and not value.replace("-", "").isalnum()):
        return "'" + value.replace("'", "''") + "'"
    return value


def flow_text(value: Any, rng: Random) -> str:
    gap = rng.choice((" ", " ", "", "\n      "))
    if is_mapping(value):
        return "{" + f",{gap}".join(f"{scalar_text(key, rng)}: {flow_text(item, rng)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + f",{gap}".join(flow_text(item, rng) for item in value) + "]"
    return scalar_text(value, rng)


def block_text(value: Any, rng: Random, indent: int) -> str:
    """A value after a key or dash: with its own line break and indent where it is a collection."""
    if not isinstance(value, list) or not value or rng.random() < 0.15:
        return " " + flow_text(value, rng)
    anchor = rng.choice((" &a", " &b", "", "", "", "", "", "", ""))
    pad = "\n" + " " * indent
    if not is_mapping(value):
        return anchor + "".join(f"{pad}-{block_text(item, rng, indent + 2)}" for item in value)
    lines = []
    for key, item in value:
        comment = rng.choice(("", "", "", "", " # why", "\n# why")) if isinstance(item, str) and item else ""
        inner = block_text(item, rng, indent + (2 if is_mapping(item) else rng.choice((0, 2))))
        lines.append(f"{pad}{scalar_text(key, rng)}:{inner}{comment}")
        if rng.random() < 0.03:
            lines.append(pad + rng.choice(("<<: *a", "<<: [*a, *b]", "<<: {users: [z]}", "<<: x", "*a : b", "'<<': a")))
    return anchor + "".join(lines)


def yaml_text(value: Any, rng: Random) -> str:
    text = block_text(value, rng, 0).lstrip("\n") + "\n"
    head = rng.choice(
        (
            "",
            "",
            "",
            "",
            "",
            "---\n",
            "# a policy\n",
            "%YAML 1.1\n---\n",
            "\ufeff",
            "--- \n",
            "\n\n",
            "%YAML 1.2\n---\n",
        )
    )
    tail = rng.choice(
        (
            "",
            "",
            "",
            "",
            "",
            "",
            "---\n",
            "...\n",
            "---\nkind: x\n",
            "...\n---\n{",
            "---\n# end\n",
            "--- ~\n",
            "---\n''\n",
            "...\nx: y\n",
        )
    )
    text = head + text + tail
    return text.replace("\n", rng.choice(("\n", "\n", "\n", "\n", "\n", "\r\n", "\r")))


def disturb_bytes(rng: Random, data: bytes) -> bytes:
    """Drop, repeat or insert a few bytes."""
    at = rng.randrange(len(data) + 1)
    piece = rng.choice(
        (
            b"",
            b"",
            b" ",
            b"\t",
            b"\n",
            b"  ",
            b":",
            b"- ",
            b"\xff",
            b"\x00",
            b"?",
            b"#",
            b"'",
            b"{",
            b"]",
            b",",
            b"\xef\xbb\xbf",
        )
    )
    return data[:at] + piece + data[at + rng.choice((0, 0, 1, 3)) :]


def document(seed: int) -> bytes:
    """One policy file for one seed."""
    rng = Random(seed)
    as_json = rng.random() < 0.3
    value = policy(rng)
    for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 1, 2))):
        disturb(rng, value, as_json)
    data = (json_text(value, rng) if as_json else yaml_text(value, rng)).encode()
    for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 2))):
        data = disturb_bytes(rng, data)
    return data
