"""Hypothesis strategies: manifests and configurations in many styles, and intents."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import yaml
from hypothesis import strategies as st

from kaudit_core.provisioning.intent import DNS_POLICIES, HOST_PATH_TYPES, AuditIntent, Mount
from tests.provisioning.manifests import FLAGS, LOG, POLICY

_PRINTABLE: Final = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cf", "Zl", "Zp"])
texts: Final = st.text(_PRINTABLE, max_size=20).filter(lambda text: text.isprintable() and "$(" not in text)
words: Final = st.sampled_from(
    ["true", "null", "007", "1e5", "0x1F", "12:30", "~", "-", "a: b", "#x", "x #y", "'", '"']
)
values: Final = texts | words
labels: Final = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
env_names: Final = st.sampled_from(["aliyun_logs_audit-c1", "aliyun_logs_audit-c1_tags", "HTTPS_PROXY", "y"])
ADDRESSES: Final = ("10.96.0.7", "192.0.2.7", "fd00::7")
OTHER_FLAGS: Final = ("audit-webhook-mode", "audit-log-mode", "audit-log-compress", "shutdown-send-retry-after")


class Indented(yaml.SafeDumper):
    """Dumps lists indented below their keys."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Never without an indentation."""
        return super().increase_indent(flow, False)


@st.composite
def intents(draw: st.DrawFn) -> AuditIntent:
    """An intent with at least something in it, of our names only."""
    flags: dict[str, str | None] = dict(draw(st.dictionaries(st.sampled_from(OTHER_FLAGS), values, max_size=3)))
    names = draw(st.lists(labels.map(lambda label: f"ours-{label}"), unique=True, max_size=2))
    mounts = [
        Mount(name, f"/host/{name}", f"/in/{name}", draw(st.booleans()), draw(st.sampled_from(HOST_PATH_TYPES)))
        for name in names
    ]
    if draw(st.booleans()):
        flags.update(FLAGS)
        mounts += [POLICY, LOG]
    keys = st.sampled_from(["kaudit.io/policy-sha256", "kaudit.io/deployed"])
    annotations = dict(draw(st.dictionaries(keys, values, max_size=2)))
    env = dict(draw(st.dictionaries(env_names, values, max_size=2)))
    aliases: dict[str, tuple[str, ...]] = {}
    for name in draw(st.lists(labels.map(lambda label: f"{label}.ours.example"), unique=True, max_size=3)):
        address = draw(st.sampled_from(ADDRESSES))
        aliases[address] = (*aliases.get(address, ()), name)
    policy = draw(st.sampled_from(["", "", *DNS_POLICIES]))
    return AuditIntent(flags, tuple(mounts), annotations, env=env, host_aliases=aliases, dns_policy=policy)


@st.composite
def pods(draw: st.DrawFn, gaps: tuple[str, ...] = ("absent", "empty", "null")) -> dict[str, Any]:
    """A pod with one kube-apiserver container and nothing of auditing; `gaps` says how its parts may be missing."""
    flags = draw(
        st.lists(st.sampled_from(["--v=2", "--secure-port=6443", "--feature-gates=A=true,B=false"]), max_size=3)
    )
    program = draw(st.sampled_from(["kube-apiserver", "/usr/local/bin/kube-apiserver"]))
    container: dict[str, Any] = {"image": "registry.k8s.io/kube-apiserver:v1.35.4"}
    if draw(st.booleans()):
        container |= {"command": [program], "args": flags}
    else:
        container["command"] = [program, *flags]
    mounts = [{"mountPath": "/etc/ssl/certs", "name": "certs", "readOnly": True}]
    _maybe(draw, container, "volumeMounts", mounts, gaps)
    container["name"] = "kube-apiserver"
    _maybe(draw, container, "env", [{"name": "NOTE", "value": draw(values)}], gaps)
    spec: dict[str, Any] = {"containers": [container]}
    volumes = [{"name": "certs", "hostPath": {"path": "/etc/ssl/certs"}}]
    _maybe(draw, spec, "volumes", volumes, gaps)
    _maybe(draw, spec, "hostAliases", [{"ip": draw(st.sampled_from(ADDRESSES)), "hostnames": ["theirs", "b"]}], gaps)
    if draw(st.booleans()):
        spec["hostNetwork"] = True
    metadata: dict[str, Any] = {"name": "kube-apiserver", "namespace": "kube-system"}
    _maybe(draw, metadata, "annotations", {"note": draw(values)}, gaps)
    parts = {"apiVersion": "v1", "kind": "Pod", "metadata": _shuffled(draw, metadata), "spec": _shuffled(draw, spec)}
    spec["containers"] = [_shuffled(draw, container)]
    return {**parts, "spec": _shuffled(draw, spec)}


def _maybe(
    draw: st.DrawFn, owner: dict[str, Any], key: str, value: Any, gaps: tuple[str, ...] = ("absent", "empty", "null")
) -> None:
    kind = draw(st.sampled_from(["full", "full", *gaps]))
    if kind != "absent":
        owner[key] = value if kind == "full" else None if kind == "null" else type(value)()


def _shuffled(draw: st.DrawFn, mapping: dict[str, Any]) -> dict[str, Any]:
    return dict(draw(st.permutations(list(mapping.items()))))


@st.composite
def written(
    draw: st.DrawFn, plain: Any, kinds: tuple[str, ...] = ("block", "block", "block", "leaves", "flow", "json")
) -> str:
    """A value as text in some style; no style makes it mean anything else."""
    kind = draw(st.sampled_from(kinds))
    if kind == "json":
        indent = draw(st.sampled_from([None, 2, 4]))
        return json.dumps(_without_nulls(plain), indent=indent, ensure_ascii=False) + draw(st.sampled_from(["", "\n"]))
    text: str = yaml.dump(
        plain if kind == "block" else _without_nulls(plain),
        Dumper=draw(st.sampled_from([yaml.SafeDumper, Indented])),
        default_flow_style={"block": False, "leaves": None, "flow": True}[kind],
        default_style=draw(st.sampled_from([None, None, "'", '"'])) if kind == "block" else None,
        indent=draw(st.sampled_from([2, 4])),
        width=100_000,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=draw(st.booleans()),
    )
    text = text.replace("!!null 'null'", "null").replace('!!null "null"', "null")
    text = re.sub(r"!!(bool|int) (['\"])(.*?)\2", r"\3", text)
    if draw(st.booleans()):
        text = re.sub(r": null$", ":", text, flags=re.MULTILINE)
    if kind != "flow":
        text = draw(commented(text))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@st.composite
def commented(draw: st.DrawFn, text: str) -> str:
    """A text of one value a line with comments and blank lines between and behind its lines."""
    made = []
    for line in text.splitlines():
        if draw(st.integers(0, 9)) == 0:
            made.append(
                draw(st.sampled_from(["", "# a comment", "      # - --audit-log-path=/old", "  #: [x", "    "]))
            )
        behind = draw(st.integers(0, 9)) == 0 and line != "---"
        made.append(line + draw(st.sampled_from(["  # why", " # []", "   "])) if behind else line)
    return "\n".join(made) + "\n"


def _without_nulls(plain: Any) -> Any:
    """Flow style has no room for a null that is to be filled (it is refused), so such keys are left out."""
    if isinstance(plain, dict):
        return {key: _without_nulls(value) for key, value in plain.items() if value is not None}
    return [_without_nulls(item) for item in plain] if isinstance(plain, list) else plain


manifests: Final = pods().flatmap(written)
full_manifests: Final = pods(gaps=("absent",)).flatmap(lambda pod: written(pod, ("block",)))


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """A ClusterConfiguration without auditing, in some style."""
    version = draw(st.sampled_from(["v1beta3", "v1beta4"]))
    server: dict[str, Any] = {}
    lists = [{"name": "v", "value": "2"}, {"name": "authorization-mode", "value": "Node,RBAC"}]
    _maybe(draw, server, "extraArgs", lists if version == "v1beta4" else {"authorization-mode": "Node,RBAC"})
    _maybe(draw, server, "extraVolumes", [{"name": "pki", "hostPath": "/etc/pki", "mountPath": "/etc/pki"}])
    if draw(st.booleans()):
        server["timeoutForControlPlane"] = "4m0s"
    root: dict[str, Any] = {"apiVersion": f"kubeadm.k8s.io/{version}", "kind": "ClusterConfiguration", "dns": {}}
    _maybe(draw, root, "apiServer", server)
    return draw(written(_shuffled(draw, root)))
