"""Where a master's own API server listens, and as whom the roles ask it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaudit_core.provisioning.host import is_service, static_pod
from kaudit_core.provisioning.k3s.starting import Server, read_start
from kaudit_core.provisioning.observed import HostFiles
from kaudit_core.provisioning.starting import StaticPod


def api_access(files: Mapping[str, Any], paths: Mapping[str, str], override: Mapping[str, str]) -> dict[str, Any]:
    """Where the host's own API server listens, and the files of an administrator's certificate.

    files: what read_files returned. loopback: whether other masters can't use this address.
    """
    found = HostFiles(files["results"])
    if files.get("start") and is_service(files["start"]):
        access = server_access(read_start(files["start"], found), override)
    else:
        access = static_pod_access(static_pod(found, paths), override)
    return {**access, "loopback": access["url"].startswith(("https://127.", "https://[::1]"))}


def static_pod_access(pod: StaticPod, override: Mapping[str, str]) -> dict[str, str]:
    """By the manifest's flags, with the certificate that kubeadm makes for the API server itself."""
    flags, pki = pod.view().flags, "/etc/kubernetes/pki"
    address = override.get("address") or flags.get("advertise-address") or "127.0.0.1"
    return {
        "url": f"https://{_in_url(address)}:{flags.get('secure-port') or 6443}",
        "ca": override.get("ca") or flags.get("client-ca-file") or f"{pki}/ca.crt",
        "certificate": override.get("certificate")
        or flags.get("kubelet-client-certificate")
        or f"{pki}/apiserver-kubelet-client.crt",
        "key": override.get("key") or flags.get("kubelet-client-key") or f"{pki}/apiserver-kubelet-client.key",
    }


def server_access(server: Server, override: Mapping[str, str]) -> dict[str, str]:
    """By the server's settings, with the administrator's certificate that it makes."""
    address = override.get("address") or server.setting("advertise-address", "node-ip") or "127.0.0.1"
    data = server.setting("data-dir", "d").rstrip("/")
    tls = f"{data}/server/tls" if data else server.files.distribution.tls
    return {
        "url": f"https://{_in_url(address)}:{server.setting('https-listen-port') or 6443}",
        "ca": override.get("ca") or f"{tls}/server-ca.crt",
        "certificate": override.get("certificate") or f"{tls}/client-admin.crt",
        "key": override.get("key") or f"{tls}/client-admin.key",
    }


def _in_url(address: str) -> str:
    return f"[{address.strip('[]')}]" if ":" in address else address
