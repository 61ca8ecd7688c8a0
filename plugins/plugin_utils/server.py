"""The API servers of a host: their processes, their containers' logs, and the services that run some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .core import core
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


def kubelet_runs(host: Host) -> bool:
    """Whether there is a kubelet that could act: its unit is active, and its process not stopped by a signal."""
    active = host.command(["systemctl", "is-active", "kubelet"], fine=range(5)).strip() == "active"
    states = host.command(["ps", "-C", "kubelet", "-o", "stat="], fine=(0, 1)).split()
    return active and any(not state.startswith(("T", "Z")) for state in states)


def stop_container(host: Host, pids: Sequence[int]) -> str:
    """Stop the API server's container, by its runtime or else by a signal; return what went wrong."""
    return _try(host, ["sh", "-c", _STOP, "sh", *map(str, pids)])


def restart_kubelet(host: Host) -> str:
    """Start the kubelet again; return what went wrong."""
    return _try(host, ["systemctl", "restart", "kubelet"])


def _try(host: Host, argv: list[str]) -> str:
    result = host.module("command", {"argv": argv})
    return "" if result.get("rc") == 0 else str(result.get("stderr") or result.get("msg"))


# By the process's own container: one that the kubelet has started meanwhile is not stopped.
_STOP = """
for pid; do
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = kube-apiserver ] || continue
    id=$(grep -oE '[0-9a-f]{64}' "/proc/$pid/cgroup" | tail -n 1)
    if [ -n "$id" ] && command -v crictl >/dev/null; then
        crictl stop --timeout 30 "$id"
    else
        kill -TERM "$pid"
    fi
done
"""


def show_service(host: Host, unit: str) -> Any:
    """What systemd says of a service."""
    return core("provisioning.k3s.service").parse_service(host.command(core("provisioning.k3s.found").show(unit)))


def start_line(host: Host, unit: str, pid: int) -> str:
    """The line in which a server's process says how it starts its API server, "" if the journal has none."""
    script = 'journalctl -u "$1" _PID="$2" -o cat --no-pager | grep -F "Running kube-apiserver" | tail -n 1'
    return host.command(["sh", "-c", script, "sh", unit, str(pid)], fine=(0, 1))


def service_process(host: Host, pid: int) -> dict[str, Any]:
    """A process and when it was started."""
    shown = host.command(["env", "LC_ALL=C", "TZ=UTC", "ps", "-o", "pid=,lstart=", "-p", str(pid)], fine=(0, 1))
    found = core("provisioning.restart").parse_processes(shown)
    return asdict(found[0]) if found else {"pid": pid, "started": ""}
