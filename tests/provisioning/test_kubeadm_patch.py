"""The patch for kubeadm holds exactly what the ClusterConfiguration has no place for."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from hypothesis import given

from kaudit_core.provisioning import kubeadm_config, manifest
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.kubeadm_patch import PATCH_NAME, kubeadm_patch
from tests.provisioning.generated import intents
from tests.provisioning.intended import load
from tests.provisioning.manifests import INTENT, NAMED, V1BETA4, kubeadm

PATCH = """\
metadata:
  annotations:
    kaudit.io/policy-sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
spec:
  containers:
  - name: kube-apiserver
    env:
    - name: aliyun_logs_audit-c1
      value: /var/log/kubernetes/audit/audit.log
    - name: aliyun_logs_audit-c1_jsonfile
      value: 'true'
  hostAliases:
  - ip: 10.96.0.7
    hostnames:
    - audit.example.com
    - audit
  - ip: fd00::7
    hostnames:
    - audit6.example.com
  dnsPolicy: ClusterFirstWithHostNet
"""


def test_patch_is_what_kubeadm_reads() -> None:
    """A strategic merge patch: containers and variables go by name, aliases by address."""
    head, _, text = kubeadm_patch(dataclasses.replace(NAMED, annotations=INTENT.annotations)).partition("\n")

    assert head.startswith("# Written by kaudit")
    assert PATCH == text


def test_name_is_one_that_kubeadm_knows() -> None:
    """Its own expression for names of patch files: target, suffix, kind."""
    match = re.match(r"^(etcd|kube-apiserver)([^.+\n]*)?(\+)?(strategic|merge|json)?", PATCH_NAME)

    assert match is not None
    assert ("kube-apiserver", "strategic") == (match[1], match[4])
    assert PATCH_NAME.endswith(".yaml")


def test_nothing_is_patched_for_nothing() -> None:
    """Flags and mounts are in the ClusterConfiguration; what is to be absent needs no patch."""
    assert "" == kubeadm_patch(AuditIntent(INTENT.flags, INTENT.mounts, {"a": None}, env={"A": None}, dns_policy=None))


@given(intents())
def test_configuration_and_patch_are_the_whole_intent(intent: AuditIntent) -> None:
    """What one of them leaves out the other holds: together they make the wanted pod of kubeadm's manifest."""
    before = kubeadm_config.inspect(V1BETA4)
    after = kubeadm_config.inspect(kubeadm_config.apply(V1BETA4, intent))
    assert {**before.flags, **intent.flags} == after.flags
    assert len(before.mounts) + len(intent.mounts) == len(after.mounts)

    written = manifest.apply(kubeadm(35), AuditIntent(intent.flags, intent.mounts))
    patch = load(kubeadm_patch(intent) or "{}")
    assert load(manifest.apply(kubeadm(35), intent)) == merged(load(written), patch)


def merged(pod: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What a strategic merge makes of a pod that has nothing of the patch yet."""
    spec = dict(patch.get("spec", {}))
    for container in spec.pop("containers", []):
        pod["spec"]["containers"][0]["env"] = container["env"]
    pod["spec"] |= spec
    annotations = patch.get("metadata", {}).get("annotations", {})
    pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
    return pod
