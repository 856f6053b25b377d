"""The polled metrics: a census and its totals as samples, with models and groups beyond the caps as one.

What the census does not know, or no longer holds, has no sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rlb.domain.census import Census, GroupCensus, GroupTotals, ModelCensus, ModelTotals, Totals
from rlb.telemetry.folding import add_group, add_group_totals, add_model, add_model_totals
from rlb.telemetry.labels import LabelCaps, clean_label
from rlb.telemetry.registry import Sample, Source

Value = TypeVar("Value")
Name = TypeVar("Name")


def polled(census: Callable[[], Census], totals: Callable[[], Totals], caps: LabelCaps) -> Source:
    """A source of all polled metrics; the callables give what is current."""

    def source() -> Iterator[Sample]:
        now, since_start = census(), totals()
        fold = caps.models.fold
        for model, of_model in _folded(now.models.items(), fold, ModelCensus, add_model):
            yield from _known({"model": model}, _model_samples(of_model))
        for model, total in _folded(since_start.models.items(), fold, ModelTotals, add_model_totals):
            labels = {"model": model}
            yield Sample("rlb.stream.entries_added", labels, total.entries_added)
            yield Sample("rlb.stream.trimmed", labels, total.trimmed)

        def fold_pair(pair: tuple[str, str]) -> tuple[str, str]:
            return caps.fold_pair(*pair)

        for (model, group), of_group in _folded(now.groups.items(), fold_pair, GroupCensus, add_group):
            labels = {"model": model, "group": group}
            yield from _known(labels, _group_samples(of_group))
            yield from _shares("rlb.group.lag.streams", labels, "quality", "exact", of_group.by_quality)
            yield from _shares("rlb.group.streams", labels, "status", "ok", of_group.by_status)
            yield from _shares("rlb.group.consumers", labels, "state", "active", of_group.consumers)
        for (model, group), read in _folded(since_start.groups.items(), fold_pair, GroupTotals, add_group_totals):
            labels = {"model": model, "group": group}
            yield Sample("rlb.group.entries_read", labels, read.entries_read)
            yield Sample("rlb.group.lost", labels, read.lost)
            yield Sample("rlb.group.gone", labels, read.gone)
        yield from _top(now, caps)

    return source


def _folded(
    items: Iterable[tuple[Name, Value]],
    fold: Callable[[Name], Name],
    make: Callable[[], Value],
    add: Callable[[Value, Value], None],
) -> Iterable[tuple[Name, Value]]:
    """The items under their folded names. What is alone under its name is given as it is; the rest is added up."""
    first: dict[Name, Value] = {}
    sums: dict[Name, Value] = {}
    for name, value in items:
        name_shown = fold(name)
        if name_shown not in first:
            first[name_shown] = value
            continue
        if name_shown not in sums:
            sums[name_shown] = make()
            add(sums[name_shown], first[name_shown])
        add(sums[name_shown], value)
    return (first | sums).items()


def _model_samples(of: ModelCensus) -> tuple[tuple[str, float | None], ...]:
    return (
        ("rlb.stream.count", of.streams),
        ("rlb.stream.length", of.length),
        ("rlb.stream.length.max", of.length_max),
        ("rlb.stream.memory", of.memory_bytes),
        ("rlb.stream.retention.age", of.retention_age_s),
        ("rlb.stream.retention.limit", of.retention_limit),
        ("rlb.stream.ttl.min", of.ttl_min_s),
    )


def _group_samples(of: GroupCensus) -> tuple[tuple[str, float | None], ...]:
    return (
        ("rlb.group.lag", of.lag),
        ("rlb.group.lag.max", of.lag_max),
        ("rlb.group.lag.age", of.lag_age_s),
        ("rlb.group.retention.headroom", of.headroom_s),
        ("rlb.group.pending", of.pending),
        ("rlb.group.pending.age", of.pending_age_s),
        ("rlb.group.pending.idle", of.longest_idle_s),
        ("rlb.group.poison", of.poison),
    )


def _known(labels: dict[str, str], samples: tuple[tuple[str, float | None], ...]) -> Iterator[Sample]:
    for name, value in samples:
        if value is not None:
            yield Sample(name, labels, value)


def _shares(name: str, labels: dict[str, str], by: str, usual: Name, counts: dict[Name, int]) -> Iterator[Sample]:
    """A sample for each value that has a count, and in any case for the usual one: beside it, absent means 0."""
    for value, count in {usual: 0, **counts}.items():
        if count or value == usual:
            yield Sample(name, {**labels, by: str(value)}, count)


def _top(census: Census, caps: LabelCaps) -> Iterator[Sample]:
    lags: dict[tuple[str, str], float] = {}
    for stream in census.top_streams:
        name = (clean_label(stream.stream), caps.groups.fold(stream.group))
        lags[name] = max(lags.get(name, 0), stream.lag)
    for (key, group), lag in lags.items():
        yield Sample("rlb.top.stream.lag", {"stream": key, "group": group}, lag)
    consumers: dict[tuple[str, str], tuple[float, float]] = {}
    for consumer in census.top_consumers:
        name = (caps.groups.fold(consumer.group), clean_label(consumer.consumer))
        pending, idle_s = consumers.get(name, (0.0, 0.0))
        consumers[name] = (max(pending, consumer.pending), max(idle_s, consumer.idle_s))
    for (group, who), (pending, idle_s) in consumers.items():
        labels = {"group": group, "consumer": who}
        yield Sample("rlb.top.consumer.pending", labels, pending)
        yield Sample("rlb.top.consumer.idle", labels, idle_s)
