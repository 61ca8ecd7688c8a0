"""kaudit_core.receiver.window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.receiver.window import Window

STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=60)


@given(st.integers(1, 10), STEPS)
def test_the_newest_are_known_and_memory_is_bounded(events: int, steps: list[tuple[int, int]]) -> None:
    """At least the newest `events` keys that are young enough are known, and never more than twice as many."""
    now, seconds, order = 0.0, 20, dict[bytes, float]()
    window = Window(events, seconds, lambda: now)
    for number, passed in steps:
        now += passed
        key = number.to_bytes(1)
        if key not in window:
            window.add([key])
            order.pop(key, None)
            order[key] = now
        must = [one for one in list(order)[-events:] if now - order[one] < seconds]

        assert [] == [one for one in must if one not in window]
        assert len(window) <= 2 * events


def test_a_clock_that_does_not_move_forgets_nothing_young() -> None:
    """Only the number of keys ages them then."""
    window = Window(2, 10, lambda: 0.0)
    window.add([b"a", b"b", b"c"])

    assert [True, True, True] == [key in window for key in (b"a", b"b", b"c")]
