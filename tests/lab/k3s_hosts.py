"""What makes a master one of k3s: the stand-in as a service, with a real kube-apiserver and kubeadm's certificates."""

from __future__ import annotations

import os
import shutil
from base64 import b64decode
from pathlib import Path

import yaml

from tests.lab.binaries import binaries

STANDIN = Path(__file__).with_name("k3s_standin.py")
TLS = "var/lib/rancher/k3s/server/tls"
# Name in k3s' directory, name in kubeadm's.
CERTIFICATES = {
    "server-ca.crt": "ca.crt",
    "client-ca.crt": "ca.crt",
    "client-kube-apiserver.crt": "apiserver-kubelet-client.crt",
    "client-kube-apiserver.key": "apiserver-kubelet-client.key",
    "serving-kube-apiserver.crt": "apiserver.crt",
    "serving-kube-apiserver.key": "apiserver.key",
    "service.key": "sa.key",
    "service.pub": "sa.pub",
}
NOT_NEEDED = ("kubelet", "containerd", "lab-images")
# As the install script of k3s writes it.
UNIT = Path(__file__).resolve().parents[1] / "provisioning" / "k3s.service"


def make_k3s(upper: Path, address: str, etcd: str) -> None:
    """Turn what kubeadm wrote for a host into a k3s server; `etcd` is its datastore."""
    (upper / "etc/kubernetes/manifests/kube-apiserver.yaml").unlink()
    _write_certificates(upper)
    programs = upper / "usr/local/bin"
    programs.mkdir(parents=True)
    os.link(binaries() / "kube-apiserver", programs / "kube-apiserver")
    shutil.copy(STANDIN, programs / "k3s")
    (programs / "k3s").chmod(0o755)
    config = upper / "etc/rancher/k3s/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f'# The lab\'s.\ndatastore-endpoint: "{etcd}"\nnode-ip: {address}\n')
    units = upper / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    for name in NOT_NEEDED:
        (units / f"{name}.service").symlink_to("/dev/null")
    shutil.copy(UNIT, units / "k3s.service")
    (units / "multi-user.target.wants/k3s.service").symlink_to("/etc/systemd/system/k3s.service")


def _write_certificates(upper: Path) -> None:
    """Put them where k3s keeps its own."""
    tls = upper / TLS
    tls.mkdir(parents=True, mode=0o700)
    for name, source in CERTIFICATES.items():
        shutil.copy2(upper / "etc/kubernetes/pki" / source, tls / name)
    (user,) = yaml.safe_load((upper / "etc/kubernetes/admin.conf").read_text())["users"]
    for name, key in (("client-admin.crt", "client-certificate-data"), ("client-admin.key", "client-key-data")):
        (tls / name).write_bytes(b64decode(user["user"][key]))
        (tls / name).chmod(0o600)
