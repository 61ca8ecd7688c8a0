"""What the poller concludes from answers."""

from __future__ import annotations

import pytest

from tests.lab.poller import Outage, Sample, most_down, outages_in


def samples(*rows: tuple[float, str, str]) -> list[Sample]:
    """Samples that were answered 0.1 s after they were sent."""
    return [Sample(sent, sent + 0.1, host, status) for sent, host, status in rows]


def test_an_outage_lasts_from_the_first_failed_probe_to_the_first_good_answer() -> None:
    seen = samples((1, "m1", "200"), (2, "m1", "ConnectionRefusedError"), (3, "m1", "500"), (4, "m1", "200"))

    assert [Outage("m1", 2, 4.1)] == outages_in(seen)


def test_a_server_that_does_not_come_back_stays_out() -> None:
    assert [Outage("m1", 1, None)] == outages_in(samples((1, "m1", "500")))


@pytest.mark.parametrize(
    ("outages", "worst"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([Outage("m1", 1, 2), Outage("m2", 2, 3)], 1, id="one after the other"),
        pytest.param([Outage("m1", 1, 2.5), Outage("m2", 2, 3)], 2, id="overlapping"),
        pytest.param([Outage("m1", 1, None), Outage("m2", 5, 6), Outage("m3", 8, 9)], 2, id="one never came back"),
    ],
)
def test_the_worst_moment_counts(outages: list[Outage], worst: int) -> None:
    assert worst == most_down(outages)
