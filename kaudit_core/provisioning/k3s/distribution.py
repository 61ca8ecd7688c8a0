"""What differs between k3s and RKE2: names, places, and how the API server is given its flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Distribution:
    """One of them.

    programs: what ExecStart runs; config: the file that is read without --config; config_variable: names another one.
    policy_key: a key of its own for --audit-policy-file, "" where that is given as any other flag.
    mount_key: the key for host directories in the API server's container, "" where there is no container.
    tls: the directory of certificates. own_process: whether the API server is a process of its own, kube-apiserver;
    else it is in the server's, and only the journal says with which flags.
    silent_policy: the policy that a CIS profile puts there and that logs nothing, "" where there is none.
    places: where our policy and the webhook's kubeconfig go, and exec_start_places: where they go if ExecStart carries
    flags of the API server.
    """

    name: str
    unit: str
    programs: tuple[str, ...]
    config: str
    config_variable: str
    tls: str
    own_process: bool
    places: tuple[str, str]
    exec_start_places: tuple[str, str]
    policy_key: str = ""
    mount_key: str = ""
    silent_policy: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that an edit may touch."""
        return tuple(filter(None, (ARGUMENT_KEY, self.policy_key, self.mount_key)))


ARGUMENT_KEY: Final = "kube-apiserver-arg"
DROP_IN: Final = "99-kaudit.yaml"
"""The name of our file in config.yaml.d: it is read after the others, so that what it says counts."""

K3S: Final = Distribution(
    name="k3s",
    unit="k3s.service",
    programs=("k3s", "k3s-server"),
    config="/etc/rancher/k3s/config.yaml",
    config_variable="K3S_CONFIG_FILE",
    tls="/var/lib/rancher/k3s/server/tls",
    own_process=False,
    places=("/etc/rancher/k3s/audit/policy.yaml", "/etc/rancher/k3s/audit/webhook.yaml"),
    exec_start_places=("/etc/k3s/audit-policy.yaml", "/etc/k3s/audit-webhook-config.yaml"),
)
RKE2: Final = Distribution(
    name="rke2",
    unit="rke2-server.service",
    programs=("rke2",),
    config="/etc/rancher/rke2/config.yaml",
    config_variable="RKE2_CONFIG_FILE",
    tls="/var/lib/rancher/rke2/server/tls",
    own_process=True,
    places=("/etc/rancher/rke2/audit/policy.yaml", "/etc/rancher/rke2/audit/webhook.yaml"),
    exec_start_places=("/etc/rancher/rke2/audit/policy.yaml", "/etc/rancher/rke2/audit/webhook.yaml"),
    policy_key="audit-policy-file",
    mount_key="kube-apiserver-extra-mount",
    silent_policy="/etc/rancher/rke2/audit-policy.yaml",
)
DISTRIBUTIONS: Final = {each.name: each for each in (K3S, RKE2)}
OLDEST_WITH_DROP_INS: Final = (1, 22)
"""The oldest minor version whose config.yaml.d is relied on; before, k3s had none, or one without `+`."""
