"""Summaries are a monoid, and a log may be split at any record without changing what is found."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Policy
from kaudit_core.verification.summary import PolicyIdentity, SegmentSummary, Summary
from tests.engines import ENGINES, EngineUnderTest, log_of
from tests.verification.events import path_event, pod_event

REAL = Path(__file__).parents[1] / "corpus" / "real"


@functools.cache
def policy() -> Policy:
    """The managed-cluster policy."""
    policy = read_policy((REAL / "ack" / "policy.yaml").read_bytes(), "policy.yaml").policy
    assert policy is not None
    return policy


@functools.cache
def pool() -> list[bytes]:
    """Lines of every kind: real ones, ones with findings, malformed ones, blank ones, an EventList."""
    real = (REAL / "ack" / "audit.log").read_bytes().splitlines(keepends=True)[:60]
    made = [
        log_of(pod_event(level="RequestResponse", responseObject={})),
        log_of(pod_event(stage="RequestReceived")),
        log_of(path_event("x@y")),
        log_of({"kind": "EventList", "items": [pod_event(), pod_event(verb="create"), 5]}),
        b"\n",
        b"not json\n",
        b'{"level":"Meta\n',
        b"\0\0\0\n",
    ]
    return real + made


logs = st.lists(st.integers(0, 67).map(lambda index: pool()[index]), max_size=12)
engines = st.sampled_from(ENGINES)


def summaries() -> st.SearchStrategy[Summary]:
    """Summaries that engines make, with a segment name and a policy of their own."""

    def made(engine: EngineUnderTest, log: list[bytes], name: str) -> Summary:
        summary = engine.verify(policy(), b"".join(log))
        (segment,) = summary.segments.values()
        summary.segments = {name: replace(segment, path=name)}
        summary.policies = (PolicyIdentity(name, name),)
        summary.kept = 3
        for examples in summary.examples.values():
            del examples[3:]
        return summary

    return st.builds(made, engines, logs, st.sampled_from("abc"))


@given(summaries(), summaries(), summaries())
def test_merging_is_associative(first: Summary, second: Summary, third: Summary) -> None:
    """Who merges first does not matter."""
    assert first.merge(second).merge(third).as_json() == first.merge(second.merge(third)).as_json()


@given(summaries())
def test_the_empty_summary_is_the_identity(summary: Summary) -> None:
    """Nothing, merged on either side, changes nothing."""
    assert summary.as_json() == Summary(0).merge(summary).as_json() == summary.merge(Summary(0)).as_json()


@given(summaries(), summaries())
def test_merging_changes_neither_side(first: Summary, second: Summary) -> None:
    """A summary may be merged into many others."""
    before = first.as_json(), second.as_json()
    first.merge(second)

    assert before == (first.as_json(), second.as_json())


@given(summaries())
def test_outcomes_sum_to_the_number_of_records(summary: Summary) -> None:
    """Every record has exactly one outcome; segments hold all of them."""
    assert summary.events == sum(summary.outcomes.values())
    assert (summary.events, summary.bytes) == (
        sum(segment.events for segment in summary.segments.values()),
        sum(segment.bytes for segment in summary.segments.values()),
    )


@given(engines, logs, st.data())
def test_splitting_a_log_at_any_record_changes_nothing(
    engine: EngineUnderTest, log: list[bytes], data: st.DataObject
) -> None:
    """Two parts verified apart and merged equal the whole, with every example at its place."""
    cut = data.draw(st.integers(0, len(log)))
    head, tail = b"".join(log[:cut]), b"".join(log[cut:])
    whole = engine.verify(policy(), head + tail)
    parts = engine.verify(policy(), head).merge(moved(engine.verify(policy(), tail), head))

    assert whole.as_json() == parts.as_json()


def moved(summary: Summary, before: bytes) -> Summary:
    """A part's summary with its examples where they are in the whole."""
    for examples in summary.examples.values():
        examples[:] = [
            replace(example, line=example.line + before.count(b"\n"), offset=example.offset + len(before))
            for example in examples
        ]
    return summary


@given(engines, st.lists(logs, min_size=1, max_size=3))
def test_segments_verified_together_equal_segments_merged(engine: EngineUnderTest, parts: list[list[bytes]]) -> None:
    """A run over several segments is the merge of a run over each."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / f"{number}.log" for number in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(b"".join(part))
        together: dict[str, Any] = engine.verify_files(policy(), paths).as_json()
        apart = [engine.verify_files(policy(), [path]) for path in paths]

        assert together == functools.reduce(Summary.merge, apart, Summary(0)).as_json()


def test_parts_of_one_segment_join_their_counts_and_keep_the_tail() -> None:
    """A segment that was read in parts is one segment."""
    parts = SegmentSummary("a", 1, 10), SegmentSummary("a", 2, 20, (30, 5)), SegmentSummary("a", error="cut off")
    merged = functools.reduce(SegmentSummary.merge, parts)

    assert SegmentSummary("a", 3, 30, (30, 5), "cut off") == merged
