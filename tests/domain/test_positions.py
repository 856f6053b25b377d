"""Positions: bounded, ascending, and forgotten when they are contradicted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.entry_id import EntryId
from rlb.domain.positions import MAX_POSITIONS, Positions


def at(number: int) -> EntryId:
    return EntryId(number, 0)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=200))
def test_they_are_bounded_and_the_newest_is_kept(steps: list[int]) -> None:
    positions = Positions()
    total = 0
    for step in steps:
        total += step
        positions.note(at(total), total)
        assert positions.added_at(at(total)) == total
        assert positions.at_or_above(at(total + 1)) is None
    assert len(positions._seen) <= MAX_POSITIONS
    assert list(positions._seen) == sorted(positions._seen)


def test_the_nearest_are_found() -> None:
    positions = Positions()
    for number in (10, 20, 30):
        positions.note(at(number), number)
    assert positions.at_or_above(at(11)) == (at(20), 20)
    assert positions.at_or_above(at(20)) == (at(20), 20)
    assert positions.at_or_below(at(19)) == (at(10), 10)
    assert positions.at_or_below(at(9)) is None
    assert positions.added_at(at(15)) is None


def test_what_lies_below_every_group_is_forgotten() -> None:
    positions = Positions()
    for number in (10, 20, 30, 40):
        positions.note(at(number), number)
    positions.forget_below([at(25), at(35)])
    assert positions.at_or_below(at(25)) == (at(20), 20)
    assert positions.at_or_below(at(19)) is None
    positions.forget_below([])
    assert positions.at_or_below(at(100)) == (at(40), 40)
    assert positions.at_or_below(at(39)) is None


def test_a_stream_that_was_made_anew_or_set_by_hand_begins_anew() -> None:
    for generated, added in ((5, 5), (30, 31), (40, 3)):
        positions = Positions()
        positions.note(at(30), 30)
        positions.note(at(generated), added)
        assert positions.at_or_below(at(generated)) == (at(generated), added)
        assert positions.at_or_below(at(generated - 1)) is None
