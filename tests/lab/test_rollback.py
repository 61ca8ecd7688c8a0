"""A master that does not come back with auditing is put back, byte for byte, and no other one is touched.

Three clusters in one run: in each the first master fails in a way of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.deploying import (
    MAKE_LOGS_READ_ONLY,
    POLICY,
    SECRETS_ONLY,
    STATE,
    Run,
    audit_flags,
    enable,
    exists,
    records,
    server,
    timers,
    touched_files,
    write_inventory,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
NOWHERE = {"name": "extra", "host_path": "/srv/nowhere", "container_path": "/extra", "type": "Directory"}
HOSTS: dict[str, dict[str, Any]] = {
    "m1": {
        "kaudit_cluster": "flag",
        "apiserver_audit_extra_flags": {"audit-log-shape": "round"},
        "apiserver_audit_allow_untested": True,
    },
    "m2": {"kaudit_cluster": "mount", "apiserver_audit_extra_mounts": [NOWHERE]},
    "m3": {"kaudit_cluster": "read-only"},
    "m4": {"kaudit_cluster": "flag"},
}
FAILED = ["m1", "m2", "m3"]
CAUSES = {
    "m1": "unknown flag: --audit-log-shape",
    "m2": "hostPath type check failed: /srv/nowhere is not a directory",
    "m3": "read-only file system",
}


@dataclass(frozen=True)
class Seen:
    """A host at a moment."""

    manifest: str
    server: str
    files: str


def look(lab: Lab, host: str) -> Seen:
    """See a host."""
    return Seen(lab.read(host, MANIFEST), server(lab, host), touched_files(lab, host))


@dataclass(frozen=True)
class RolledBack:
    """The run, with the hosts before it."""

    lab: Lab
    before: dict[str, Seen]
    run: Run


@pytest.fixture(scope="module")
def rolled_back(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolledBack]:
    directory = tmp_path_factory.mktemp("rollback")
    policy = directory / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    inventory = write_inventory(directory / "clusters.yml", HOSTS)
    with Lab(hosts=len(HOSTS)) as lab:
        lab.ssh("m3", ["sh", "-ec", MAKE_LOGS_READ_ONLY])
        before = {host: look(lab, host) for host in HOSTS}
        run = enable(lab, policy, "-i", inventory, apiserver_audit_ready_timeout=45)
        yield RolledBack(lab, before, run)


def test_the_run_fails(rolled_back: RolledBack) -> None:
    assert 2 == rolled_back.run.code, rolled_back.run.text


@pytest.mark.parametrize("host", FAILED)
def test_the_cause_is_named(rolled_back: RolledBack, host: str) -> None:
    [message] = [
        line
        for line in rolled_back.run.text.splitlines()
        if line.startswith("fatal: ") and "no other master was touched" in line and f'"{host}: ' in line
    ]

    assert CAUSES[host] in message
    assert "Its API server serves as before" in message


@pytest.mark.parametrize("host", FAILED)
def test_the_manifest_has_its_bytes_again(rolled_back: RolledBack, host: str) -> None:
    assert rolled_back.before[host].manifest == rolled_back.lab.read(host, MANIFEST)


@pytest.mark.parametrize("host", FAILED)
def test_the_server_of_before_serves(rolled_back: RolledBack, host: str) -> None:
    assert "ok" == rolled_back.lab.kubectl(host, ["get", "--raw", "/readyz"]).stdout
    assert [] == audit_flags(rolled_back.lab, host)


@pytest.mark.parametrize("host", FAILED)
def test_nothing_is_left_but_the_record(rolled_back: RolledBack, host: str) -> None:
    left = [
        path for path in (POLICY, f"{STATE}/pending.json", f"{STATE}/restore") if exists(rolled_back.lab, host, path)
    ]

    assert ("", []) == (timers(rolled_back.lab, host), left)


@pytest.mark.parametrize("host", FAILED)
def test_the_record_says_why(rolled_back: RolledBack, host: str) -> None:
    [entry] = records(rolled_back.lab, host)

    assert "rolled-back" == entry["outcome"]
    assert CAUSES[host] in entry["why"]


def test_the_next_master_in_line_is_untouched(rolled_back: RolledBack) -> None:
    assert rolled_back.before["m4"] == look(rolled_back.lab, "m4")
