"""The audit logs of a cluster's masters, fetched into one directory, each record judged by the policy of its time.

Layout of the directory, one below it for each master: `log/` its segments, `deployments.json` its deployment record,
`policies/SHA256.yaml` the policies that were deployed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaudit_core.events.segments import Segment, SegmentError, find_segments
from kaudit_core.matcher.engine import Options, select
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Policy
from kaudit_core.policy.versions import DEFAULT, KubernetesVersion
from kaudit_core.verification.summary import PolicyIdentity, SegmentSummary, Summary
from kaudit_core.verification.timeline import ALWAYS, Period, cut, periods


class LogsUnusable(Exception):
    """The fetched files of a master can't be judged: which, why, and what to do."""


@dataclass
class JudgedPeriod:
    """What a master logged while one policy was in force."""

    host: str
    period: Period
    policy: Policy
    summary: Summary


@dataclass
class Verification:
    """All masters. not_judged: by master, lines of periods in which no policy of ours was in force."""

    judged: list[JudgedPeriod] = field(default_factory=list)
    not_judged: dict[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> Summary:
        """Everything that was judged, together."""
        total = Summary()
        for each in self.judged:
            total = total.merge(each.summary)
        return total

    def by_policy(self) -> dict[str, tuple[Policy, Summary]]:
        """Every policy with what was judged by it."""
        made: dict[str, tuple[Policy, Summary]] = {}
        for each in self.judged:
            _, known = made.get(each.period.policy or "", (each.policy, Summary()))
            made[each.period.policy or ""] = (each.policy, known.merge(each.summary))
        return made

    def as_json(self) -> dict[str, Any]:
        """Plain values: every master and period with the object that `kaudit verify --format json` prints."""
        masters = [
            {"master": each.host, "since": each.period.since, "policy": each.period.policy, **each.summary.as_json()}
            for each in self.judged
        ]
        return {"masters": masters, "not_judged": self.not_judged, "total": self.summary.as_json()}


def verify_masters(
    directory: Path, hosts: Sequence[str], given: tuple[bytes, str] | None, examples: int
) -> Verification:
    """Judge every master's log; `given`: a policy with its source, for masters without a record."""
    made = Verification()
    for host in hosts:
        place = directory / host
        found = _periods(place, host, given)
        shutil.rmtree(place / "parts", ignore_errors=True)
        for period, files in _files(place, host, found, made).items():
            policy, source, sha256 = _policy(place, host, period, given)
            made.judged.append(JudgedPeriod(host, Period(period.since, sha256), policy, Summary()))
            _judge(made.judged[-1], files, PolicyIdentity(sha256, source), examples)
    return made


def _periods(place: Path, host: str, given: tuple[bytes, str] | None) -> list[Period]:
    record = place / "deployments.json"
    if record.exists():
        return periods(json.loads(record.read_bytes()))
    if given is None:
        raise LogsUnusable(
            f"{host}: auditing was not enabled there by kaudit, so nobody knows its policy; run enable.yml, or name the"
            " policy with audit_policy_file"
        )
    return [Period(ALWAYS, "given")]


def _files(place: Path, host: str, found: Sequence[Period], made: Verification) -> dict[Period, list[str]]:
    """The files to judge by the period; counts what belongs to none."""
    segments, errors, _ = find_segments([str(place / "log")])
    if errors:
        raise LogsUnusable(f"{host}: {errors[0][1]}")
    files: dict[Period, list[str]] = {}
    for segment in segments:
        try:
            for period, file, lines in cut(segment, found, place / "parts"):
                if period.policy is None:
                    made.not_judged[host] = made.not_judged.get(host, 0) + lines
                else:
                    files.setdefault(period, []).append(file)
        except SegmentError:
            # Cut off or damaged: what can be read is judged by the newest policy, and the rest is reported with it.
            files.setdefault(found[-1], []).append(segment.path)
    return files


def _policy(place: Path, host: str, period: Period, given: tuple[bytes, str] | None) -> tuple[Policy, str, str]:
    file = place / "policies" / f"{period.policy}.yaml"
    if given is not None and period.policy == "given":
        data, source = given
    elif file.exists():
        data, source = file.read_bytes(), file.name
    else:
        raise LogsUnusable(f"{host}: the policy {period.policy} of its record is missing: {file}")
    version = _version(place, period)
    reading = read_policy(data, source, version)
    if reading.policy is None:
        raise LogsUnusable(
            f"{host}: an API server {version} refuses the policy {source}: {reading.findings[0].message}"
        )
    return reading.policy, source, reading.sha256


def _version(place: Path, period: Period) -> KubernetesVersion:
    record = place / "deployments.json"
    entries: Iterable[Mapping[str, Any]] = json.loads(record.read_bytes()) if record.exists() else []
    found = [entry["kubernetes_version"] for entry in entries if entry["policy_sha256"] == period.policy]
    try:
        return KubernetesVersion.parse(found[-1]) if found else DEFAULT
    except ValueError:
        return DEFAULT


def _judge(judged: JudgedPeriod, files: Sequence[str], identity: PolicyIdentity, examples: int) -> None:
    segments, errors, _ = find_segments(files)
    newest = segments[-1].path if segments else ""
    given = [Segment(each.path, each.compressed, each.path == newest) for each in segments]
    judged.summary = select().verify(judged.policy, given, Options(examples=examples))
    for path, reason in errors:
        judged.summary.add_segment(SegmentSummary(path, error=reason))
    judged.summary.policies = (identity,)
