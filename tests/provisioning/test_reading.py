"""What was read of a master, and what is refused there."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from kaudit_core.provisioning.host import read_host
from kaudit_core.provisioning.observed import HostFile, HostFiles, HostRefused
from tests.provisioning.a_master import (
    MANIFEST,
    ORIGINAL,
    PATHS,
    POLICY,
    STATE_FILES,
    Master,
    slurped,
    state,
)
from tests.provisioning.manifests import BARE


def test_manifest_that_is_not_there() -> None:
    """No kubeadm master."""
    results = [slurped(path, None) for path in (MANIFEST, POLICY, *map(state, STATE_FILES))]

    with pytest.raises(HostRefused, match="no such file, so this is no master set up by kubeadm"):
        read_host(PATHS, results, [])


def test_manifest_that_can_not_be_edited() -> None:
    """The refusal names the file."""
    with pytest.raises(HostRefused, match=f"^{MANIFEST}: kube-apiserver manifest, line "):
        Master(ORIGINAL + "---\n").plan()


strays = {
    "ansibles-backup": (f"{MANIFEST}.812.2026-11-21@04:30:00~", ORIGINAL, True),
    "json": (
        "/etc/kubernetes/manifests/a.json",
        json.dumps({"kind": "Pod", "metadata": {"name": "kube-apiserver"}}),
        False,
    ),
    "same-pod-as-json": (
        "/etc/kubernetes/manifests/a.json",
        json.dumps({"kind": "Pod", "metadata": {"name": "kube-apiserver", "namespace": "kube-system"}}),
        True,
    ),
    "another-pod": (
        "/etc/kubernetes/manifests/etcd.yaml",
        ORIGINAL.replace("name: kube-apiserver", "name: etcd"),
        False,
    ),
    "no-yaml": ("/etc/kubernetes/manifests/notes", "{", False),
}


@pytest.mark.parametrize(("path", "text", "refused"), strays.values(), ids=strays)
def test_second_manifest_of_the_pod(path: str, text: str, refused: bool) -> None:
    """The kubelet runs the last by name, so the edit might never be seen (pitfall P1)."""
    results = [
        slurped(each, ORIGINAL if each == MANIFEST else None) for each in (MANIFEST, POLICY, *map(state, STATE_FILES))
    ]
    others = [slurped(MANIFEST, ORIGINAL), slurped(path, text)]
    if not refused:
        assert ORIGINAL == read_host(PATHS, results, others).start.texts[MANIFEST]
        return
    with pytest.raises(HostRefused) as caught:
        read_host(PATHS, results, others)

    assert str(caught.value).startswith(f"{path}: holds the pod kube-system/kube-apiserver as well as {MANIFEST}")


def test_stray_that_is_no_text() -> None:
    """A binary in the directory holds no pod."""
    others = [{"item": "/etc/kubernetes/manifests/x", "content": b64encode(b"\xff\xfe").decode()}]
    results = [
        slurped(each, BARE if each == MANIFEST else None) for each in (MANIFEST, POLICY, *map(state, STATE_FILES))
    ]

    assert BARE == read_host(PATHS, results, others).start.texts[MANIFEST]


damaged = {
    "record-is-no-json": ("deployments.json", "[", "deployments.json: this is no JSON"),
    "record-is-no-list": ("deployments.json", "{}", "deployments.json: not what kaudit writes there"),
    "record-lacks-keys": ("deployments.json", '[{"outcome": "deployed"}]', "deployments.json: not what kaudit writes"),
    "record-of-texts": ("deployments.json", '["x"]', "deployments.json: not what kaudit writes there"),
    "pending-lacks-keys": ("pending.json", "{}", "pending.json: not what kaudit writes there"),
    "pending-is-a-list": ("pending.json", "[]", "pending.json: not what kaudit writes there"),
    "pending-is-empty": ("pending.json", "", "pending.json: this is no JSON"),
}


@pytest.mark.parametrize(("name", "text", "message"), damaged.values(), ids=damaged)
def test_damaged_state_is_refused(name: str, text: str, message: str) -> None:
    """A file that kaudit never wrote is not guessed at."""
    master = Master()
    master.files[state(name)] = text

    with pytest.raises(HostRefused, match=message):
        master.plan()


def test_file_that_came_back_damaged() -> None:
    """Base64 that is none."""
    with pytest.raises(HostRefused, match="/x: came back damaged"):
        HostFiles([{"item": "/x", "content": "a"}])


def test_file_that_is_no_text() -> None:
    """Refused where its text is needed, with the place."""
    with pytest.raises(HostRefused, match="/x: no UTF-8 at byte 2; repair the file first"):
        _ = HostFile("/x", b"ab\xff").text
