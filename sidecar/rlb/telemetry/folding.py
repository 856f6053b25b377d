"""Adding up what the census knows of several models or groups: sums are added, extremes are compared.

Unknown (None) adds nothing, and a result to which nothing known was added stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rlb.domain.census import GroupCensus, GroupTotals, ModelCensus, ModelTotals

Number = TypeVar("Number", int, float)
Name = TypeVar("Name")


def add_model(to: ModelCensus, more: ModelCensus) -> None:
    """Count the streams of another model in."""
    to.streams += more.streams
    to.length += more.length
    to.length_max = max(to.length_max, more.length_max)
    to.memory_bytes = _sum(to.memory_bytes, more.memory_bytes)
    to.retention_age_s = _of_known(max, to.retention_age_s, more.retention_age_s)
    to.retention_limit = _of_known(min, to.retention_limit, more.retention_limit)
    to.ttl_min_s = _of_known(min, to.ttl_min_s, more.ttl_min_s)


def add_model_totals(to: ModelTotals, more: ModelTotals) -> None:
    to.entries_added += more.entries_added
    to.trimmed += more.trimmed


def add_group(to: GroupCensus, more: GroupCensus) -> None:
    """Count another group, or the same one on another model, in."""
    to.lag = _sum(to.lag, more.lag)
    to.lag_max = _of_known(max, to.lag_max, more.lag_max)
    to.lag_age_s = _of_known(max, to.lag_age_s, more.lag_age_s)
    to.headroom_s = _of_known(min, to.headroom_s, more.headroom_s)
    to.pending += more.pending
    to.pending_age_s = _of_known(max, to.pending_age_s, more.pending_age_s)
    to.longest_idle_s = _of_known(max, to.longest_idle_s, more.longest_idle_s)
    to.poison += more.poison
    _add_counts(to.by_quality, more.by_quality)
    _add_counts(to.by_status, more.by_status)
    _add_counts(to.consumers, more.consumers)


def add_group_totals(to: GroupTotals, more: GroupTotals) -> None:
    to.entries_read += more.entries_read
    to.lost += more.lost
    to.gone += more.gone


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other


def _of_known(choose: Callable[[Number, Number], Number], one: Number | None, other: Number | None) -> Number | None:
    return one if other is None else other if one is None else choose(one, other)


def _add_counts(to: dict[Name, int], more: dict[Name, int]) -> None:
    for name, count in more.items():
        to[name] = to.get(name, 0) + count
