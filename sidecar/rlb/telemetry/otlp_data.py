"""The registry's families as the OpenTelemetry SDK's own data, which its OTLP exporters take.

Importing this imports the SDK: only where something is exported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from rlb._version import __version__
from rlb.telemetry.registry import Exemplar as Seen
from rlb.telemetry.registry import Family, HistogramPoint, NumberPoint
from rlb.telemetry.resource import SCHEMA_URL

_UNKNOWN = cast("float", None)
"""Least and greatest value are not kept; the encoder leaves them out."""


class Converter:
    """Converts what was counted since `started_at_s` (Unix time) on behalf of a resource."""

    def __init__(self, resource: Mapping[str, str], started_at_s: float) -> None:
        self._resource = Resource(resource, SCHEMA_URL)
        self._scope = InstrumentationScope("rlb", __version__, SCHEMA_URL)
        self._start_ns = int(started_at_s * 1e9)

    def convert(self, families: Iterable[Family], at_s: float) -> MetricsData:
        """The families as they were at `at_s`, Unix time in seconds. All sums are cumulative."""
        at_ns = int(at_s * 1e9)
        metrics = [
            Metric(family.metric.name, family.metric.help, family.metric.unit, self._data(family, at_ns))
            for family in families
        ]
        scope = ScopeMetrics(self._scope, metrics, SCHEMA_URL)
        return MetricsData([ResourceMetrics(self._resource, [scope], SCHEMA_URL)])

    def _data(self, family: Family, at_ns: int) -> Sum | Gauge | Histogram:
        kind, bounds = family.metric.kind, family.metric.buckets
        if kind == "histogram":
            points = cast("tuple[HistogramPoint, ...]", family.points)
            return Histogram([self._histogram(point, bounds, at_ns) for point in points], _CUMULATIVE)
        numbers = [
            NumberDataPoint(point.labels, self._start_ns, at_ns, point.value)
            for point in cast("tuple[NumberPoint, ...]", family.points)
        ]
        if kind == "gauge":
            return Gauge(numbers)
        return Sum(numbers, _CUMULATIVE, is_monotonic=kind == "counter")

    def _histogram(self, point: HistogramPoint, bounds: tuple[float, ...], at_ns: int) -> HistogramDataPoint:
        exemplars = [_exemplar(seen) for seen in point.exemplars.values()]
        return HistogramDataPoint(
            point.labels,
            self._start_ns,
            at_ns,
            sum(point.counts),
            point.sum,
            point.counts,
            bounds,
            _UNKNOWN,
            _UNKNOWN,
            exemplars,
        )


_CUMULATIVE = AggregationTemporality.CUMULATIVE


def _exemplar(seen: Seen) -> Exemplar:
    return Exemplar({}, seen.value, int(seen.at_s * 1e9), int(seen.span_id, 16), int(seen.trace_id, 16))
