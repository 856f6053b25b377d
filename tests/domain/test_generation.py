"""Generations: times from the first token to the end, states by silence, and numbers that do not follow."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.generation import (
    MAX_WAIT_MS,
    WINDOW,
    Anomaly,
    Finish,
    Generation,
    Numbering,
    finish_of,
    time_to_first_token_s,
)

STALLED_S, ABANDONED_S = 10.0, 300.0


def generation(*at_s: float, waited_s: float | None = None, is_whole: bool = True) -> Generation:
    """A generation whose tokens came at these times."""
    made = Generation(at_s[0], waited_s=waited_s, is_whole=is_whole)
    for each_s in at_s:
        made.token(each_s)
    return made


@pytest.mark.parametrize("reason", get_args(Finish))
def test_every_counted_finish_reason_is_itself(reason: Finish) -> None:
    assert finish_of(reason) == reason


@pytest.mark.parametrize("reason", ["function_call", "STOP", "", "stop ", "cancelled"])
def test_any_other_finish_reason_is_counted_as_other(reason: str) -> None:
    assert finish_of(reason) == "other"


@pytest.mark.parametrize(
    ("requested_at_ms", "first_at_ms", "waited_s"),
    [
        (None, 5000, None),
        (5000, 5000, 0.0),
        (4750, 5000, 0.25),
        (5001, 5000, None),  # the app's clock is ahead: unknown, and not a negative time
        (10**9, 10**9 + MAX_WAIT_MS, MAX_WAIT_MS / 1000),
        (10**9, 10**9 + MAX_WAIT_MS + 1, None),
        (1_732_276_800, 1_732_276_800_000, None),  # given in seconds
    ],
)
def test_the_time_to_first_token_is_known_only_where_it_can_be_true(
    requested_at_ms: int | None, first_at_ms: int, waited_s: float | None
) -> None:
    assert time_to_first_token_s(requested_at_ms, first_at_ms) == waited_s


def test_intervals_lie_between_tokens() -> None:
    """The first token has none."""
    made = Generation(1.0)
    assert [made.token(at_s) for at_s in (1.0, 1.5, 1.5, 3.5)] == [None, 0.5, 0.0, 2.0]


@pytest.mark.parametrize(
    ("made", "ended_s", "duration_s", "per_token_s"),
    [
        (generation(10.0, 11.0, 12.0), 14.0, 4.0, 2.0),
        (generation(10.0, 11.0, 12.0, waited_s=0.5), 14.0, 4.5, 2.0),
        (generation(10.0), 10.0, 0.0, None),
        (generation(10.0, waited_s=0.5), 12.0, 2.5, None),
        (Generation(10.0), 10.0, 0.0, None),
        (generation(10.0, 11.0, is_whole=False), 12.0, None, None),
    ],
)
def test_duration_and_time_per_token(
    made: Generation, ended_s: float, duration_s: float | None, per_token_s: float | None
) -> None:
    """With the request's time, the duration counts from it; the time per token never does."""
    assert made.duration_s(ended_s) == duration_s
    assert made.per_token_s(ended_s) == per_token_s


@pytest.mark.parametrize(
    ("silent_s", "has_no_writer", "state", "is_abandoned"),
    [
        (0.0, False, "active", False),
        (9.9, False, "active", False),
        (10.0, False, "stalled", False),
        (299.9, False, "stalled", False),
        (300.0, False, "stalled", True),
        (9.9, True, "active", False),
        (10.0, True, "stalled", True),
    ],
)
def test_silence_stalls_and_then_abandons(silent_s: float, has_no_writer: bool, state: str, is_abandoned: bool) -> None:
    """It is given up after a long silence, or after a short one if nobody is there to write."""
    made = generation(1.0, 2.0)
    made.has_no_writer = has_no_writer
    now_s = 2.0 + silent_s
    assert made.silence_s(now_s) == pytest.approx(silent_s)
    assert made.state(now_s, STALLED_S) == state
    assert made.is_abandoned(now_s, STALLED_S, ABANDONED_S) is is_abandoned


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=50), st.floats(min_value=0, max_value=100))
def test_intervals_duration_and_rates_agree(pauses_s: list[float], tail_s: float) -> None:
    """The intervals add up to the time from first to last token, which is what the rate is over."""
    at_s = [sum(pauses_s[:count]) for count in range(len(pauses_s) + 1)]
    made = Generation(at_s[0])
    intervals = [interval for each in at_s if (interval := made.token(each)) is not None]
    assert made.tokens == len(at_s)
    assert len(intervals) == len(pauses_s)
    assert sum(intervals) == pytest.approx(at_s[-1])
    assert made.duration_s(at_s[-1] + tail_s) == pytest.approx(at_s[-1] + tail_s)
    rate = made.tokens_per_second()
    if at_s[-1] > 0:
        assert rate == pytest.approx(len(pauses_s) / at_s[-1])
    else:
        assert rate is None


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([1, 2, 3], [None, None, None]),
        ([7, 8], [None, None]),
        ([1, 3], [None, "gap"]),
        ([1, 3, 2, 4], [None, "gap", "reordered", None]),
        ([1, 2, 2], [None, None, "duplicate"]),
        ([1, 3, 2, 2], [None, "gap", "reordered", "duplicate"]),
        ([5, 4], [None, "reordered"]),
        ([0, 0, 0], [None, "duplicate", "duplicate"]),
        ([1, 1000, 1000, 999, 998], [None, "gap", "duplicate", "reordered", "reordered"]),
        ([1000, 1000 - WINDOW, 1000 - WINDOW], [None, "reordered", "reordered"]),
        ([10**30, 10**30 + 1, -(10**30)], [None, None, "reordered"]),
    ],
)
def test_numbers_that_do_not_follow(numbers: list[int], found: list[Anomaly | None]) -> None:
    """A gap is told once, by the number behind it; what fills it later comes late."""
    made = generation(0.0)
    assert [made.number(number) for number in numbers] == found


@given(st.lists(st.integers(min_value=-40, max_value=40), min_size=1, max_size=200))
def test_numbers_are_judged_by_all_that_came_before(numbers: list[int]) -> None:
    """Against a model that remembers everything; the numbers stay within the window, more or less."""
    numbering = Numbering(numbers[0])
    came, highest = {numbers[0]}, numbers[0]
    for number in numbers[1:]:
        if number > highest:
            expected = "gap" if number > highest + 1 else None
        elif highest - number >= WINDOW:
            expected = "reordered"
        else:
            expected = "duplicate" if number in came else "reordered"
        assert numbering.next(number) == expected
        came.add(number)
        highest = max(highest, number)
