#!/usr/bin/python3
"""A stand-in for the program k3s on lab hosts. This is not k3s: it starts a real kube-apiserver and nothing else.

k3s can't be built here, so this program follows its documented rules for one question: with which flags does the API
server start? It reads config.yaml and config.yaml.d with `+` keys and its own command line, prints the line
"Running kube-apiserver ..." that k3s prints, tells systemd when the server is ready, and ends when the server ends,
so that Restart=always goes round as it does with k3s.

Unlike k3s it runs the API server as a child process, at port 6443 itself, with an etcd that config.yaml names
(datastore-endpoint); there is no agent, no supervisor and no other component. Of YAML it reads what such files hold:
keys with one value, lists in both styles, quotes, comments. It needs Python's standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

DEFAULT_CONFIG = "/etc/rancher/k3s/config.yaml"
TLS = "/var/lib/rancher/k3s/server/tls"
PROGRAM = "/usr/local/bin/kube-apiserver"
VERSION = "v1.35.4+k3s1"
Values = dict[str, list[str]]


class Refused(Exception):
    """This stand-in can't tell what k3s would do."""


def scalar(text: str) -> str:
    """One value: quoted, or plain up to a comment."""
    text = text.strip()
    if found := re.fullmatch(r"'((?:[^']|'')*)'\s*(#.*)?", text):
        return found[1].replace("''", "'")
    if found := re.fullmatch(r'("(?:[^"\\]|\\.)*")\s*(#.*)?', text):
        return str(json.loads(found[1]))
    plain = re.sub(r"(^|\s)#.*$", "", text).strip()
    if plain[:1] in ("&", "*", "{", "[", "|", ">", "!", "'", '"'):
        raise Refused(f"this stand-in doesn't read {text!r}")
    return "" if plain in ("~", "null") else plain


def parse_config(text: str) -> list[tuple[str, list[str] | str | None]]:
    """The keys of a configuration in order, `+` included; None for a key without a value."""
    made: list[tuple[str, list[str] | str | None]] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or line.strip() in ("---", "..."):
            continue
        if item := re.fullmatch(r"\s*-\s+(.*)", line):
            if not made or isinstance(made[-1][1], str):
                raise Refused(f"no key stands before {line!r}")
            made[-1] = (made[-1][0], [*(made[-1][1] or []), scalar(item[1])])
        elif key := re.fullmatch(r"([A-Za-z][\w-]*\+?|\"[^\"]+\"|'[^']+'):(\s.*)?", line):
            made.append((scalar(key[1]), value_of((key[2] or "").strip())))
        else:
            raise Refused(f"this stand-in doesn't read {line!r}")
    return made


def value_of(text: str) -> list[str] | str | None:
    """What stands behind a key."""
    if found := re.fullmatch(r"\[(.*)\]\s*(#.*)?", text):
        return [scalar(item) for item in found[1].split(",") if item.strip()]
    return scalar(text) or None


def files_of(config: str) -> list[Path]:
    """config.yaml, then config.yaml.d by name."""
    below = Path(f"{config}.d")
    more = sorted(below.iterdir(), key=lambda path: path.name) if below.is_dir() else []
    wanted = [path for path in more if path.is_file() and path.name.lower().endswith((".yaml", ".yml"))]
    return [*([Path(config)] if Path(config).exists() else []), *wanted]


def merged(files: list[str]) -> Values:
    """All files together: a later key replaces, one with + appends."""
    made: Values = {}
    for text in files:
        for key, value in parse_config(text):
            found = [] if value is None else [value] if isinstance(value, str) else value
            name = key.removesuffix("+")
            made[name] = [*made.get(name, []), *found] if key.endswith("+") else found
    return made


def command_line(arguments: list[str]) -> Values:
    """The flags behind `server`, in both forms."""
    made: Values = {}
    index = 0
    while index < len(arguments):
        name, equals, value = arguments[index].lstrip("-").partition("=")
        index += 1
        if not equals and index < len(arguments) and not arguments[index].startswith("-"):
            value, index = arguments[index], index + 1
        elif not equals:
            value = "true"
        made.setdefault("config" if name == "c" else name, []).append(value)
    return made


def settings(arguments: list[str], environment: dict[str, str]) -> Values:
    """Every setting of the server: what the command line gives replaces what the files say, lists as a whole."""
    given = command_line(arguments)
    config = environment.get("K3S_CONFIG_FILE") or (given.get("config") or [DEFAULT_CONFIG])[0]
    return {**merged([path.read_text() for path in files_of(config)]), **given}


def server_flags(defaults: dict[str, str], extra: list[str]) -> list[str]:
    """The API server's flags: extra ones take the place of defaults, sorted by name."""
    made = {name: [value] for name, value in defaults.items()}
    seen: set[str] = set()
    for argument in extra:
        name, equals, value = argument.removeprefix("--").partition("=")
        plain = name.rstrip("+-")
        if plain not in seen and not name.endswith("+"):
            made[plain] = []
        seen.add(plain)
        made.setdefault(plain, []).append(value if equals else "true")
    return [f"--{name}={value}" for name in sorted(made) for value in made[name]]


def defaults_of(values: Values) -> dict[str, str]:
    """What this server gives its API server by itself."""
    address = (values.get("node-ip") or ["127.0.0.1"])[0]
    return {
        "advertise-address": address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{TLS}/client-ca.crt",
        "etcd-servers": (values.get("datastore-endpoint") or ["http://127.0.0.1:2379"])[0],
        "kubelet-client-certificate": f"{TLS}/client-kube-apiserver.crt",
        "kubelet-client-key": f"{TLS}/client-kube-apiserver.key",
        "secure-port": "6443",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": f"{TLS}/service.pub",
        "service-account-signing-key-file": f"{TLS}/service.key",
        "service-cluster-ip-range": "10.43.0.0/16",
        "shutdown-send-retry-after": "true",
        "tls-cert-file": f"{TLS}/serving-kube-apiserver.crt",
        "tls-private-key-file": f"{TLS}/serving-kube-apiserver.key",
    }


def log(message: str) -> None:
    """A line as k3s writes them."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f'time="{moment}" level=info msg={json.dumps(message)}', file=sys.stderr, flush=True)


def tell_systemd(message: str) -> None:
    """sd_notify."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address.replace("@", "\0", 1))
            channel.send(message.encode())


def is_ready() -> bool:
    """Whether the API server says so to an administrator."""
    context = ssl.create_default_context(cafile=f"{TLS}/server-ca.crt")
    context.check_hostname = False
    context.load_cert_chain(f"{TLS}/client-admin.crt", f"{TLS}/client-admin.key")
    try:
        with urllib.request.urlopen("https://127.0.0.1:6443/readyz", timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def die_with_parent() -> None:
    """The API server ends with this program, however that ends: k3s is one process."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def serve(arguments: list[str]) -> int:
    """Run the API server until it ends; its end is this program's failure."""
    values = settings(arguments, dict(os.environ))
    flags = server_flags(defaults_of(values), values.get("kube-apiserver-arg", []))
    log("This is kaudit's stand-in for k3s, not k3s: it only starts an API server")
    log(f"Running kube-apiserver {' '.join(flags)}")
    server = subprocess.Popen([PROGRAM, *flags], preexec_fn=die_with_parent)
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        asked.append(number)
        server.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    ready = False
    while server.poll() is None:
        if not ready and is_ready():
            ready = True
            log("k3s is up and running")
            tell_systemd("READY=1")
        time.sleep(0.2)
    log(f"apiserver exited: {server.returncode}")
    return 0 if asked else 1


def main(arguments: list[str]) -> int:
    """k3s --version, k3s server."""
    if arguments[:1] == ["--version"]:
        print(f"k3s version {VERSION} (kaudit's stand-in)")
        return 0
    if "server" not in arguments:
        print("this stand-in for k3s only knows: k3s server, k3s --version", file=sys.stderr)
        return 2
    try:
        return serve(arguments[arguments.index("server") + 1 :])
    except Refused as refusal:
        log(f"stand-in: {refusal}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
