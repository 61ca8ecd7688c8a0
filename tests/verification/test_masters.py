"""All masters' fetched logs, each record judged by the policy of its time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.report.masters_text import masters_text
from kaudit_core.verification.masters import LogsUnusable, verify_masters
from tests.verification.events import pod_event

NOTHING_BUT_SECRETS = b"""\
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
  resources: [{group: "", resources: [secrets]}]
"""
EVERYTHING = b"""\
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
"""
EARLY, LATE = "2026-11-21T04:30:00.000000Z", "2026-11-21T05:30:00.000000Z"


def sha256(policy: bytes) -> str:
    """A policy's name."""
    return hashlib.sha256(policy).hexdigest()


def logged(resource: str, time: str) -> bytes:
    """An event of reading something, at a time."""
    uri = f"/api/v1/namespaces/default/{resource}/x"
    reference = {"resource": resource, "namespace": "default", "name": "x", "apiVersion": "v1"}
    made = pod_event(requestURI=uri, verb="get", objectRef=reference, level="Metadata", stageTimestamp=time)
    return json.dumps(made, separators=(",", ":")).encode() + b"\n"


def master(directory: Path, name: str, log: bytes, *deployed: tuple[bytes, str]) -> None:
    """What verify.yml fetches of one master; deployed: policies with the hour from which they were in force."""
    place = directory / name
    (place / "log").mkdir(parents=True)
    (place / "log" / "audit.log").write_bytes(log)
    entries: list[dict[str, Any]] = []
    for policy, hour in deployed:
        (place / "policies").mkdir(exist_ok=True)
        (place / "policies" / f"{sha256(policy)}.yaml").write_bytes(policy)
        since = f"2026-11-21T{hour}:00:02Z"
        version = {"kubernetes_version": "v1.35.4"}
        entries.append({"outcome": "deployed", "policy_sha256": sha256(policy), "since": since, **version})
    if deployed:
        (place / "deployments.json").write_text(json.dumps(entries))


def test_each_record_is_judged_by_the_policy_of_its_time(tmp_path: Path) -> None:
    log = logged("secrets", EARLY) + logged("pods", LATE)
    master(tmp_path, "m1", log, (NOTHING_BUT_SECRETS, "04"), (EVERYTHING, "05"))

    found = verify_masters(tmp_path, ["m1"], None, 10)

    assert {"agrees": 2} == dict(found.summary.outcomes)
    assert [sha256(NOTHING_BUT_SECRETS), sha256(EVERYTHING)] == [each.period.policy for each in found.judged]


def test_an_event_that_the_policy_of_its_time_forbids_is_found(tmp_path: Path) -> None:
    master(tmp_path, "m1", logged("pods", EARLY), (NOTHING_BUT_SECRETS, "04"), (EVERYTHING, "05"))

    found = verify_masters(tmp_path, ["m1"], None, 10)

    assert {"unexpected-event": 1} == dict(found.summary.outcomes)
    assert 1 == found.summary.exit_code()


def test_records_from_before_the_first_deployment_are_counted_and_not_judged(tmp_path: Path) -> None:
    master(tmp_path, "m1", logged("pods", EARLY) + logged("pods", LATE), (EVERYTHING, "05"))

    found = verify_masters(tmp_path, ["m1"], None, 10)

    assert {"m1": 1} == found.not_judged
    assert 1 == found.summary.events


def test_a_live_logs_unfinished_line_is_no_record(tmp_path: Path) -> None:
    log = logged("secrets", EARLY) + logged("pods", LATE) + b'{"kind":"Ev'
    master(tmp_path, "m1", log, (NOTHING_BUT_SECRETS, "04"), (EVERYTHING, "05"))

    found = verify_masters(tmp_path, ["m1"], None, 10)

    assert {"agrees": 2} == dict(found.summary.outcomes)


def test_masters_with_one_policy_are_reported_together(tmp_path: Path) -> None:
    for name in ("m1", "m2"):
        master(tmp_path, name, logged("pods", LATE), (EVERYTHING, "05"))

    found = verify_masters(tmp_path, ["m1", "m2"], None, 10)

    [(_, summary)] = found.by_policy().values()
    assert 2 == summary.events


def test_a_master_without_a_record_needs_a_policy(tmp_path: Path) -> None:
    master(tmp_path, "m1", logged("pods", LATE))

    with pytest.raises(LogsUnusable, match="m1: auditing was not enabled there by kaudit.*audit_policy_file"):
        verify_masters(tmp_path, ["m1"], None, 10)


def test_a_master_without_a_record_is_judged_by_the_given_policy(tmp_path: Path) -> None:
    master(tmp_path, "m1", logged("pods", LATE))

    found = verify_masters(tmp_path, ["m1"], (EVERYTHING, "policy.yaml"), 10)

    assert {"agrees": 1} == dict(found.summary.outcomes)
    assert sha256(EVERYTHING) == found.judged[0].period.policy


def test_a_recorded_policy_that_is_missing_is_named(tmp_path: Path) -> None:
    master(tmp_path, "m1", logged("pods", LATE), (EVERYTHING, "05"))
    (tmp_path / "m1" / "policies" / f"{sha256(EVERYTHING)}.yaml").unlink()

    with pytest.raises(LogsUnusable, match=f"m1: the policy {sha256(EVERYTHING)} of its record is missing"):
        verify_masters(tmp_path, ["m1"], None, 10)


def test_a_log_that_is_cut_off_is_unreadable_and_not_lost(tmp_path: Path) -> None:
    import gzip

    master(tmp_path, "m1", logged("pods", LATE), (EVERYTHING, "05"))
    whole = gzip.compress(logged("pods", LATE) * 50)
    (tmp_path / "m1" / "log" / "audit-2026-11-21T05-40-00.000.log.gz").write_bytes(whole[:-9])

    found = verify_masters(tmp_path, ["m1"], None, 10)

    assert 3 == found.summary.exit_code()
    assert len(found.summary.unreadable) == 1


def test_the_report_names_masters_policies_and_findings(tmp_path: Path) -> None:
    master(tmp_path, "m1", logged("pods", EARLY), (NOTHING_BUT_SECRETS, "04"))
    master(tmp_path, "m2", logged("pods", LATE), (EVERYTHING, "05"))

    text = masters_text(verify_masters(tmp_path, ["m1", "m2"], None, 10), strict=False)

    rows = [line.split() for line in text.splitlines()[:3]]
    assert ["MASTER", "POLICY", "SINCE", "(UTC)", "RECORDS", "SIZE", "FINDINGS"] == rows[0]
    assert ["m1", sha256(NOTHING_BUT_SECRETS)[:12], "2026-11-21", "04:00:00", "1"] == rows[1][:5]
    assert rows[1][-2:] == ["1", "unexpected-event"]
    assert "none" == rows[2][-1]
