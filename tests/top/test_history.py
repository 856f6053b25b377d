"""What is kept of the last minutes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb_top import history as module
from rlb_top.history import ALL, GONE_S, POINTS, SPAN_S, History, Trend, group_key
from tests.support.scripted_source import group, snapshot, stream

KEY = group_key("stream:s-1:m", "g")
AT = 1000.0


def add(history: History, at: float, lag_s: float | None, lag: int | None = 1, **totals: object) -> None:
    one = stream("s-1", "m", group("g", lag_seconds=lag_s, lag=lag))
    history.add(snapshot(one, at=AT + at, totals=totals))


def test_parts_without_a_snapshot_stay_empty() -> None:
    history = History()
    for at in (0, 5, 10, 60, 65, 70):
        add(history, at, float(at))
    shown = history.series(KEY, "lag_s", 8, span_s=80)
    assert shown == [None, 5.0, 10.0, None, None, None, None, 70.0]


def test_a_gap_grows_at_the_end_while_nothing_comes() -> None:
    history = History()
    for at in (0, 5, 10, 15, 20):
        add(history, at, 7.0)
    assert history.series(KEY, "lag_s", 4, span_s=20) == [7.0] * 4
    assert history.series(KEY, "lag_s", 4, span_s=20, now=AT + 60) == [None] * 4


def test_what_is_not_known_is_a_gap_too() -> None:
    history = History()
    for at, lag_s in ((0, 1.0), (5, None), (10, 3.0), (15, 4.0)):
        add(history, at, lag_s)
    assert history.series(KEY, "lag_s", 4, span_s=20, now=AT + 20)[:2] == [1.0, None]


def test_a_peak_is_not_lost_where_many_points_share_a_part() -> None:
    history = History()
    for at in range(0, 60, 2):
        add(history, at, 99.0 if at == 30 else 1.0)
    assert max(number or 0.0 for number in history.series(KEY, "lag_s", 3, span_s=60)) == 99.0


def test_snapshots_that_come_fast_share_a_point_and_the_last_one_counts() -> None:
    history = History()
    for tenth in range(19):
        add(history, tenth / 10, float(tenth))
    assert history.series(KEY, "lag_s", 1, span_s=2)[-1] == 18.0


def test_all_streams_together_have_a_line_of_their_own() -> None:
    history = History()
    add(history, 0, 1.0, tokens_in=12.5, tokens_out=None, lost_unread=3, worst_lag_seconds=8.0)
    assert history.series(ALL, "in", 1) == [12.5]
    assert history.series(ALL, "out", 1) == [None]
    assert history.series(ALL, "lost", 1) == [3.0]
    assert history.series(ALL, "lag_s", 1) == [8.0]
    assert history.rows == 1


@pytest.mark.parametrize(
    ("lags", "trend"),
    [
        ([0.0, 2.0, 4.0], None),
        ([0.0, 2.0, 4.0, 6.0, 8.0], "rising"),
        ([1000.0, 1002.0, 1004.0, 1006.0], "rising"),
        ([9.0, 7.0, 4.0, 2.0, 0.0], "falling"),
        ([0.2, 0.4, 0.1, 0.3, 0.2], "steady"),
        ([1.0, 2.0, None, 3.0, 4.0, 5.0], None),
    ],
)
def test_trends_by_the_lag_in_seconds(lags: list[float | None], trend: Trend | None) -> None:
    history = History()
    for number, lag_s in enumerate(lags):
        add(history, 2 * number, lag_s, lag=None)
    assert history.trend(KEY) == trend


@pytest.mark.parametrize(("step", "trend"), [(40, "rising"), (-40, "falling"), (1, "steady")])
def test_trends_by_the_lag_in_entries_where_its_age_is_not_known(step: int, trend: Trend) -> None:
    history = History()
    for number in range(8):
        add(history, 2 * number, None, lag=1000 + step * number)
    assert history.trend(KEY) == trend


def test_a_trend_needs_the_present() -> None:
    history = History()
    for number in range(8):
        add(history, 2 * number, 2.0 * number)
    assert history.trend(KEY) == "rising"
    history.add(snapshot(at=AT + 16))
    assert history.trend(KEY) is None
    assert history.trend("nobody") is None


def test_a_trend_is_told_of_rare_polls_too() -> None:
    history = History()
    for number in range(6):
        add(history, 30 * number, 30.0 * number)
    assert history.trend(KEY) == "rising"


def test_rows_that_are_gone_are_dropped() -> None:
    history = History()
    add(history, 0, 1.0)
    history.add(snapshot(at=AT + GONE_S))
    assert history.rows == 1
    history.add(snapshot(at=AT + GONE_S + 1))
    assert history.rows == 0


def test_there_is_room_for_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    history = History()
    history.add(snapshot(*(stream(f"s-{number}", "m", group("g")) for number in range(9)), at=AT))
    assert history.rows == 3


def test_a_clock_that_goes_back_begins_anew_and_no_clock_leaves_no_trace() -> None:
    history = History()
    add(history, 100, 5.0)
    history.add(snapshot(at=None))
    assert history.series(KEY, "lag_s", 1) == [5.0]
    add(history, 0, 6.0)
    assert history.series(KEY, "lag_s", 2) == [None, 6.0]


def test_only_the_last_minutes_are_kept() -> None:
    history = History()
    for number in range(3 * POINTS):
        add(history, number * SPAN_S / POINTS, float(number))
    shown = history.series(KEY, "lag_s", POINTS)
    assert None not in shown[1:]
    assert min(number for number in shown if number is not None) >= 2 * POINTS - 1


@given(
    st.lists(st.tuples(st.floats(0.1, 90), st.none() | st.integers(0, 1000)), min_size=1, max_size=60),
    st.integers(1, 40),
)
def test_a_series_shows_what_was_and_ends_with_the_present(polls: list[tuple[float, int | None]], buckets: int) -> None:
    """Nothing is invented, and the newest number is in the last part."""
    history = History()
    at = 0.0
    for pause, lag in polls:
        at += pause
        add(history, at, None, lag=lag)
    shown = history.series(KEY, "lag", buckets)
    assert len(shown) == buckets
    there = {lag for _, lag in polls if lag is not None}
    assert {number for number in shown if number is not None} <= there
    if (latest := polls[-1][1]) is not None:
        assert shown[-1] is not None
        assert shown[-1] >= latest
