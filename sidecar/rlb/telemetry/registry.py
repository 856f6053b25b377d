"""The registry: what was counted here, held in plain Python numbers, and read by both exporters at collection.

Counting is on the path of every token, so a handle is asked for once and kept; adding to it takes no lock and no
look-up. All of it happens in the event loop's thread, collection too.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from rlb.domain.census import OTHER
from rlb.telemetry.catalogue import CATALOGUE, CONSTANTS, Metric

MAX_HANDLES = 2000
"""Handles of one metric. Labels are capped before they come here; whatever slips through shares one handle beyond."""

Labels = Mapping[str, str]
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation and the span it was made in. Ids are hexadecimal, `at_s` is Unix time in seconds."""

    trace_id: str
    span_id: str
    value: float
    at_s: float


class Counter:
    """A sum that only grows: add to `value`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class Histogram:
    """Observations by bucket. `counts` has one more than `bounds`: the last is for what is above all of them."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0
        self.exemplars: dict[int, Exemplar] = {}
        """The last one of each bucket."""

    def observe(self, value: float) -> None:
        """Count a value in the first bucket whose bound is not below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_traced(self, value: float, trace_id: str, span_id: str) -> None:
        """Count a value that belongs to a sampled span, and remember the span."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.sum += value
        self.exemplars[bucket] = Exemplar(trace_id, span_id, value, time.time())


class Sample(NamedTuple):
    """The value of an observable metric, under its OpenTelemetry name, as it is at collection, with all its labels."""

    name: str
    labels: Labels
    value: float


class NumberPoint(NamedTuple):
    """A counter's or a gauge's value."""

    labels: Labels
    value: float


class HistogramPoint(NamedTuple):
    """A histogram's counts by bucket (not cumulated), and the exemplars by bucket."""

    labels: Labels
    counts: tuple[int, ...]
    sum: float
    exemplars: Mapping[int, Exemplar]


class Family(NamedTuple):
    """One metric with its points, at least one."""

    metric: Metric
    points: tuple[NumberPoint, ...] | tuple[HistogramPoint, ...]


Source = Callable[[], Iterable[Sample]]
Handle = TypeVar("Handle", Counter, Histogram)


class Registry:
    """All counters and histograms, and the sources of what is only known when asked.

    `constants` are attributes that have one value in this process; metrics that have such an attribute get it.
    """

    def __init__(self, constants: Labels | None = None) -> None:
        self.started_at_s = time.time()
        """Unix time since which everything is counted."""
        self._constants = {**CONSTANTS, **(constants or {})}
        self._counters: dict[str, dict[Key, Counter]] = {}
        self._histograms: dict[str, dict[Key, Histogram]] = {}
        self._sources: list[Source] = []

    def counter(self, name: str, **labels: str) -> Counter:
        """The counter of a metric for these labels; keep it.

        Raises:
            ValueError: there is no such counter, or it has no such label.
        """
        if CATALOGUE[name].kind != "counter":
            raise ValueError(f"{name} is no counter")
        return self._handle(self._counters, CATALOGUE[name], labels, Counter)

    def histogram(self, name: str, **labels: str) -> Histogram:
        """The histogram of a metric for these labels; keep it.

        Raises:
            ValueError: there is no such histogram, or it has no such label.
        """
        if CATALOGUE[name].kind != "histogram":
            raise ValueError(f"{name} is no histogram")
        return self._handle(self._histograms, CATALOGUE[name], labels, lambda: Histogram(CATALOGUE[name].buckets))

    def observe_with(self, source: Source) -> None:
        """Ask `source` at every collection; what it does not give then is absent."""
        self._sources.append(source)

    def collect(self) -> Iterator[Family]:
        """Every metric that has a value now, in the order of the catalogue. What it gives does not change later."""
        observed: dict[str, list[NumberPoint]] = {}
        for source in self._sources:
            for name, labels, value in source():
                observed.setdefault(name, []).append(NumberPoint(labels, value))
        for name, metric in CATALOGUE.items():
            if metric.kind == "histogram":
                histograms = tuple(
                    HistogramPoint(dict(key), tuple(handle.counts), handle.sum, dict(handle.exemplars))
                    for key, handle in self._histograms.get(name, {}).items()
                )
                if histograms:
                    yield Family(metric, histograms)
                continue
            numbers = observed.get(name, [])
            numbers.extend(NumberPoint(dict(key), handle.value) for key, handle in self._counters.get(name, {}).items())
            if numbers:
                yield Family(metric, tuple(numbers))

    def _handle(
        self, handles_of: dict[str, dict[Key, Handle]], metric: Metric, labels: Labels, make: Callable[[], Handle]
    ) -> Handle:
        handles = handles_of.setdefault(metric.name, {})
        if not labels.keys() <= set(metric.attributes):
            raise ValueError(f"{metric.name} has no {', '.join(sorted(labels.keys() - set(metric.attributes)))}")
        key = tuple(self._with_constants(metric, labels).items())
        if key not in handles and len(handles) >= MAX_HANDLES:
            key = tuple(self._with_constants(metric, dict.fromkeys(labels, OTHER)).items())
        if key not in handles:
            handles[key] = make()
        return handles[key]

    def _with_constants(self, metric: Metric, labels: Labels) -> Labels:
        """The labels in the metric's own order, so that one set of them has one key."""
        constants = self._constants
        full = {}
        for name in metric.attributes:
            value = labels.get(name, constants.get(name))
            if value is not None:
                full[name] = value
        return full
