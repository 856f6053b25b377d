"""Lag: compared with the plain count of what a group has not been handed, on any history of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.lag import COUNT_CAP, Lag, ToCount, lag_by_cursor, lag_of
from rlb.domain.positions import Positions
from rlb.domain.stream_facts import GroupFacts, StreamFacts
from tests.domain.simulated_stream import SimulatedStream
from tests.support.fuzz import examples

STEPS = st.lists(
    st.tuples(st.sampled_from(("add", "read", "trim", "delete")), st.integers(1, 9), st.booleans()), max_size=60
)


@examples(500)
@given(STEPS, st.none() | st.integers(-99, 99), st.integers(1, 12))
def test_lag_is_the_number_of_undelivered_entries(
    steps: list[tuple[str, int, bool]], server_lag: int | None, cap: int
) -> None:
    """Whatever was trimmed or deleted, however seldom it was polled, and whatever the server says.

    Where it is counted no further than the cap, it lies within its bounds.
    """
    stream, positions = SimulatedStream(), Positions()
    for step, count, is_polled in steps:
        getattr(stream, step)(count)
        if not is_polled:
            continue
        facts = stream.facts()
        positions.note(facts.last_generated_id, stream.added)
        truth = len(stream.undelivered)
        lag = lag_of(facts, stream.group(server_lag), positions, trusts_server=False)
        if isinstance(lag, ToCount):
            guess = lag.uncounted()
            assert guess.entries is not None
            assert guess.entries <= truth <= lag.most
            lag = lag.counted(min(cap, stream.count(lag.until)), cap)
        assert lag.entries is not None
        if lag.quality == "exact":
            assert lag.entries == truth
        else:
            assert lag.quality == "bounded"
            assert lag.upper_bound is not None
            assert lag.entries <= truth <= lag.upper_bound
            assert truth >= cap
        positions.forget_below([stream.cursor])


@examples(300)
@given(st.sets(st.integers(1, 30), min_size=3), st.integers(0, 32))
def test_the_cursor_alone_decides_at_and_outside_the_ends(kept: set[int], at: int) -> None:
    """A group before, at or behind the ends of a stream needs nothing else."""
    numbers = sorted(kept)
    ids = [EntryId(number, 1) for number in numbers]
    facts = StreamFacts(len(ids), ids[-1], ids[0], ids[-1], None, None)
    assert (lag_by_cursor(facts, EntryId(at, 1)) is not None) == (at <= numbers[0] or at >= numbers[-1])


def polled(*, added: int, cursor: int, deleted: int = 0, server_lag: int | None = None) -> Lag | ToCount:
    """A stream of 5,000 entries whose positions were noted at 1,000, 2,000 and so on."""
    ids = [EntryId(number, 1) for number in range(1, 5001)]
    facts = StreamFacts(5000, ids[-1], ids[0], ids[-1], added, EntryId(deleted, 1) if deleted else ZERO)
    positions = Positions()
    for number in range(1000, 5001, 1000):
        positions.note(EntryId(number, 1), number)
    group = GroupFacts("g", 0, 0, EntryId(cursor, 1), None, server_lag)
    return lag_of(facts, group, positions, trusts_server=True)


def test_a_cursor_at_a_position_needs_no_count() -> None:
    assert polled(added=5000, cursor=2000) == Lag(3000, "exact")


def test_only_the_way_to_the_next_position_is_counted() -> None:
    assert polled(added=5000, cursor=2500) == ToCount(EntryId(3000, 1), 2000, 3000)


def test_what_was_deleted_ahead_is_counted_over() -> None:
    """Behind the highest deleted id nothing is missing; up to there it has to be counted."""
    assert polled(added=5000, cursor=2000, deleted=3500) == ToCount(EntryId(4000, 1), 1000, 3000)


@pytest.mark.parametrize(
    ("server_lag", "expected"),
    [
        (2500, Lag(2500, "server", 3000)),
        (3001, ToCount(EntryId(3000, 1), 2000, 3000)),
        (1999, ToCount(EntryId(3000, 1), 2000, 3000)),
        (-96, ToCount(EntryId(3000, 1), 2000, 3000)),
        (None, ToCount(EntryId(3000, 1), 2000, 3000)),
    ],
)
def test_the_server_is_believed_only_within_what_is_possible(server_lag: int | None, expected: Lag | ToCount) -> None:
    assert polled(added=5000, cursor=2500, server_lag=server_lag) == expected


def test_the_server_is_not_believed_where_entries_were_deleted_ahead() -> None:
    assert polled(added=5000, cursor=2500, deleted=2600, server_lag=2500) == ToCount(EntryId(3000, 1), 2000, 3000)


def test_counters_that_contradict_the_stream_are_left_alone() -> None:
    """XSETID may have set them: then all is counted."""
    assert polled(added=99_999, cursor=2500) == ToCount(EntryId(5000, 1), 0, 4999)


def test_past_the_cap_bounds_are_given() -> None:
    lag = ToCount(EntryId(3000, 1), 2000, 3400)
    assert lag.counted(COUNT_CAP) == Lag(3000, "bounded", 3400)
    assert lag.counted(COUNT_CAP - 1) == Lag(2999, "exact")
    assert ToCount(EntryId(3000, 1), 2000, 3000).counted(COUNT_CAP) == Lag(3000, "exact")
    assert lag.uncounted() == Lag(2000, "bounded", 3400)
