"""What each master has of its own: kubeadm's PKI and kubeconfigs, and the static pod's manifest or the k3s service."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab import k3s_hosts
from tests.lab.binaries import kubernetes_version
from tests.lab.cache import cached

MOST_HOSTS = 9
# Where kubeadm's own configuration lies on a master.
CONFIGURATION = "etc/kubeadm.yaml"
# What `kubeadm join --control-plane` copies from the first master.
SHARED = ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub")
# Quick to notice an edited manifest and quick to stop, for tests; otherwise as kubeadm leaves it.
FAST_KUBELET = "fileCheckFrequency: 2s\n"
FAST_SERVER = "apiServer: {extraArgs: [{name: shutdown-send-retry-after, value: 'true'}]}\n"

LAYERED = """
mount -t overlay lab -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$ROOT"
for phase in 'certs all' 'kubeconfig all' 'control-plane apiserver'; do
    chroot "$ROOT" kubeadm init phase $phase --config "/$CONFIGURATION"
done
"""


@dataclass(frozen=True)
class Network:
    """The addresses of a lab's bridge and hosts, and of its Services; `before`: all of an address but its last part."""

    before: str
    prefix: int
    services: str

    @property
    def gateway(self) -> str:
        """Where etcd listens."""
        return f"{self.before}1"

    @property
    def etcd(self) -> str:
        """The URL of the lab's etcd."""
        return f"http://[{self.gateway}]:2379" if ":" in self.gateway else f"http://{self.gateway}:2379"


IPV4 = Network("10.77.0.", 24, "10.96.0.0/12")
IPV6 = Network("fd77::", 64, "fd96::/112")


@dataclass(frozen=True)
class Profile:
    """How the masters' kubelets and API servers are set up."""

    # The kubelet looks at its manifests every 2 s and the API server sends its clients away when it stops.
    fast: bool = True
    # The kubelet talks to the API server of its host: nodes, mirror pods, watches; otherwise it is on its own.
    connected: bool = True
    # kubeadm: a kubelet with a static pod; k3s: a service, by a stand-in. Hosts of k3s are not reset, only booted.
    distribution: str = "kubeadm"
    network: Network = IPV4


def addresses(count: int, network: Network = IPV4) -> dict[str, str]:
    """The masters' names and addresses."""
    if not 1 <= count <= MOST_HOSTS:
        raise ValueError(f"a lab has 1 to {MOST_HOSTS} hosts, not {count}")
    return {f"m{number}": f"{network.before}{10 + number}" for number in range(1, count + 1)}


def kubeadm_configuration(host: str, address: str, profile: Profile) -> str:
    """The configuration that `kubeadm init` is given on one master."""
    return f"""\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: "{address}", bindPort: 6443}}
nodeRegistration: {{name: {host}, criSocket: "unix:///run/containerd/containerd.sock"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {kubernetes_version()}
controlPlaneEndpoint: masters.lab:6443
networking: {{serviceSubnet: "{profile.network.services}"}}
# The lab's masters are kept for years.
certificateValidityPeriod: 87600h
etcd: {{external: {{endpoints: ["{profile.network.etcd}"]}}}}
{FAST_SERVER if profile.fast else ""}"""


def master_layers(hosts: Mapping[str, str], profile: Profile, base: str) -> Path:
    """A directory per master with what real kubeadm phases write; `base` is the overlay of all masters."""

    def make(directory: Path) -> None:
        first: Path | None = None
        for host, address in hosts.items():
            upper = directory / host
            upper.mkdir()
            _write_settings(upper, host, address, profile)
            if first:
                pki = upper / "etc/kubernetes/pki"
                pki.mkdir(parents=True)
                for name in SHARED:
                    shutil.copy2(first / "etc/kubernetes/pki" / name, pki / name)
            _run_kubeadm(upper, base)
            if profile.distribution == "k3s":
                k3s_hosts.make_k3s(upper, address, profile.network.etcd)
            if first:
                (upper / "etc/kubernetes/super-admin.conf").unlink()
            first = first or upper

    settings = [f"{host} {address}" for host, address in hosts.items()]
    name = f"masters-{'fast' if profile.fast else 'production'}-{'connected' if profile.connected else 'standalone'}"
    code = [Path(__file__)]
    if profile.distribution == "k3s":
        name, code = "masters-k3s", [*code, k3s_hosts.STANDIN, k3s_hosts.UNIT, Path(k3s_hosts.__file__)]
    return cached(name, [base, repr(profile), *settings, *code], make)


def _write_settings(upper: Path, host: str, address: str, profile: Profile) -> None:
    """Write what kubeadm and the kubelet are given."""
    for parent in ("etc/default", "etc/kubernetes", "var/lib/kubelet"):
        (upper / parent).mkdir(parents=True)
    (upper / CONFIGURATION).write_text(kubeadm_configuration(host, address, profile))
    if profile.connected:
        (upper / "etc/default/kubelet").write_text("KUBELET_EXTRA_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf\n")
    if profile.fast:
        plain = Path(__file__).with_name("files") / "var/lib/kubelet/config.yaml"
        (upper / "var/lib/kubelet/config.yaml").write_text(plain.read_text() + FAST_KUBELET)


def _run_kubeadm(upper: Path, base: str) -> None:
    """Run kubeadm's phases on the overlay that the host will have; what they write stays in `upper`."""
    work, root = upper.with_suffix(".work"), upper.with_suffix(".root")
    work.mkdir()
    root.mkdir()
    variables = {"LOWER": base, "UPPER": str(upper), "WORK": str(work), "ROOT": str(root)}
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-euc", LAYERED],
        env=os.environ | variables | {"CONFIGURATION": CONFIGURATION},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"kubeadm failed for {upper.name}:\n{done.stdout}")
    root.rmdir()
    shutil.rmtree(work)
