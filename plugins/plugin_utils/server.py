"""The API servers of a host: their processes and their containers' logs."""

from __future__ import annotations

from .host import Host

PODS = "/var/log/pods"


def list_servers(host: Host) -> str:
    """What ps says about every kube-apiserver."""
    return host.command(["env", "LC_ALL=C", "TZ=UTC", "ps", "-C", "kube-apiserver", "-o", "pid=,lstart="], fine=(0, 1))


def container_logs(host: Host) -> list[str]:
    """The paths of the container logs, one a start, oldest first."""
    wanted = f"{PODS}/*_kube-apiserver-*/*/*.log"
    found = host.command(["find", PODS, "-path", wanted, "-printf", "%T@ %p\\n"], fine=(0, 1))
    dated = [line.partition(" ") for line in found.splitlines() if " " in line]
    return [path for _, _, path in sorted(dated, key=lambda each: float(each[0]))]
