"""Rates: what was counted over the time that really passed, and None rather than a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.rates import RateWindow

WINDOW_S = 60.0


def rate_after(*readings: tuple[float, int]) -> float | None:
    window = RateWindow(WINDOW_S)
    for at_s, count in readings:
        window.add(at_s, count)
    return window.per_second()


class TestKnown:
    def test_nothing_is_known_of_less_than_two_readings(self) -> None:
        assert rate_after() is None
        assert rate_after((5.0, 100)) is None

    def test_two_readings_give_the_rate_between_them(self) -> None:
        assert rate_after((10.0, 100), (15.0, 150)) == 10.0

    def test_a_counter_that_stands_still_has_the_rate_zero(self) -> None:
        assert rate_after((10.0, 100), (15.0, 100)) == 0.0

    def test_a_pause_longer_than_the_window_is_averaged(self) -> None:
        assert rate_after((0.0, 0), (600.0, 6000)) == 10.0

    def test_a_first_reading_at_the_clocks_zero_counts(self) -> None:
        assert rate_after((0.0, 5), (1.0, 7)) == 2.0


class TestReset:
    def test_a_counter_that_goes_back_is_a_new_one(self) -> None:
        assert rate_after((0.0, 100), (5.0, 200), (10.0, 3)) is None
        assert rate_after((0.0, 100), (5.0, 200), (10.0, 3), (15.0, 13)) == 2.0

    def test_no_time_is_no_rate(self) -> None:
        assert rate_after((5.0, 100), (5.0, 200)) is None

    def test_the_last_of_two_readings_at_one_time_counts(self) -> None:
        assert rate_after((0.0, 0), (5.0, 10), (5.0, 20)) == 4.0

    def test_a_clock_that_goes_back_begins_anew(self) -> None:
        assert rate_after((100.0, 0), (105.0, 50), (50.0, 60)) is None
        assert rate_after((100.0, 0), (105.0, 50), (50.0, 60), (51.0, 63)) == 3.0

    def test_reset_forgets(self) -> None:
        window = RateWindow(WINDOW_S)
        window.add(0.0, 0)
        window.add(5.0, 10)
        window.reset()
        assert window.per_second() is None


class TestWindow:
    @pytest.mark.parametrize("interval_s", [0.5, 1.0, 5.0, 10.0])
    def test_a_change_is_all_there_is_after_a_window(self, interval_s: float) -> None:
        window, count, at_s = RateWindow(WINDOW_S), 0, 0.0
        while at_s < 300.0:
            window.add(at_s, count)
            at_s += interval_s
            count += int(1000 * interval_s)
        changed_s = at_s
        while at_s <= changed_s + WINDOW_S:
            window.add(at_s, count)
            at_s += interval_s
        assert window.per_second() == 0.0

    def test_a_slow_poll_knows_a_change_after_two_readings(self) -> None:
        # Further apart than a window: the last two readings decide alone.
        assert rate_after((0.0, 0), (100.0, 1000), (200.0, 1000), (300.0, 1000)) == 0.0


steps = st.lists(
    st.tuples(st.floats(min_value=0.01, max_value=100), st.integers(min_value=0, max_value=10**6)),
    min_size=1,
    max_size=50,
)


class TestAnySeries:
    @given(steps)
    def test_the_rate_lies_between_the_slowest_and_the_fastest_step(self, series: list[tuple[float, int]]) -> None:
        window, at_s, count = RateWindow(WINDOW_S), 1000.0, 7
        window.add(at_s, count)
        rates = []
        for elapsed_s, more in series:
            rates.append(more / ((at_s + elapsed_s) - at_s))
            at_s, count = at_s + elapsed_s, count + more
            window.add(at_s, count)
            rate = window.per_second()
            assert rate is not None
            assert min(rates) * (1 - 1e-9) <= rate <= max(rates) * (1 + 1e-9)

    @given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 2**63)), max_size=30))
    def test_whatever_is_read_the_rate_is_unknown_or_not_negative(self, readings: list[tuple[float, int]]) -> None:
        rate = rate_after(*readings)
        assert rate is None or rate >= 0
