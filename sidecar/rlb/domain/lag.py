"""Lag: how many entries a group has not been handed yet, and how well that is known.

The server's own number is not copied: on most versions it is NULL or too high once entries were trimmed or deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlb.domain.stream_facts import GroupFacts, StreamFacts

LagQuality = Literal["exact", "server", "bounded", "unknown"]

COUNT_CAP = 1000
"""Undelivered entries that are counted one by one; beyond, a bound is given."""


@dataclass(frozen=True, slots=True)
class Lag:
    """`entries` is exact, the server's, or the least it can be, as `quality` says; `upper_bound` is the most."""

    entries: int | None
    quality: LagQuality
    upper_bound: int | None = None


def lag_by_position(stream: StreamFacts, group: GroupFacts) -> Lag | None:
    """The lag, where the group's position alone decides it; None where entries have to be counted.

    A stream's length counts only entries that are there, so a group before the first one lags by all of them, and
    one at or behind the last one by none, whatever was trimmed or deleted.
    """
    if stream.length == 0 or stream.first_id is None or stream.last_id is None:
        return Lag(0, "exact")
    at = group.last_delivered_id
    if at >= stream.last_id:
        return Lag(0, "exact")
    if at < stream.first_id:
        return Lag(stream.length, "exact")
    if at == stream.first_id:
        return Lag(stream.length - 1, "exact")
    return Lag(1, "exact") if stream.length == 2 else None


def lag_by_count(stream: StreamFacts, group: GroupFacts, counted: int) -> Lag:
    """The lag from a count of the undelivered entries that stopped at `COUNT_CAP`."""
    if counted < COUNT_CAP:
        return Lag(counted, "exact")
    most = stream.length - 1
    if group.server_lag is not None and COUNT_CAP <= group.server_lag <= most:
        return Lag(group.server_lag, "server", most)
    return Lag(COUNT_CAP, "bounded", most)
