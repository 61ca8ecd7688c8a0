"""Units of k3s and RKE2 servers as installers and people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.k3s.distribution import K3S, RKE2, Distribution
from kaudit_core.provisioning.k3s.server import ServerFiles
from kaudit_core.provisioning.k3s.unit import UnitFile

UNIT: Final = "/etc/systemd/system/k3s.service"
CONFIG: Final = "/etc/rancher/k3s/config.yaml"
DROP_IN: Final = f"{CONFIG}.d/99-kaudit.yaml"
POLICY: Final = "/etc/rancher/k3s/audit/policy.yaml"
LOG: Final = "/var/log/kubernetes/audit/audit.log"
INTENT: Final = AuditIntent(
    {"audit-policy-file": POLICY, "audit-log-path": LOG, "audit-log-maxage": "30"},
    annotations={"kaudit.k8s/policy-sha256": "0123abcd", "kaudit.k8s/deployment": "20261121T043000Z"},
)

# As the install script of k3s writes it.
INSTALLED: Final = Path(__file__).with_name("k3s.service").read_text()
_HEAD: Final = INSTALLED.partition("ExecStart=")[0]
# As RKE2's packages bring it, as far as it matters here.
PACKAGED_RKE2: Final = """\
[Unit]
Description=Rancher Kubernetes Engine v2 (server)
Conflicts=rke2-agent.service

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/usr/local/lib/systemd/system/%N.env
KillMode=process
Restart=always
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/rke2 server
ExecStopPost=-/bin/sh -c "systemd-cgls /system.slice/%n | awk '{print $1}' | xargs -r kill"
"""
PLAIN: Final = "[Service]\nExecStart=/usr/local/bin/k3s server\n"

# Nothing about the API server in ExecStart.
WITHOUT_ARGUMENTS: Final = {
    "install-script": INSTALLED,
    "install-script-flags": _HEAD + "ExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--tls-san' \\\n\t'a b' \\\n\n",
    "k3s-ansible": _HEAD + "ExecStart=/usr/local/bin/k3s server --data-dir /var/lib/rancher/k3s \n",
    "plain": PLAIN,
    "no-newline-at-the-end": PLAIN.rstrip("\n"),
    "crlf": PLAIN.replace("\n", "\r\n"),
    "comments": "# a\n; b\n[Service]\n# ExecStart=/bin/false\nExecStart=/opt/k3s server \\\n  # why\n  --debug\n",
    "reset-and-prefix": "[Service]\nExecStart=/bin/false\nExecStart=\nExecStart=-/usr/local/bin/k3s --debug server\n",
    "spaces-around": "[Service]\nEnvironment = \"A=b c\" 'D=e f'\nExecStart  =  /usr/local/bin/k3s   server\n",
    "server-by-name": "[Service]\nExecStart=/opt/k3s-server --debug\n",
}

# ExecStart carries flags of the API server already, none of them about auditing.
WITH_ARGUMENTS: Final = {
    "install-script": INSTALLED.replace(
        "server \\\n", "server \\\n\t'--kube-apiserver-arg=profiling=false' \\\n\t'--debug' \\\n"
    ),
    "one-line": PLAIN.replace("server\n", "server --kube-apiserver-arg=profiling=false --debug\n"),
    "two-words": PLAIN.replace("server\n", "server --kube-apiserver-arg profiling=false\n"),
    "continued": PLAIN.replace("server\n", "server \\\n    --kube-apiserver-arg=v=2 \\\n    --debug\n"),
    "continued-last": PLAIN.replace("server\n", "server \\\n  --debug \\\n  --kube-apiserver-arg=v=2\n"),
    "crlf": PLAIN.replace("server\n", "server \\\n    --kube-apiserver-arg=v=2 \\\n    --debug\n").replace(
        "\n", "\r\n"
    ),
    "double-quotes": PLAIN.replace("server\n", 'server "--kube-apiserver-arg=oidc-groups-prefix=a b"\n'),
    "half-quoted": PLAIN.replace("server\n", "server --kube-apiserver-arg='oidc-groups-prefix=a b' --debug\n"),
    "comment-between": PLAIN.replace(
        "server\n", "server \\\n  # first\n  ; second\n  --kube-apiserver-arg=v=2 \\\n  # third\n  --debug\n"
    ),
    "settings-behind": PLAIN.replace("server\n", "server --kube-apiserver-arg=v=2\nRestart=always\n\n[Install]\nA=b\n"),
    "no-newline-at-the-end": PLAIN.replace("server\n", "server --kube-apiserver-arg=v=2"),
}

CONFIGS: Final = {
    "none": {},
    "empty": {CONFIG: ""},
    "comments-only": {CONFIG: "# later\n---\n"},
    "usual": {CONFIG: 'write-kubeconfig-mode: "0644"\ntls-san:\n  - foo.local\ncluster-init: true\n'},
    "arguments": {CONFIG: "kube-apiserver-arg:\n  - profiling=false\n  - v=2\n"},
    "flow": {CONFIG: "kube-apiserver-arg: [profiling=false]\n"},
    "one-text": {CONFIG: "kube-apiserver-arg: profiling=false\n"},
    "several": {
        CONFIG: "kube-apiserver-arg:\r\n- v=1\r\ntoken: a\r\n",
        f"{CONFIG}.d/10-a.yaml": "kube-apiserver-arg+:\n- v=2\n",
        f"{CONFIG}.d/20-b.yml": "node-label+: [a=b]\n",
        f"{CONFIG}.d/notes.txt": "kube-apiserver-arg: [",
    },
}


# What files say together, by their names in config.yaml.d. ARG stands for kube-apiserver-arg.
MERGED: Final = {
    "later-key-replaces": ({CONFIG: "ARG: [a=1]\n", "x.yaml": "ARG: [b=2]\n"}, ["b=2"]),
    "plus-appends": ({CONFIG: "ARG: [a=1]\n", "x.yaml": "ARG+: [b=2]\n"}, ["a=1", "b=2"]),
    "plus-first": ({"a.yaml": "ARG+: [a=1]\n", "b.yaml": "ARG+: [b=2]\n"}, ["a=1", "b=2"]),
    "no-plus-after-plus": ({"a.yaml": "ARG+: [a=1]\n", "b.yaml": "ARG: [b=2]\n"}, ["b=2"]),
    "order-of-names": ({"2.yaml": "ARG+: [b=2]\n", "10.yaml": "ARG+: [a=1]\n"}, ["a=1", "b=2"]),
    "both-endings": ({"a.yml": "ARG+: [a=1]\n", "b.YAML": "ARG+: [b=2]\n"}, ["a=1", "b=2"]),
    "other-endings-ignored": ({"a.yaml.bak": "ARG: [a=1]\n", "b.yaml": "v: 1\n"}, []),
    "one-text": ({CONFIG: "ARG: a=1\n", "x.yaml": "ARG+: b=2\n"}, ["a=1", "b=2"]),
    "null": ({CONFIG: "ARG:\n", "x.yaml": "ARG+: [b=2]\n"}, ["b=2"]),
    "both-in-one-file": ({CONFIG: "ARG: [a=1]\nARG+: [b=2]\n"}, ["a=1", "b=2"]),
    "no-config-yaml": ({"x.yaml": "ARG: [b=2]\n"}, ["b=2"]),
    "numbers": ({CONFIG: "ARG: [1, true]\n"}, ["1", "true"]),
}


def placed(configs: dict[str, str]) -> dict[str, str]:
    """The files of a row, at their paths."""
    return {
        path if path == CONFIG else f"{CONFIG}.d/{path}": text.replace("ARG", "kube-apiserver-arg")
        for path, text in configs.items()
    }


def k3s(unit: str = PLAIN, configs: dict[str, str] | None = None, **environment: str) -> ServerFiles:
    """A k3s server's files; environment: the text of an EnvironmentFile by its last name."""
    return server(K3S, UNIT, unit, configs or {}, {f"/etc/default/{name}": text for name, text in environment.items()})


def rke2(unit: str = "", configs: dict[str, str] | None = None) -> ServerFiles:
    """An RKE2 server's files."""
    path = "/usr/local/lib/systemd/system/rke2-server.service"
    return server(RKE2, path, unit or PACKAGED_RKE2, configs or {}, {})


def server(
    distribution: Distribution, path: str, unit: str, configs: dict[str, str], environment: dict[str, str]
) -> ServerFiles:
    """A server's files."""
    return ServerFiles(distribution, (UnitFile(path, unit),), environment, configs)
