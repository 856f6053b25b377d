"""Headroom: when the first undelivered entry will be gone, by the limit that comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.entry_id import EntryId
from rlb.domain.lag import Lag
from rlb.domain.retention import SAFE, UNKNOWN, Backlog, Headroom, Retention, RetentionWatch, estimated_lag, headroom

WINDOW_S = 60.0


def backlog(
    lag: int | None = 1000,
    *,
    age_s: float | None = 100.0,
    written: float | None = 10.0,
    read: float | None = 0.0,
) -> Backlog:
    return Backlog(lag, age_s, written, read)


CAPPED = Retention(max_length=10_000)
AGED = Retention(max_age_s=3600.0)
EXPIRING = Retention(ttl_s=600.0)


class TestNothingToLose:
    def test_a_group_that_has_everything_is_safe_whatever_comes(self) -> None:
        everything = Retention(max_length=1, max_age_s=0.0, ttl_s=0.0)
        assert headroom(everything, Backlog(0, None, None, None)) == SAFE

    def test_a_stream_that_nothing_is_taken_from_is_safe_whatever_is_known(self) -> None:
        assert headroom(Retention(), Backlog(None, None, None, None)) == SAFE

    def test_an_unknown_lag_is_an_unknown_headroom(self) -> None:
        assert headroom(CAPPED, backlog(None)) == UNKNOWN


class TestByLength:
    def test_the_lag_grows_up_to_the_cap(self) -> None:
        assert headroom(CAPPED, backlog(1000, written=100, read=10)) == Headroom("ends", 100.0, "length")

    def test_a_lag_that_does_not_grow_never_reaches_it(self) -> None:
        assert headroom(CAPPED, backlog(9_999, written=100, read=100)) == SAFE

    def test_a_lag_at_the_cap_loses_with_the_next_write(self) -> None:
        assert headroom(CAPPED, backlog(10_000, written=1, read=50)) == Headroom("ends", 0.0, "length")
        assert headroom(CAPPED, backlog(10_090, written=2, read=1)) == Headroom("ends", 0.0, "length")

    def test_nothing_is_trimmed_while_nothing_is_written(self) -> None:
        assert headroom(CAPPED, backlog(10_090, written=0, read=0)) == SAFE

    @pytest.mark.parametrize(("written", "read"), [(None, 5.0), (5.0, None)])
    def test_without_a_rate_it_is_unknown(self, written: float | None, read: float | None) -> None:
        assert headroom(CAPPED, backlog(written=written, read=read)) == UNKNOWN


class TestByAge:
    def test_unread_the_oldest_goes_when_it_is_old_enough(self) -> None:
        assert headroom(AGED, backlog(age_s=3500.0, read=0)) == Headroom("ends", 100.0, "age")

    def test_read_at_half_the_pace_it_ages_at_half_the_pace(self) -> None:
        # 1000 entries in 100 s: written at 10 a second.
        assert headroom(AGED, backlog(1000, age_s=100.0, written=10, read=5)) == Headroom("ends", 7000.0, "age")

    def test_read_as_fast_as_written_it_ages_no_more(self) -> None:
        assert headroom(AGED, backlog(1000, age_s=100.0, written=10, read=10)) == SAFE

    def test_a_backlog_that_is_read_in_time_is_safe(self) -> None:
        assert headroom(AGED, backlog(1000, age_s=3500.0, written=0, read=20)) == SAFE
        assert headroom(AGED, backlog(1000, age_s=3599.0, written=0, read=0.2)).state == "ends"

    def test_what_is_too_old_already_is_gone_with_the_next_trim(self) -> None:
        assert headroom(AGED, backlog(age_s=3601.0, read=None)) == Headroom("ends", 0.0, "age")

    @pytest.mark.parametrize(("age_s", "read"), [(None, 5.0), (10.0, None)])
    def test_without_an_age_or_a_rate_it_is_unknown(self, age_s: float | None, read: float | None) -> None:
        assert headroom(AGED, backlog(age_s=age_s, read=read)) == UNKNOWN


class TestByExpiry:
    def test_unread_it_goes_with_the_key(self) -> None:
        assert headroom(EXPIRING, backlog(read=0)) == Headroom("ends", 600.0, "expiry")
        assert headroom(EXPIRING, backlog(read=None, written=None)) == Headroom("ends", 600.0, "expiry")

    def test_a_backlog_that_is_read_before_is_safe(self) -> None:
        assert headroom(EXPIRING, backlog(1000, written=0, read=2)) == SAFE
        assert headroom(EXPIRING, backlog(1300, written=0, read=2)).seconds == 600.0

    def test_a_group_that_reads_along_is_safe_a_moments_noise_included(self) -> None:
        assert headroom(EXPIRING, backlog(5, written=100.1, read=100)) == SAFE

    def test_one_that_falls_behind_more_and_more_is_not(self) -> None:
        assert headroom(EXPIRING, backlog(5, written=100, read=10)).seconds == 600.0


class TestTheFirst:
    def test_the_least_of_all_counts(self) -> None:
        all_three = Retention(max_length=10_000, max_age_s=3600.0, ttl_s=600.0)
        assert headroom(all_three, backlog(9_000, age_s=3000, written=100)) == Headroom("ends", 10.0, "length")
        assert headroom(all_three, backlog(9_000, age_s=3590, written=1)) == Headroom("ends", 10.0, "age")
        assert headroom(all_three, backlog(9_000, age_s=1000, written=1)) == Headroom("ends", 600.0, "expiry")

    def test_what_is_known_counts_where_another_is_not(self) -> None:
        assert headroom(Retention(max_length=10_000, ttl_s=60.0), backlog(written=None, read=None)).seconds == 60.0

    def test_safe_needs_all_of_them_known(self) -> None:
        both = Retention(max_length=10_000, max_age_s=3600.0)
        assert headroom(both, backlog(age_s=None, written=5, read=5)) == UNKNOWN

    @given(st.integers(1, 10**6), st.floats(0, 10**4), st.floats(0, 10**4), st.floats(0, 10**4), st.floats(0, 10**4))
    def test_reading_faster_never_takes_time_away(
        self, lag: int, age_s: float, written: float, read: float, more: float
    ) -> None:
        for retention in (CAPPED, AGED, EXPIRING):
            slower = headroom(retention, Backlog(lag, age_s, written, read))
            faster = headroom(retention, Backlog(lag, age_s, written, read + more))
            assert slower.state != "safe" or faster.state == "safe"
            if slower.seconds is not None and faster.seconds is not None:
                assert faster.seconds >= slower.seconds * (1 - 1e-9)

    @given(st.integers(0, 10**6), st.integers(0, 10**4), st.floats(0, 10**4), st.floats(0, 10**4))
    def test_a_larger_lag_never_gives_time(self, lag: int, more: int, written: float, read: float) -> None:
        smaller = headroom(CAPPED, Backlog(lag, 1.0, written, read))
        larger = headroom(CAPPED, Backlog(lag + more, 1.0, written, read))
        assert larger.state != "safe" or smaller.state == "safe"
        if smaller.seconds is not None and larger.seconds is not None:
            assert larger.seconds <= smaller.seconds


class TestEstimatedLag:
    def test_what_is_certain_stays(self) -> None:
        assert estimated_lag(Lag(7, "exact"), 100, 50.0, 100.0) == 7
        assert estimated_lag(Lag(None, "unknown"), 100, 50.0, 100.0) is None

    def test_bounds_are_narrowed_by_the_age(self) -> None:
        bounded = Lag(1000, "bounded", 9000)
        assert estimated_lag(bounded, 10_000, 50.0, 100.0) == 5000
        assert estimated_lag(bounded, 10_000, 1.0, 100.0) == 1000
        assert estimated_lag(bounded, 10_000, 99.0, 100.0) == 9000
        assert estimated_lag(bounded, 10_000, None, 100.0) == 1000
        assert estimated_lag(bounded, 10_000, 0.0, 0.0) == 1000


def watched(*looks: tuple[float, int, int, float], ttls: tuple[float | None, ...] = ()) -> RetentionWatch:
    """A watch after looks at (time, length, ms of the first id, age of the first entry)."""
    watch = RetentionWatch(WINDOW_S)
    for number, (at_s, length, first_ms, age_s) in enumerate(looks):
        watch.add(at_s, length, EntryId(first_ms, 0), age_s, ttls[number] if ttls else None)
    return watch


def seen(watch: RetentionWatch, ttl_s: float | None = None) -> Retention:
    return watch.retention(max_length=None, retention_s=None, ttl_s=ttl_s, is_written=True)


class TestSeenBounds:
    def test_what_stays_while_entries_go_is_the_bound(self) -> None:
        watch = watched((0, 1000, 1, 100.0), (30, 1050, 30_000, 99.0))
        assert seen(watch) == Retention(max_length=1000, max_age_s=99.0)

    def test_a_stream_that_only_grows_has_none(self) -> None:
        assert seen(watched((0, 1000, 1, 100.0), (30, 1050, 1, 130.0))) == Retention()

    def test_a_stream_that_is_cut_behind_a_slow_group_has_none(self) -> None:
        assert seen(watched((0, 1000, 1, 100.0), (30, 2000, 5, 125.0))) == Retention()

    def test_a_stream_that_is_kept_by_age_may_vary_in_length(self) -> None:
        assert seen(watched((0, 1000, 1, 100.0), (30, 5000, 30_000, 101.0))) == Retention(max_age_s=100.0)

    def test_one_that_is_trimmed_no_more_has_none_any_more(self) -> None:
        watch = watched((0, 1000, 1, 100.0), (30, 1000, 30_000, 100.0), (60, 1500, 30_000, 130.0))
        assert seen(watch) == Retention()

    def test_polls_in_between_change_nothing(self) -> None:
        watch = watched((0, 1000, 1, 100.0), (5, 1, 2, 1.0), (30, 1000, 30_000, 100.0), (35, 1, 31_000, 1.0))
        assert seen(watch).max_length == 1000

    def test_an_emptied_stream_has_none(self) -> None:
        watch = watched((0, 1000, 1, 100.0), (30, 1000, 30_000, 100.0))
        watch.add(35, 0, None, None, None)
        assert seen(watch) == Retention()

    def test_known_bounds_go_before_those_seen(self) -> None:
        watch = watched((0, 1000, 1, 100.0), (30, 1000, 30_000, 100.0))
        known = watch.retention(max_length=5000, retention_s=3600.0, ttl_s=None, is_written=True)
        assert known == Retention(max_length=5000, max_age_s=3600.0)
        at_rest = watch.retention(max_length=5000, retention_s=3600.0, ttl_s=None, is_written=False)
        assert at_rest == Retention(max_length=5000)


class TestSeenExpiry:
    def test_a_key_that_is_not_kept_alive_expires(self) -> None:
        watch = watched((0, 9, 1, 1.0), (5, 9, 1, 6.0), ttls=(100.0, 95.0))
        assert seen(watch, 95.0) == Retention(ttl_s=95.0)

    def test_one_that_is_kept_alive_does_not(self) -> None:
        watch = watched((0, 9, 1, 1.0), (5, 9, 1, 6.0), ttls=(100.0, 99.0))
        assert seen(watch, 99.0) == Retention()
        assert seen(watch, 50.0) == Retention()

    def test_one_that_is_kept_alive_in_small_steps_does_not(self) -> None:
        looks = [(n * 0.1, 9, 1, 1.0) for n in range(20)]
        assert seen(watched(*looks, ttls=(100.0,) * 20), 100.0) == Retention()

    def test_rounding_keeps_nothing_alive(self) -> None:
        looks = [(n * 5.0, 9, 1, 1.0) for n in range(20)]
        ttls = tuple(100.0 - n * 5.0 + (0.2 if n % 2 else -0.2) for n in range(20))
        assert seen(watched(*looks, ttls=ttls), 5.0) == Retention(ttl_s=5.0)

    def test_until_it_has_fallen_to_half(self) -> None:
        watch = watched((0, 9, 1, 1.0), (5, 9, 1, 6.0), ttls=(100.0, 99.0))
        watch.add(55, 9, EntryId(1, 0), 56.0, 49.0)
        assert seen(watch, 49.0) == Retention(ttl_s=49.0)

    def test_a_shorter_life_than_before_is_no_end(self) -> None:
        watch = watched((0, 9, 1, 1.0), (50, 9, 1, 51.0), (100, 9, 1, 101.0), ttls=(40.0, 10.0, 9.0))
        assert seen(watch, 9.0) == Retention()
