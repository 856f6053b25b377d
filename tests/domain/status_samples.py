"""Samples of a group as polls give them, and what a tracker makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rlb.domain.entry_id import EntryId
from rlb.domain.lag import Lag
from rlb.domain.retention import SAFE, Headroom
from rlb.domain.status import GroupSample, StatusRules, StatusTracker
from rlb.domain.stream_info import GroupStatus

RULES = StatusRules(lag_floor=100, stalled_s=30.0, window_s=60.0, losing_s=60.0)
POLL_S = 5.0


def sample(
    at_s: float,
    lag: int | None = 0,
    *,
    cursor: int = 1,
    lag_s: float | None = None,
    calling: int | None = 1,
    headroom: Headroom = SAFE,
    lost: int = 0,
    bounded: bool = False,
    rates: tuple[float | None, float | None] = (None, None),
) -> GroupSample:
    known = Lag(None, "unknown") if lag is None else Lag(lag, "bounded" if bounded else "exact", 10**6)
    return GroupSample(
        at_s=at_s,
        lag=known,
        lag_s=lag_s,
        last_delivered_id=EntryId(cursor, 0),
        calling=calling,
        consumers=1,
        headroom=headroom,
        lost=lost,
        write_rate=rates[0],
        read_rate=rates[1],
    )


def judged(samples: Iterable[GroupSample]) -> list[GroupStatus]:
    tracker = StatusTracker(RULES)
    return [tracker.judge(each)[0] for each in samples]


def polls(count: int) -> list[float]:
    return [1000.0 + POLL_S * number for number in range(count)]


def changes(statuses: Sequence[GroupStatus]) -> list[GroupStatus]:
    """The statuses without their repetitions."""
    return [status for n, status in enumerate(statuses) if n == 0 or statuses[n - 1] != status]
