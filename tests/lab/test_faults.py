"""What else may happen on a host meanwhile: a full disk on the second master, a policy that somebody deletes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.deploying import (
    POLICY,
    SECRETS_ONLY,
    STATE,
    Run,
    audit_flags,
    enable,
    records,
    timers,
    touched_files,
    write_inventory,
)
from tests.lab.lab import MANIFEST, Lab

pytestmark = pytest.mark.lab
# m1 to m3 are one cluster; m4 is one of its own, and is told that it is its only master.
HOSTS: dict[str, dict[str, Any]] = {
    **{host: {"kaudit_cluster": "full"} for host in ("m1", "m2", "m3")},
    "m4": {"kaudit_cluster": "deleted", "apiserver_audit_allow_outage": True},
}
FILL = f"mkdir -p {STATE}; mount -t tmpfs -o size=4k,mode=0700 tmpfs {STATE}"
DELETE = f"systemd-run --collect sh -c 'until rm {POLICY} 2>/dev/null; do sleep 0.02; done'"


@dataclass(frozen=True)
class Faults:
    """The run in which m2 and m4 failed, and what was there before."""

    lab: Lab
    policy: Path
    inventory: str
    manifests: dict[str, str]
    untouched: str
    run: Run

    @property
    def messages(self) -> dict[str, str]:
        """How each host's turn ended, by host."""
        found = [line for line in self.run.text.splitlines() if line.startswith("fatal: ") and "(Turn" not in line]
        return {host: line for line in found for host in HOSTS if f'"msg": "{host}: ' in line}


@pytest.fixture(scope="module")
def faults(lab_machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    directory = tmp_path_factory.mktemp("faults")
    policy = directory / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    inventory = write_inventory(directory / "clusters.yml", HOSTS)
    with Lab(hosts=len(HOSTS)) as lab:
        lab.ssh("m2", ["sh", "-ec", FILL])
        lab.ssh("m4", ["sh", "-ec", DELETE])
        manifests = {host: lab.read(host, MANIFEST) for host in HOSTS}
        untouched = touched_files(lab, "m3")
        run = enable(lab, policy, "-i", inventory, apiserver_audit_ready_timeout=45)
        yield Faults(lab, policy, inventory, manifests, untouched, run)


def test_a_full_disk_is_found_before_the_server_is_touched(faults: Faults) -> None:
    assert 2 == faults.run.code, faults.run.text
    assert "No space left on device" in faults.messages["m2"]
    assert "Its API server serves as before; m1 stays as changed before, no other" in faults.messages["m2"]
    assert "m2" not in faults.run.restarts


def test_the_master_before_stays_and_the_one_after_is_untouched(faults: Faults) -> None:
    assert ["deployed"] == [entry["outcome"] for entry in records(faults.lab, "m1")]
    assert faults.untouched == touched_files(faults.lab, "m3")


def test_a_policy_deleted_meanwhile_is_named_and_everything_put_back(faults: Faults) -> None:
    assert f"open {POLICY}: no such file or directory" in faults.messages["m4"]
    assert "Its API server serves as before; no other" in faults.messages["m4"]


@pytest.mark.parametrize("host", ["m2", "m4"])
def test_the_host_is_as_before(faults: Faults, host: str) -> None:
    assert faults.manifests[host] == faults.lab.read(host, MANIFEST)
    assert ([], "") == (audit_flags(faults.lab, host), timers(faults.lab, host))
