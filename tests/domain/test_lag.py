"""Lag: compared with the plain count of what a group has not been handed, on any history of a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.lag import COUNT_CAP, Lag, lag_by_count, lag_by_position
from rlb.domain.stream_facts import GroupFacts, StreamFacts
from tests.support.fuzz import examples


def facts(numbers: list[int], last_generated: int | None = None) -> StreamFacts:
    ids = [EntryId(number, 1) for number in numbers]
    last = EntryId(last_generated, 1) if last_generated is not None else (ids[-1] if ids else ZERO)
    return StreamFacts(len(ids), last, ids[0] if ids else None, ids[-1] if ids else None, None, None)


def group(at: EntryId, server_lag: int | None = None) -> GroupFacts:
    return GroupFacts("g", 0, 0, at, None, server_lag)


@examples(500)
@given(st.sets(st.integers(1, 30)), st.integers(0, 32), st.none() | st.integers(-99, 99))
def test_lag_is_the_number_of_undelivered_entries(kept: set[int], at: int, server_lag: int | None) -> None:
    """Whatever was trimmed or deleted, and whatever the server says, by position or by count."""
    numbers = sorted(kept)
    stream, reader = facts(numbers, 32), group(EntryId(at, 1), server_lag)
    truth = sum(number > at for number in numbers)
    lag = lag_by_position(stream, reader)
    if lag is None:
        lag = lag_by_count(stream, reader, truth)
    assert lag == Lag(truth, "exact")


@examples(300)
@given(st.sets(st.integers(1, 30), min_size=3), st.integers(0, 32))
def test_entries_are_counted_only_where_the_position_does_not_tell(kept: set[int], at: int) -> None:
    """A group before, at or behind the ends of a stream costs no count."""
    numbers = sorted(kept)
    is_known = lag_by_position(facts(numbers), group(EntryId(at, 1))) is not None
    assert is_known == (at <= numbers[0] or at >= numbers[-1])


@pytest.mark.parametrize(
    ("counted", "server_lag", "expected"),
    [
        (COUNT_CAP - 1, 5, Lag(COUNT_CAP - 1, "exact")),
        (COUNT_CAP, None, Lag(COUNT_CAP, "bounded", 4999)),
        (COUNT_CAP, 3000, Lag(3000, "server", 4999)),
        (COUNT_CAP, COUNT_CAP, Lag(COUNT_CAP, "server", 4999)),
        (COUNT_CAP, 4999, Lag(4999, "server", 4999)),
        (COUNT_CAP, 5000, Lag(COUNT_CAP, "bounded", 4999)),
        (COUNT_CAP, 12, Lag(COUNT_CAP, "bounded", 4999)),
        (COUNT_CAP, -96, Lag(COUNT_CAP, "bounded", 4999)),
    ],
)
def test_past_the_cap_a_bound_or_a_possible_number_is_given(
    counted: int, server_lag: int | None, expected: Lag
) -> None:
    """The server's number is believed only where it is possible; its quality says whose it is."""
    stream = facts(list(range(1, 5001)))
    assert lag_by_count(stream, group(EntryId(2000, 1), server_lag), counted) == expected
