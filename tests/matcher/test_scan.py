"""Matcher.scan: the rows of compiled code are the rows of the reference, at their place."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kaudit_core.events.records import Record, read_records
from kaudit_core.events.segments import Segment, SegmentError
from kaudit_core.matcher import Matcher
from kaudit_core.matcher.engine import available
from kaudit_core.policy.types import Policy
from kaudit_core.verification.judge import Judge
from tests.matcher.test_native_engine import EVENTS, log_in, policy_in, some_lines, strict, written

pytestmark = pytest.mark.skipif("native" not in available(), reason="the extension was not built: needs a C++ compiler")


def expected_rows(policy: Policy, log: bytes) -> list[dict[str, Any]]:
    """Every record read and judged by the reference."""
    from kaudit_core.matcher.scan import _batch, _rows

    judge = Judge(policy)
    records = [one for one in read_records(io.BytesIO(log), newest=False) if isinstance(one, Record)]
    rows: list[dict[str, Any]] = _batch(_rows(Segment("bytes 0", False, False), judge, records)).to_pylist()
    return rows


def found_rows(policy: Policy, log: bytes) -> list[dict[str, Any]]:
    """What scan gives."""
    return [row for batch in Matcher(policy, engine="native").scan(log) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", ["ack", "everything", "webhook", "disk-full"])
def test_rows_of_real_logs(name: str) -> None:
    """Texts, numbers, groups, outcomes and rules of real events."""
    log = log_in(name).read_bytes()

    assert expected_rows(policy_in(name), log) == found_rows(policy_in(name), log)


@pytest.mark.parametrize("block", [4_096, 1 << 20])
def test_rows_of_mutated_logs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd records stand where they stand in the log, in blocks of any size."""
    from kaudit_core.matcher import scan

    monkeypatch.setattr(scan.scan_segment, "__defaults__", (block,))
    rng = Random(block)
    real = [line for line in log_in("ack").read_bytes().splitlines() if len(line) < 4_000]
    for _ in range(20):
        log = b"\n".join([written(EVENTS[0]), *some_lines(rng, real)])

        assert expected_rows(strict(), log) == found_rows(strict(), log)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(rb"a\u0026b\u003c\u003e", "a&b<>", id="html"),
        pytest.param(rb"\b\f\n\r\t\"\\\/", '\b\f\n\r\t"\\/', id="short"),
        pytest.param(rb"\u00e9\u20ac\ud83d\ude00", "é€😀", id="every-length-of-utf-8"),
        pytest.param(rb"\ud83dx\ude00\ud83d", "\ufffdx\ufffd\ufffd", id="half-pairs"),
        pytest.param(rb"\ud83d\ud83d\ude00\u0000", "\ufffd😀\0", id="half-pair-before-a-pair"),
    ],
)
def test_escapes_are_decoded(raw: bytes, text: str) -> None:
    """Texts are what the reference makes of them."""
    log = written(EVENTS[9]).replace(b'"agent/1 ', b'"' + raw) + b"\n"
    (row,) = found_rows(strict(), log)

    assert row["userAgent"].startswith(text)
    assert expected_rows(strict(), log) == [row]


def test_what_can_not_be_read_is_raised_last(tmp_path: Path) -> None:
    """The records before the break come first."""
    path = tmp_path / "none.log"
    batches = Matcher(strict(), engine="native").scan(written(EVENTS[0]) + b"\n", path)

    assert 1 == next(batches).num_rows
    with pytest.raises(SegmentError, match=r"none\.log"):
        next(batches)
