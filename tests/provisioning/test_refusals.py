"""What is not edited, and the one line that says why."""

from __future__ import annotations

import pytest

from kaudit_core.provisioning import kubeadm_config, manifest
from kaudit_core.provisioning.intent import AuditIntent, Mount
from kaudit_core.provisioning.refusal import EditRefused
from tests.provisioning.manifests import BARE, INTENT, LOG, POLICY, V1BETA3, V1BETA4, V1BETA4_ARGS, kubeadm

K = kubeadm(35)
SECOND = "  - command: [kube-apiserver]\n    name: other\n  hostNetwork: true\n"
MERGED = BARE.replace("    args:", "    <<: {}\n    args:")
TAKEN = "  - name: kaudit-log\n"

refused = {
    "empty": ("", "the text is empty"),
    "not-yaml": ("a: [", "line 1: not readable"),
    "tab-indentation": (K.replace("  containers:", "\tcontainers:"), "indent with spaces, not tabs"),
    "old-mac-line-breaks": (K.replace("\n", "\r", 1), "line 1: an unusual line break"),
    "line-separator": (K.replace("status", "# a\u2028b\nstatus"), "an unusual line break"),
    "byte-order-mark": ("\ufeff" + K, "byte order mark"),
    "too-large": (K + "#" * (1 << 20), "more than 1048576 characters"),
    "many-aliases": (
        "\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 1}]" for n in range(9)]),
        "more than 50000 values",
    ),
    "deep": ("[" * 70 + "]" * 70, "nested deeper than 64"),
    "control-character": (K + "# \x07\n", "not readable"),
    "two-documents": (K + "---\na: b\n", "line 59: a second document begins here"),
    "empty-second-document": (K + "---\n", "a second document begins here"),
    "a-list": ("- a\n", "this is no v1 Pod"),
    "deployment": (K.replace("kind: Pod", "kind: Deployment"), "this is no v1 Pod"),
    "two-equal-keys": (K + "status: {}\n", "line 59: the key status is there twice"),
    "no-containers": (
        K.replace("  containers:", "  initContainers:"),
        "spec.containers: this is no list of containers",
    ),
    "no-server": (
        K.replace("    name: kube-apiserver\n", "    name: x\n").replace("- kube-apiserver\n", "- kube-proxy\n"),
        "no container runs kube-apiserver",
    ),
    "two-servers": (K.replace("  hostNetwork: true\n", SECOND), "spec.containers[1]: a second container runs kube-api"),
    "shell": (
        K.replace("    - kube-apiserver\n", "    - /bin/sh\n    - -c\n    - exec kube-apiserver\n"),
        "spec.containers[0].command: the server is started through a shell",
    ),
    "unknown-wrapper": (K.replace("    - kube-apiserver\n", "    - /start\n"), "no element of command or args"),
    "command-is-text": (BARE.replace("args:\n    - --secure-port=6443", "args: --v=2"), "args: this is no list"),
    "last-flag-without-value": (BARE.replace("--secure-port=6443", "--audit-log-path"), "the last flag has no value"),
    "annotations-is-text": (
        K.replace("  annotations:\n    kube", "  annotations: kaudit.io/policy-sha256\n  kube"),
        "annotations: this is not",
    ),
    "end-of-flags": (K.replace("    - --secure", "    - --\n    - --secure"), "'--' ends the flags here"),
    "anchor-on-the-list": (K.replace("- command:", "- command: &c"), "command: an anchor or a tag stands here"),
    "anchor-in-the-list": (K.replace("- --allow", "- &a --allow"), "command: it holds an anchor"),
    "anchor-on-spec": (K.replace("spec:\n", "spec: &s\n"), "line 11, spec: an anchor or a tag"),
    "alias-as-list": (
        BARE.replace("    args:\n", "    env: &e []\n    volumeMounts: *e\n    args:\n"),
        "volumeMounts: an alias stands here",
    ),
    "merge-in-container": (MERGED, "spec.containers[0]: a merge key (<<) stands here"),
    "tag-on-the-list": (K.replace("- command:", "- command: !!seq"), "an anchor or a tag stands here"),
    "volumes-is-a-mapping": (BARE.replace("spec:\n", "spec:\n  volumes: {a: b}\n"), "spec.volumes: this is no list"),
    "volumes-is-text": (BARE.replace("spec:\n", "spec:\n  volumes: x\n"), "spec.volumes: this is no list"),
    "annotations-is-a-list": (
        K.replace("  annotations:\n    kube", "  annotations:\n  - kube"),
        "annotations: this is not",
    ),
    "volume-of-another-kind": (
        K.replace("  volumes:\n", f"  volumes:\n{TAKEN}    emptyDir: {{}}\n"),
        "spec.volumes[0]: volume name kaudit-log is taken by something else; use another volume name",
    ),
    "volume-of-another-path": (
        K.replace("  volumes:\n", f"  volumes:\n{TAKEN}    hostPath: {{path: /x}}\n"),
        "volume name kaudit-log is taken by /x",
    ),
    "volume-twice": (
        K.replace("  volumes:\n", "  volumes:\n" + f"{TAKEN}    hostPath: {{path: {LOG.host_path}}}\n" * 2),
        "spec.volumes[1]: kaudit-log is there twice",
    ),
    "mount-path-in-use": (
        K.replace("mountPath: /etc/ssl/certs", "mountPath: /var/log/kubernetes/audit/"),
        "/var/log/kubernetes/audit is already the mount of volume ca-certs",
    ),
    "explicit-key-to-fill": (
        BARE.replace("spec:\n", "spec:\n  ? volumes\n  : []\n"),
        "line 4, volumes: a key without a colon in its line; write it as volumes: value",
    ),
    "null-in-flow": (
        "{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {volumes: , containers: [{args: [kube-apiserver]}]}}",
        "spec.volumes: this is null; write [] or {} instead",
    ),
}


@pytest.mark.parametrize(("text", "message"), refused.values(), ids=refused)
def test_manifest_is_refused(text: str, message: str) -> None:
    """The message names part, place, problem and what to do, in one line."""
    with pytest.raises(EditRefused) as caught:
        manifest.apply(text, INTENT)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("kube-apiserver manifest")
    assert "; " in str(caught.value)


def test_word_that_is_no_string_is_refused() -> None:
    """The kubelet can't decode a number among the flags."""
    with pytest.raises(EditRefused, match=r"line 8, spec.containers\[0\].args\[1\]: this is no string; quote it"):
        manifest.apply(BARE.replace("6443", "6443\n    - 5"), INTENT)


unreachable = {
    "policy-not-mounted": (
        {"audit-policy-file": "/etc/p.yaml"},
        (),
        "--audit-policy-file: /etc/p.yaml is below no mount",
    ),
    "log-not-mounted": ({"audit-log-path": "/var/log/a.log"}, (), "so the log would be lost with the container"),
    "log-read-only": ({"audit-log-path": "/etc/ssl/certs/a.log"}, (), "mount ca-certs, which is read-only"),
    "log-beside-a-mount": ({"audit-log-path": f"{LOG.container_path}-x/a.log"}, (LOG,), "below no mount"),
    "log-is-a-mount": (
        {"audit-log-path": "/var/log/a.log"},
        (Mount("log", "/var/log/a.log", "/var/log/a.log", False, "FileOrCreate"),),
        "is itself a mount, so it can't be rotated",
    ),
    "log-below-an-inner-read-only-mount": (
        {"audit-log-path": f"{LOG.container_path}/in/a.log"},
        (LOG, Mount("inner", "/x", f"{LOG.container_path}/in")),
        "mount inner, which is read-only",
    ),
    "webhook-not-mounted": ({"audit-webhook-config-file": "/w.yaml"}, (POLICY,), "audit-webhook-config-file: /w.yaml"),
}


@pytest.mark.parametrize(("flags", "mounts", "message"), unreachable.values(), ids=unreachable)
def test_unreachable_file_is_refused(flags: dict[str, str | None], mounts: tuple[Mount, ...], message: str) -> None:
    """A flag whose file the container can't see or write would stop the server, or lose its log."""
    with pytest.raises(EditRefused) as caught:
        manifest.apply(K, AuditIntent(flags, mounts))

    assert message in str(caught.value)


def test_volume_shared_with_another_container_is_not_changed() -> None:
    """Another container would see the change too."""
    sidecar = "  - name: tail\n    volumeMounts:\n    - {name: kaudit-log, mountPath: /log}\n"
    text = manifest.apply(BARE, INTENT).replace("  volumes:\n", f"{sidecar}  volumes:\n")
    moved = Mount(LOG.name, "/data", LOG.container_path, read_only=False)

    with pytest.raises(EditRefused, match=r"spec.containers\[1\]: volume kaudit-log is mounted here too"):
        manifest.apply(text, AuditIntent(mounts=(moved,)))


def test_removal_does_not_take_what_is_not_ours() -> None:
    """A volume of our name that agrees in no path was somebody else's."""
    text = K.replace("  volumes:\n", f"  volumes:\n{TAKEN}    hostPath: {{path: /x}}\n")

    with pytest.raises(EditRefused, match="volume name kaudit-log is taken by /x"):
        manifest.remove(text, INTENT)


configurations = {
    "not-ours": ("kind: InitConfiguration\n", "this is no ClusterConfiguration"),
    "unknown-version": (V1BETA4.replace("v1beta4", "v1beta9"), "unknown version kubeadm.k8s.io/v1beta9; known are"),
    "list-in-v1beta3": (V1BETA4_ARGS.replace("v1beta4", "v1beta3"), "apiServer.extraArgs: this is no dict"),
    "map-in-v1beta4": (V1BETA3.replace("v1beta3", "v1beta4"), "apiServer.extraArgs: this is no list"),
    "two-documents": (V1BETA4 + "---\nkind: x\n", "a second document begins here"),
    "server-is-text": (V1BETA4.replace("apiServer: {}", "apiServer: x"), "apiServer: this is not a mapping"),
    "volume-taken": (V1BETA4_ARGS.replace("name: pki", "name: kaudit-log"), "kaudit-log is taken by /etc/pki"),
    "path-in-use": (
        V1BETA4_ARGS.replace("mountPath: /etc/pki", f"mountPath: {LOG.container_path}"),
        "is already the mount of volume pki",
    ),
}


@pytest.mark.parametrize(("text", "message"), configurations.values(), ids=configurations)
def test_configuration_is_refused(text: str, message: str) -> None:
    """The message names part, place, problem and what to do, in one line."""
    with pytest.raises(EditRefused) as caught:
        kubeadm_config.apply(text, INTENT)

    assert message in str(caught.value)
    assert str(caught.value).startswith("ClusterConfiguration")


def test_configuration_without_its_mount_is_refused() -> None:
    """kubeadm would write a manifest whose server can't start."""
    with pytest.raises(EditRefused, match="audit-policy-file: .* is below no mount"):
        kubeadm_config.apply(V1BETA4, AuditIntent({"audit-policy-file": "/etc/p.yaml"}))
