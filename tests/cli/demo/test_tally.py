"""What the demo counts."""

from __future__ import annotations

import pytest

from rlb.cli.demo.tally import FAST_GROUP, SLOW_GROUP, Row, Tally
from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import GroupInfo, StreamInfo


def tally(rows: int = 2) -> Tally:
    return Tally(100.0, [Row() for _ in range(rows)])


def group(name: str, lag: int | None, pending: int, lag_s: float | None, quality: LagQuality = "exact") -> GroupInfo:
    return GroupInfo.model_construct(
        group=name, lag=lag, lag_quality=quality, lag_upper_bound=None, lag_seconds=lag_s, pending=pending
    )


def test_a_generation_goes_through_its_states() -> None:
    """Waiting for the first token, streaming, ended; the pace is taken from the first token on."""
    counts = tally()
    row = counts.rows[0]
    counts.begin(row, "s", "m")
    assert (row.state, row.tokens_per_second) == ("waiting", None)
    assert counts.picture(100.5).in_flight == 1
    for now_s in (101.0, 101.5, 102.0):
        counts.token(row, now_s)
    assert (row.state, row.tokens, row.tokens_per_second) == ("streaming", 3, 2.0)
    counts.finish(row, "length")
    picture = counts.picture(103.0)
    assert (picture.in_flight, picture.tokens, picture.finished) == (0, 3, {"length": 1})
    counts.begin(row, "s", "m")
    assert (row.tokens, row.text, row.tokens_per_second) == (0, "", None)


def test_text_is_shown_where_it_came_from() -> None:
    """A delivered token belongs to the row of its stream, and to none if that chat is over."""
    counts = tally()
    counts.begin(counts.rows[0], "s-1", "m")
    counts.begin(counts.rows[1], "s-2", "m")
    for session_id, token in (("s-2", "Hel"), ("s-2", "lo"), ("s-9", "!")):
        counts.came_back(session_id, "m", token)
    assert [row.text for row in counts.rows] == ["", "Hello"]
    counts.came_back("s-2", "m", "x" * 10_000)
    assert len(counts.rows[1].text) < 1000


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """A burst long ago does not count, nor does the time before the start."""
    counts = tally()
    counts.begin(counts.rows[0], "s", "m")
    for _ in range(100):
        counts.token(counts.rows[0], 100.5)
    assert counts.picture(101.0).tokens_per_second == pytest.approx(100)
    for now_s in (102.0, 104.0, 106.0, 108.0):
        rate = counts.picture(now_s).tokens_per_second
    assert rate == 0
    assert tally().picture(100.0).tokens_per_second == 0


def test_what_a_group_is_behind_is_what_redis_says() -> None:
    """Undelivered and unacknowledged entries of all streams; unknown lag counts as none, as it is a demo's sum."""
    counts = tally()
    assert counts.groups[SLOW_GROUP].behind is None
    infos = [
        StreamInfo.model_construct(groups=(group(SLOW_GROUP, 10, 2, 3.5), group(FAST_GROUP, 0, 1, 0.0))),
        StreamInfo.model_construct(groups=(group(SLOW_GROUP, 5, 0, 9.0), group("other", 99, 99, 99.0))),
        StreamInfo.model_construct(groups=(group(SLOW_GROUP, None, 1, None, "unknown"),)),
    ]
    counts.inspected(infos)
    assert (counts.groups[SLOW_GROUP].behind, counts.groups[SLOW_GROUP].oldest_s) == (18, 9.0)
    assert (counts.groups[FAST_GROUP].behind, counts.groups[FAST_GROUP].oldest_s) == (1, None)


def test_a_fault_is_counted_and_told() -> None:
    """A generation that could not be written is none that ended."""
    counts = tally()
    counts.begin(counts.rows[0], "s", "m")
    counts.fault(counts.rows[0], "Redis is away")
    picture = counts.picture(101.0)
    assert (picture.faults, picture.last_fault, picture.finished, picture.in_flight) == (1, "Redis is away", {}, 0)
