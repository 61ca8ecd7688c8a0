"""Auditing in static pod manifests: flags in every form, mounts, annotations, and what inspect tells."""

from __future__ import annotations

import pytest

from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.manifest import apply, identity, inspect, remove
from kaudit_core.provisioning.mounts import MountView
from tests.provisioning.manifests import BARE, HASH, INTENT, KOPS, LOG, MANIFESTS, POLICY, kubeadm

HEAD = """\
apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
spec:
  containers:
  - name: kube-apiserver
    command:
    - kube-apiserver
"""


def pod(*lines: str) -> str:
    """A manifest whose container goes on with these lines."""
    return HEAD + "".join(f"    {line}\n" for line in lines)


maxage = {
    "one-element": (["- --audit-log-maxage=7"], ["- --audit-log-maxage=30"]),
    "two-elements": (["- --audit-log-maxage", '- "7"'], ["- --audit-log-maxage", '- "30"']),
    "double-quotes-stay": (['- "--audit-log-maxage=7"'], ['- "--audit-log-maxage=30"']),
    "single-quotes-stay": (["- '--audit-log-maxage=7'  # a week"], ["- '--audit-log-maxage=30'  # a week"]),
    "the-last-duplicate-is-kept": (
        ["- --audit-log-maxage=30", "- --v=2", "- --audit-log-maxage=8"],
        ["- --v=2", "- --audit-log-maxage=30"],
    ),
    "duplicates-in-both-forms": (
        ["- --audit-log-maxage=7", "- --audit-log-maxage", "- '8'", "- --v=2"],
        ["- --audit-log-maxage", "- '30'", "- --v=2"],
    ),
    "duplicates-in-command-and-args": (
        ["- --audit-log-maxage=7", "args:", "- --v=2", "- --audit-log-maxage=8"],
        ["args:", "- --v=2", "- --audit-log-maxage=30"],
    ),
    "underscores-are-dashes": (["- --audit_log_maxage=7"], ["- --audit-log-maxage=30"]),
    "a-longer-name-is-another-flag": (
        ["- --audit-log-maxage-x=7"],
        ["- --audit-log-maxage-x=7", "- --audit-log-maxage=30"],
    ),
    "a-value-is-no-flag": (
        ["- --audit-webhook-mode", "- --audit-log-maxage=7"],
        ["- --audit-webhook-mode", "- --audit-log-maxage=7", "- --audit-log-maxage=30"],
    ),
    "a-boolean-takes-no-value": (
        ["- --audit-log-compress", "- --audit-log-maxage=7"],
        ["- --audit-log-compress", "- --audit-log-maxage=30"],
    ),
    "an-unknown-bare-flag-takes-no-flag": (
        ["- --audit-log-maxage=7", "- --audit-something-new"],
        ["- --audit-log-maxage=30", "- --audit-something-new"],
    ),
    "equal-values-stay-as-written": (["- >-", "    --audit-log-maxage=30"], ["- >-", "    --audit-log-maxage=30"]),
    "folded-value": (["- >-", "    --audit-log-maxage=7", "- --v=2"], ["- --audit-log-maxage=30", "- --v=2"]),
    "dash-on-its-own-line": (["-", "  --audit-log-maxage=7"], ["-", "  --audit-log-maxage=30"]),
}


@pytest.mark.parametrize(("before", "after"), maxage.values(), ids=maxage)
def test_flag_is_set(before: list[str], after: list[str]) -> None:
    """A flag has one use with the wanted value, in the form in which it was found."""
    assert pod(*after) == apply(pod(*before), AuditIntent({"audit-log-maxage": "30"}))


gone = {
    "one-element": (["- --audit-log-compress=true", "- --v=2"], ["- --v=2"]),
    "bare": (["- --audit-log-compress", "- --v=2"], ["- --v=2"]),
    "duplicates": (["- --audit-log-compress", "- --v=2", "- --audit-log-compress=false"], ["- --v=2"]),
    "comments-stay": (["# c1", "- --audit-log-compress # c2", "# c3", "- --v=2"], ["# c1", "# c3", "- --v=2"]),
    "absent": (["- --v=2"], ["- --v=2"]),
    "dash-on-its-own-line": (["- # c1", "  # c2", "  --audit-log-compress", "- --v=2"], ["- --v=2"]),
}


@pytest.mark.parametrize(("before", "after"), gone.values(), ids=gone)
def test_flag_is_removed(before: list[str], after: list[str]) -> None:
    """None takes every use of a flag away, with its lines and nothing else."""
    assert pod(*after) == apply(pod(*before), AuditIntent({"audit-log-compress": None}))


flow = {
    "first": ("[--audit-log-compress, kube-apiserver]", None),
    "middle": ("[kube-apiserver, --audit-log-compress, --v=2]", "[kube-apiserver, --v=2]"),
    "last": ("[kube-apiserver, --v=2, --audit-log-compress]", "[kube-apiserver, --v=2]"),
    "with-comma-behind": ("[kube-apiserver, --audit-log-compress, ]", "[kube-apiserver, ]"),
}


@pytest.mark.parametrize(("before", "after"), flow.values(), ids=flow)
def test_flag_is_removed_from_a_flow_list(before: str, after: str | None) -> None:
    """An item goes with one comma; what stands before the program is none of the server's flags."""
    text = HEAD.replace("\n    - kube-apiserver", f" {before}")
    expected = HEAD.replace("\n    - kube-apiserver", f" {after or before}")

    assert expected == apply(text, AuditIntent({"audit-log-compress": None}))


def test_wrapper_flags_are_not_the_servers() -> None:
    """Of go-runner's own arguments nothing is read or changed."""
    view = inspect(KOPS)

    assert {"allow-privileged": "true", "v": "2"} == view.flags
    assert "1.28.15" == view.image_version


def test_hyperkube_is_known() -> None:
    """Old images start the server by a second word."""
    text = HEAD.replace("- kube-apiserver\n", "- /hyperkube\n    - apiserver\n    - --v=2\n")

    assert {"v": "2"} == inspect(text).flags


def test_inspect_tells_what_apply_did() -> None:
    """Flags, mounts and annotations come back as they were asked for."""
    view = inspect(apply(kubeadm(35), INTENT))

    assert INTENT.flags == view.audit_flags
    assert MountView(POLICY.name, POLICY.container_path, True, POLICY.host_path, "Directory") in view.mounts
    assert MountView(LOG.name, LOG.container_path, False, LOG.host_path, "DirectoryOrCreate") in view.mounts
    assert HASH == view.annotations["kaudit.io/policy-sha256"]
    assert ("kube-system", "kube-apiserver", "kube-apiserver", "1.35.3") == (
        view.namespace,
        view.name,
        view.container,
        view.image_version,
    )
    assert () == view.repeated


def test_inspect_takes_the_last_of_several() -> None:
    """Two uses of a flag: the last counts, and the name is reported."""
    view = inspect(pod("- --audit-log-maxage=7", "args: [--audit_log_maxage, '8']"))

    assert {"audit-log-maxage": "8"} == view.audit_flags
    assert ("audit-log-maxage",) == view.repeated


def test_odd_volumes_are_no_obstacle_to_inspect() -> None:
    """A volume whose hostPath is no mapping has no path."""
    text = pod("volumeMounts: [{name: x, mountPath: /x}]") + "  volumes: [{name: x, hostPath: [1]}]\n"

    assert (MountView("x", "/x", False),) == inspect(text).mounts


versions = {
    "registry.k8s.io/kube-apiserver:v1.35.4": "1.35.4",
    "registry.example.com:5000/kube-apiserver:v1.29.1": "1.29.1",
    "rancher/hardened-kubernetes:v1.32.5-rke2r1-build20250515": "1.32.5",
    "registry.k8s.io/kube-apiserver:v1.30.0@sha256:0123": "1.30.0",
    "kube-apiserver:latest": "",
    "registry.k8s.io/kube-apiserver@sha256:0123": "",
}


@pytest.mark.parametrize(("image", "version"), versions.items())
def test_image_version(image: str, version: str) -> None:
    """The version is read from the image's tag, or not at all."""
    assert version == inspect(pod(f"image: {image}")).image_version


def test_our_mount_is_changed_in_place() -> None:
    """A volume of our name that agrees in one path is ours: it gets the other path and mode."""
    moved = Mount(LOG.name, "/data/audit", LOG.container_path, read_only=False, type="Directory")
    text = apply(kubeadm(35), AuditIntent(mounts=(LOG, POLICY)))
    before = f"path: {LOG.host_path}\n      type: DirectoryOrCreate\n"
    after = "path: /data/audit\n      type: Directory\n"

    assert text.replace(before, after) == apply(text, AuditIntent(mounts=(moved, POLICY)))
    assert 1 == text.count(before)


def test_explicit_keys_are_read() -> None:
    """A key behind a question mark is a key as any other, as long as it has not to be filled."""
    text = BARE.replace("  containers:", "  ? containers\n  :")

    assert text == remove(apply(text, INTENT), INTENT)


def test_previous_names_may_change_wholly() -> None:
    """What an earlier apply brought may get other paths, and what is no longer wanted goes."""
    moved = Mount(LOG.name, "/data/audit", "/data/audit", read_only=False)
    wanted = AuditIntent({"audit-log-path": "/data/audit/a.log"}, (moved,))
    changed = apply(apply(kubeadm(35), INTENT), wanted, previous=INTENT)

    assert {"audit-log-path": "/data/audit/a.log"} == inspect(changed).audit_flags
    assert kubeadm(35) == remove(changed, wanted)


def test_satisfied_manifest_is_not_touched() -> None:
    """Other key orders, readOnly: false and quotes that mean the same are left alone."""
    text = pod(
        "- --audit-log-path=/var/log/a/audit.log",
        'volumeMounts: [{name: log, readOnly: false, mountPath: "/var/log/a"}]',
    )
    text += "  volumes:\n  - name: log\n    hostPath: {type: Directory, path: /var/log/a}\n"
    intent = AuditIntent(
        {"audit-log-path": "/var/log/a/audit.log"}, (Mount("log", "/var/log/a", "/var/log/a", False, "Directory"),)
    )

    assert text == apply(text, intent)


def test_volume_of_another_container_stays() -> None:
    """Removal leaves a volume that another container mounts, so that the pod stays valid."""
    sidecar = "  - name: tail\n    volumeMounts:\n    - {name: kaudit-log, mountPath: /log}\n"
    text = apply(HEAD, INTENT).replace("  volumes:\n", f"{sidecar}  volumes:\n")
    left = inspect(remove(text, INTENT))

    assert () == left.mounts
    assert "name: kaudit-log" in remove(text, INTENT)
    assert "name: kaudit-config" not in remove(text, INTENT)


def test_annotation_is_replaced_in_its_quotes() -> None:
    """A value that was there is spliced out alone."""
    text = HEAD.replace("metadata:\n", "metadata:\n  annotations:\n    kaudit.io/a: 'old' # why\n    b: c\n")
    changed = apply(text, AuditIntent(annotations={"kaudit.io/a": "new"}))

    assert text.replace("'old'", "'new'") == changed
    assert text.replace("    kaudit.io/a: 'old' # why\n", "") == apply(
        text, AuditIntent(annotations={"kaudit.io/a": None})
    )


def test_annotation_without_a_value_gets_one() -> None:
    """A null annotation is a place to write to."""
    text = HEAD.replace("metadata:\n", "metadata:\n  annotations:\n    a: # why\n    b: c\n")

    assert text.replace("a: #", "a: new #") == apply(text, AuditIntent(annotations={"a": "new"}))


def test_webhook_flags_need_their_file_mounted_only() -> None:
    """A kubeconfig below the read-only directory is enough for the webhook backend."""
    intent = AuditIntent(
        {
            "audit-policy-file": "/etc/kubernetes/audit/p.yaml",
            "audit-webhook-config-file": "/etc/kubernetes/audit/w.yaml",
        },
        (POLICY,),
    )

    assert intent.flags == inspect(apply(BARE, intent)).audit_flags


def test_log_to_standard_output_needs_no_mount() -> None:
    """The path - is standard output."""
    assert {"audit-log-path": "-"} == inspect(apply(BARE, AuditIntent({"audit-log-path": "-"}))).audit_flags


@pytest.mark.parametrize("name", MANIFESTS)
def test_empty_intent_changes_nothing(name: str) -> None:
    """Nothing wanted, nothing done."""
    assert MANIFESTS[name] == apply(MANIFESTS[name], AuditIntent())
    assert MANIFESTS[name] == remove(MANIFESTS[name], INTENT)


identities = {
    "pod": (kubeadm(35), ("kube-system", "kube-apiserver")),
    "default-namespace": (BARE, ("default", "kube-apiserver")),
    "policy": ("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n", None),
    "no-yaml": ("{", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(("text", "expected"), identities.values(), ids=identities)
def test_identity_of_a_stray_file(text: str, expected: tuple[str, str] | None) -> None:
    """Whether another file in the manifest directory holds the same pod (P1)."""
    assert expected == identity(text)
