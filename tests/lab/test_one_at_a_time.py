"""Who is touched and who is not: a master that is down, --limit, and two clusters in one inventory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import (
    CONFIGMAPS_ONLY,
    LOGS,
    MAKE_LOGS_READ_ONLY,
    SECRETS_ONLY,
    Run,
    audit_flags,
    enable,
    records,
    server,
    succeed,
    touched_files,
    write_inventory,
)
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab
HOSTS = ["m1", "m2", "m3"]
STOP_SERVER = """
systemctl stop kubelet
for task in $(ctr -n k8s.io tasks ls -q); do ctr -n k8s.io tasks kill --signal KILL "$task" || true; done
until ! pgrep -x kube-apiserver; do sleep 0.1; done
"""
NOT_READ = "m3 could not be read or must not be changed, so no master of this cluster is changed"


def touched(lab: Lab) -> dict[str, tuple[str, str]]:
    """The masters' processes and files."""
    return {host: (server(lab, host), touched_files(lab, host)) for host in HOSTS}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(SECRETS_ONLY)
    return path


@pytest.fixture(scope="module")
def limited(cluster: Lab, policy: Path) -> Run:
    return succeed(enable(cluster, policy, "--limit", "m2"))


def test_the_limit_is_kept(cluster: Lab, limited: Run) -> None:
    assert ["m2"] == limited.restarts
    assert ["m2"] == [host for host in HOSTS if audit_flags(cluster, host)]


def test_masters_outside_the_limit_are_asked_for_their_health(limited: Run) -> None:
    asked = limited.text.partition("Gate | Ask every other API server")[2].partition("\nTASK [")[0]

    assert ["m1", "m3"] == [host for host in HOSTS if f"(item={host})" in asked]


@pytest.fixture(scope="class")
def down(cluster: Lab, limited: Run) -> Iterator[None]:
    """m3 without its API server."""
    cluster.ssh("m3", ["sh", "-c", STOP_SERVER])
    yield
    cluster.reset()


@pytest.mark.usefixtures("down")
class TestAMasterIsDown:
    """Nobody is touched then."""

    def test_nothing_is_touched(self, cluster: Lab, policy: Path) -> None:
        before = touched(cluster)
        run = enable(cluster, policy, answering=["m1", "m2"])

        assert 2 == run.code, run.text
        assert NOT_READ in run.said
        assert before == touched(cluster)

    def test_nothing_is_touched_with_a_limit(self, cluster: Lab, policy: Path) -> None:
        before = touched(cluster)
        run = enable(cluster, policy, "--limit", "m1", answering=["m1", "m2"])

        assert 2 == run.code, run.text
        assert "m1 is not touched, because another API server of its cluster is not ready: m3 (" in run.said
        assert before == touched(cluster)

    def test_nothing_is_touched_while_it_cannot_be_reached(self, cluster: Lab, policy: Path) -> None:
        before = touched(cluster)
        cluster.cut("m3")
        try:
            run = enable(cluster, policy, answering=["m1", "m2"])
        finally:
            cluster.mend("m3")

        assert 2 == run.code, run.text
        assert NOT_READ in run.said
        assert before == touched(cluster)


@pytest.fixture(scope="module")
def two_clusters(cluster: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """m1 and m2 are one cluster; m3 is another one, whose log can't be written."""
    cluster.reset()
    cluster.ssh("m3", ["sh", "-ec", MAKE_LOGS_READ_ONLY])
    directory = tmp_path_factory.mktemp("clusters")
    policy = directory / "policy.yaml"
    policy.write_text(CONFIGMAPS_ONLY)
    named = {"m1": {"kaudit_cluster": "a"}, "m2": {"kaudit_cluster": "a"}, "m3": {"kaudit_cluster": "b"}}
    run = enable(cluster, policy, "-i", write_inventory(directory / "clusters.yml", named))
    cluster.ssh("m3", ["umount", LOGS])
    return run


def test_a_failing_cluster_fails_the_run(two_clusters: Run) -> None:
    assert 2 == two_clusters.code, two_clusters.text


def test_a_failing_cluster_does_not_stop_the_other(cluster: Lab, two_clusters: Run) -> None:
    assert {"m1": "deployed", "m2": "deployed", "m3": "rolled-back"} == {
        host: records(cluster, host)[-1]["outcome"] for host in HOSTS
    }


def test_clusters_go_side_by_side_and_masters_of_one_in_turn(two_clusters: Run) -> None:
    ends = {outage.host: outage.end for outage in two_clusters.outages}
    starts = {outage.host: outage.start for outage in reversed(two_clusters.outages)}

    assert ends["m1"] is not None
    assert starts["m3"] < ends["m1"] < starts["m2"]
