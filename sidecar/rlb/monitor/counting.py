"""The count of all watched streams: what goes out as metrics. One pass over what the polls have left, in pieces."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from typing import Any, TypeVar

from rlb.domain.census import Census, GroupCensus, ModelCensus, TopConsumer, TopStream
from rlb.monitor.report import age_s
from rlb.monitor.state import GroupState, StreamState

Item = TypeVar("Item", bound=tuple[Any, ...])


class CensusTaker:
    """Adds streams to a census, one after the other."""

    def __init__(self, *, top: int, names: str) -> None:
        self._top = top
        self._names = names
        self._census = Census()
        self._worst: list[tuple[int, str, str]] = []
        self._consumers: list[tuple[int, float, str, str]] = []
        self._sampled: dict[str, list[int]] = {}

    def add(self, states: Iterable[StreamState], now_ms: int) -> None:
        """Count these streams; those whose last poll failed are left out."""
        for state in states:
            facts = state.facts
            if facts is None or state.error is not None:
                continue
            model = self._census.models.get(state.model)
            if model is None:
                model = self._census.models[state.model] = ModelCensus()
            model.streams += 1
            length, limit = facts.length, state.bounds.max_length
            model.length += length
            model.length_max = max(model.length_max, length)
            if (kept_s := age_s(facts.first_id, now_ms)) is not None:
                model.retention_age_s = _most(model.retention_age_s, kept_s)
            if limit and (model.retention_limit is None or limit < model.retention_limit):
                model.retention_limit = limit
            if state.bytes is not None:
                self._sampled.setdefault(state.model, []).append(state.bytes)
            if (written := state.write_rate) is not None:
                self._census.written_per_s = (self._census.written_per_s or 0.0) + written
            has_undelivered = False
            for group in state.groups:
                if group.lag.entries != 0:
                    has_undelivered = True
                self._add_group(state, group, now_ms)
            if has_undelivered and state.ttl_ms is not None:
                left_ms = max(0, state.ttl_ms - (now_ms - state.at_ms))
                model.ttl_min_s = _least(model.ttl_min_s, left_ms / 1000)

    def _add_group(self, state: StreamState, group: GroupState, now_ms: int) -> None:
        name = (state.model, group.name)
        counted = self._census.groups.get(name)
        if counted is None:
            counted = self._census.groups[name] = GroupCensus()
        lag = group.lag
        counted.by_quality[lag.quality] = counted.by_quality.get(lag.quality, 0) + 1
        counted.by_status[group.status] = counted.by_status.get(group.status, 0) + 1
        if lag.entries == 0:  # as it is of most
            if counted.lag is None:
                counted.lag = counted.lag_max = 0
            if counted.lag_age_s is None:
                counted.lag_age_s = 0.0
        elif lag.entries is not None:
            counted.lag = (counted.lag or 0) + lag.entries
            counted.lag_max = max(counted.lag_max or 0, lag.entries)
            if (waited_s := age_s(group.oldest_id, now_ms)) is not None:
                counted.lag_age_s = _most(counted.lag_age_s, waited_s)
            if self._top:
                self._note_worst((lag.entries, state.key, group.name))
        if (read := group.read_rate) is not None:
            self._census.read_per_s = (self._census.read_per_s or 0.0) + read
        self._census.lost += group.lost or 0
        if group.headroom.seconds is not None:
            counted.headroom_s = _least(counted.headroom_s, group.headroom.seconds)
        pending = group.facts.pending
        if pending:
            counted.pending += pending
            if (pending_s := age_s(group.oldest_pending_id, now_ms)) is not None:
                counted.pending_age_s = _most(counted.pending_age_s, pending_s)
            if group.longest_idle_ms is not None:
                counted.longest_idle_s = _most(counted.longest_idle_s, group.longest_idle_ms / 1000)
            counted.poison += group.poison
        for state_of_consumer in group.consumer_states:
            counted.consumers[state_of_consumer] = counted.consumers.get(state_of_consumer, 0) + 1
        if self._top and pending:
            for consumer in group.consumers:
                if consumer.pending:
                    item = (consumer.pending, consumer.idle_ms / 1000, group.name, consumer.name)
                    _keep_largest(self._consumers, item, self._top)

    def _note_worst(self, item: tuple[int, str, str]) -> None:
        _keep_largest(self._worst, item, self._top)

    def finish(self, now_ms: int) -> Census:
        """The census, as of this moment of Redis time."""
        census = self._census
        census.at = now_ms / 1000
        for model, sizes in self._sampled.items():
            # Only some are measured at a time; the rest is taken to be like them.
            counted = census.models[model]
            counted.memory_bytes = round(sum(sizes) / len(sizes) * counted.streams)
        census.top_streams = [
            TopStream(self._named(key), group, lag) for lag, key, group in sorted(self._worst, reverse=True)
        ]
        census.top_consumers = [
            TopConsumer(group, consumer, pending, idle_s)
            for pending, idle_s, group, consumer in sorted(self._consumers, reverse=True)
        ]
        return census

    def _named(self, key: str) -> str:
        return key if self._names == "key" else hashlib.sha256(key.encode()).hexdigest()[:16]


def _keep_largest(heap: list[Item], item: Item, most: int) -> None:
    if len(heap) < most:
        heapq.heappush(heap, item)
    elif item > heap[0]:
        heapq.heapreplace(heap, item)


def _most(one: float | None, other: float) -> float:
    return other if one is None else max(one, other)


def _least(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
