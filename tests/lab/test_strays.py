"""Files beside the manifest: another one of the same pod is refused before any change, others are ignored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import SECRETS_ONLY, Run, enable, server, succeed, touched_files
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
HOSTS = ["m1", "m2"]
DIRECTORY = MANIFEST.rpartition("/")[0]
# The kubelet sees files at once; a copy of the manifest would restart the server.
STRAYS = [f"{MANIFEST}.123.2026-11-20@10:00:00~", f"{DIRECTORY}/old.yaml"]
OTHER_POD = "{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: kube-system}, spec: {containers: []}}\n"


@pytest.fixture(scope="module")
def pair(lab_machine: None) -> Iterator[Lab]:
    """Two masters, whose kubelets stand still: what lies beside the manifests has no effect, and nothing restarts."""
    with Lab(hosts=2) as lab:
        for host in HOSTS:
            lab.ssh(host, ["systemctl", "stop", "kubelet"])
        yield lab


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(SECRETS_ONLY)
    return path


@pytest.fixture(params=STRAYS, ids=["backup", "renamed"])
def stray(pair: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A second file with the pod of m2's API server."""
    pair.ssh("m2", ["cp", "-p", MANIFEST, request.param])
    yield request.param
    pair.ssh("m2", ["rm", request.param])


def touched(lab: Lab) -> dict[str, tuple[str, str]]:
    """The masters' processes and files."""
    return {host: (server(lab, host), touched_files(lab, host)) for host in HOSTS}


def test_a_second_file_of_the_pod_is_refused_on_all_masters(pair: Lab, policy: Path, stray: str) -> None:
    before = touched(pair)
    run = enable(pair, policy)

    assert 2 == run.code, run.text
    assert f"{stray}: holds the pod" in run.said
    assert "m2 could not be read or must not be changed, so no master of this cluster is changed" in run.said
    assert before == touched(pair)


def test_other_files_are_ignored(pair: Lab, policy: Path) -> None:
    """In check mode: what is planned is what would be planned without them."""
    pair.ssh("m2", ["cp", "-p", MANIFEST, f"{DIRECTORY}/.kube-apiserver.yaml.bak"])
    pair.write("m2", f"{DIRECTORY}/other.yaml", OTHER_POD)
    run: Run = succeed(enable(pair, policy, "--check"))

    assert run.recap["m2"]["changed"] > 0, run.text
