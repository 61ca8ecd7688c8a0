"""Which policy a record is judged by: periods of a deployment record, and logs cut into them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.segments import Segment, SegmentError
from kaudit_core.verification.timeline import ALWAYS, Period, cut, periods

A, B = "a" * 64, "b" * 64
TWO = [Period(ALWAYS, None), Period("2026-11-21T04:00:00Z", A), Period("2026-11-21T05:00:00Z", B)]


def entry(outcome: str, policy: str, since: str = "", begun: str = "") -> dict[str, Any]:
    """A line of a deployment record; times of 2026-11-21."""
    times = {"since": f"2026-11-21T{since}Z" if since else "", "from": f"2026-11-21T{begun}Z" if begun else ""}
    return {"outcome": outcome, "policy_sha256": policy, **times}


def line(time: str, rest: str = "") -> bytes:
    """A line of a log with a time of 2026-11-21."""
    return f'{{"auditID":"x"{rest},"stageTimestamp":"2026-11-21T{time}.000000Z"}}\n'.encode()


def cut_into(
    tmp_path: Path, found: list[Period], *lines: bytes, name: str = "audit.log"
) -> list[tuple[str | None, bytes]]:
    """The parts of a log of these lines, as policy and bytes."""
    path = tmp_path / "log" / name
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"".join(lines)) if name.endswith(".gz") else b"".join(lines))
    parts = cut(Segment(str(path), name.endswith(".gz"), True), found, tmp_path / "parts")
    return [(period.policy, Path(file).read_bytes()) for period, file, _ in parts]


def test_nothing_is_known_before_the_first_deployment() -> None:
    assert [Period(ALWAYS, None)] == periods([])


def test_a_deployment_counts_from_just_before_its_server_started() -> None:
    record = [entry("deployed", A, since="04:00:02", begun="03:59:00")]

    assert [Period(ALWAYS, None), Period("2026-11-21T04:00:00Z", A)] == periods(record)


def test_the_policy_before_is_in_force_until_the_next_server_starts() -> None:
    record = [entry("deployed", A, since="04:00:02"), entry("deployed", B, since="05:00:02", begun="04:59:00")]

    assert TWO == periods(record)


@pytest.mark.parametrize("outcome", ["rolled-back", "restored-by-timer"])
def test_what_a_failed_deployment_logged_is_nobodys(outcome: str) -> None:
    record = [entry("deployed", A, since="04:00:02"), entry(outcome, B, since="04:31:02", begun="04:30:02")]

    wanted = [Period("2026-11-21T04:30:00Z", None), Period("2026-11-21T04:31:00Z", A)]
    assert [*TWO[:2], *wanted] == periods(record)


def test_a_failed_first_deployment_leaves_nothing_in_force() -> None:
    assert [Period(ALWAYS, None)] == periods([entry("rolled-back", A, since="04:01:00", begun="04:00:00")])


def test_disabling_ends_a_period() -> None:
    record = [entry("deployed", A, since="04:00:02"), entry("disabled", "", since="05:00:02")]

    assert [*TWO[:2], Period("2026-11-21T05:00:00Z", None)] == periods(record)


def test_a_redeployed_policy_stays_one_period() -> None:
    record = [entry("deployed", A, since="04:00:02"), entry("deployed", A, since="05:00:02")]

    assert TWO[:2] == periods(record)


def test_a_segment_of_one_period_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(line("04:30:00") + line("04:31:00"))

    assert [(TWO[1], str(path), 2)] == list(cut(Segment(str(path), False, True), TWO, tmp_path / "parts"))
    assert not (tmp_path / "parts").exists()


def test_a_segment_is_cut_where_a_period_begins(tmp_path: Path) -> None:
    old, new = line("04:59:59"), line("05:00:00")

    assert [(A, old), (B, new)] == cut_into(tmp_path, TWO, old, new)


def test_a_compressed_segment_is_cut_too(tmp_path: Path) -> None:
    old, new = line("04:59:59"), line("05:00:00")

    assert [(A, old), (B, new)] == cut_into(tmp_path, TWO, old, new, name="audit-2026-11-21T05-10-00.000.log.gz")


def test_a_line_without_a_time_stays_with_the_line_before(tmp_path: Path) -> None:
    old, torn, new = line("04:59:59"), b'{"torn\n', line("05:00:00")

    assert [(A, old + torn), (B, new)] == cut_into(tmp_path, TWO, old, torn, new)


def test_the_log_never_goes_back_to_an_earlier_policy(tmp_path: Path) -> None:
    new, late = line("05:00:00"), line("04:59:59")

    assert [(B, new + late)] == cut_into(tmp_path, TWO, new, late)


def test_a_time_inside_a_body_is_not_the_events(tmp_path: Path) -> None:
    old = line("04:30:00", ',"requestObject":{"stageTimestamp":"2026-11-21T05:30:00.000000Z"}')
    new = line("05:00:00")

    assert [(A, old), (B, new)] == cut_into(tmp_path, TWO, old, new)


def test_an_empty_segment_has_no_lines(tmp_path: Path) -> None:
    assert [(None, b"")] == cut_into(tmp_path, TWO)


def test_a_segment_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SegmentError):
        list(cut(Segment(str(tmp_path / "none.log"), False, True), TWO, tmp_path / "parts"))


@given(st.lists(st.integers(0, 9), max_size=12))
def test_the_parts_are_the_segment(tmp_path_factory: pytest.TempPathFactory, minutes: list[int]) -> None:
    lines = [line(f"0{minute // 3 + 3}:30:00") for minute in minutes]

    parts = cut_into(tmp_path_factory.mktemp("law"), TWO, *lines)

    assert b"".join(lines) == b"".join(data for _, data in parts)
