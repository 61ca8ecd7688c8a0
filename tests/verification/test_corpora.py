"""Real logs with the upstream evaluator's answer for every event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.events.records import Record, read_records
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Policy
from kaudit_core.verification.judge import Judge
from tests.engines import EngineUnderTest

REAL = Path(__file__).parents[1] / "corpus" / "real"
SHARED = Path(__file__).parents[3] / "shared" / "corpus"
needs_full_corpus = pytest.mark.skipif(not SHARED.is_dir(), reason="the full corpus (../shared/corpus) is not here")

PLACES = [pytest.param(REAL, id="excerpt"), pytest.param(SHARED, id="full", marks=needs_full_corpus)]
WITH_ANSWERS = ("ack", "everything", "truncate-batch")


def policy_in(folder: Path) -> Policy:
    """The policy that was in force."""
    policy = read_policy((folder / "policy.yaml").read_bytes(), "policy.yaml").policy
    assert policy is not None
    return policy


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WITH_ANSWERS)
def test_every_event_is_decided_as_upstream_decided_it(place: Path, name: str) -> None:
    """Rule, level, stages and managed fields equal the upstream evaluator's answer, event by event."""
    folder = place / name
    judge = Judge(policy_in(folder))
    answers = [json.loads(line) for line in (folder / "oracle.jsonl").read_bytes().splitlines()]
    with (folder / "audit.log").open("rb") as stream:
        records = [record for record in read_records(stream, newest=True) if isinstance(record, Record)]

    assert len(answers) == len(records)
    for record, answer in zip(records, answers, strict=True):
        assert record.event is not None, record
        assert expected(answer) == decided(judge, record), (answer, record.event["requestURI"])


def expected(answer: dict[str, Any]) -> Any:
    """The oracle's answer as a decision; an error is none."""
    if "error" in answer:
        return None
    rule = None if answer["rule"] == -1 else answer["rule"]
    return rule, answer["level"], tuple(answer["omitStages"]), answer["omitManagedFields"]


def decided(judge: Judge, record: Record) -> Any:
    """Our decision in the same form."""
    assert record.event is not None
    verdict, config = judge.judge(record), judge.decision(record)
    return (config.rule, config.level, config.omit_stages, config.omit_managed_fields) if verdict.decided else None


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WITH_ANSWERS)
def test_real_logs_agree_with_their_policy(engine: EngineUnderTest, place: Path, name: str) -> None:
    """Nothing is found but agreement and URIs that can't be read again, which are benign."""
    summary = engine.verify_files(policy_in(place / name), [place / name / "audit.log"], newest=True, join=True)

    assert set(summary.findings) <= {"agrees", "undecidable"}
    assert set(summary.reasons) <= {"uri-unparsable"}
    assert (0, 1) == (summary.exit_code(), summary.exit_code(strict=True))
    assert summary.events == sum(summary.outcomes.values())


@pytest.mark.parametrize("place", PLACES)
def test_full_disk_leaves_one_malformed_record(engine: EngineUnderTest, place: Path) -> None:
    """The torn line glued to the next is one malformed record, and reading resumes at the next newline."""
    folder = place / "disk-full"
    summary = engine.verify_files(policy_in(folder), [folder / "audit.log"], newest=True)

    assert {"malformed": 1, "agrees": summary.events - 1} == dict(summary.outcomes)
    assert ["glued"] == [example.reason for example in summary.examples["malformed"]]
    assert 3 == summary.exit_code()


@pytest.mark.parametrize("place", PLACES)
def test_legacy_format_names_the_flag_to_change(engine: EngineUnderTest, place: Path) -> None:
    """Every line is malformed, and the message says --audit-log-format=json."""
    folder = place / "legacy"
    summary = engine.verify_files(policy_in(folder), [folder / "audit.log"], newest=True)

    assert {"malformed": summary.events} == dict(summary.outcomes)
    assert "--audit-log-format=json" in summary.examples["malformed"][0].why
    assert 3 == summary.exit_code()


@pytest.mark.parametrize("place", PLACES)
def test_items_without_kind_and_their_duplicates_agree(engine: EngineUnderTest, place: Path) -> None:
    """What a webhook receiver was sent is readable as it stands."""
    folder = place / "webhook"
    summary = engine.verify_files(policy_in(folder), [folder / "received.log"], newest=True)

    assert {"agrees": summary.events} == dict(summary.outcomes)
    assert 0 == summary.exit_code()
