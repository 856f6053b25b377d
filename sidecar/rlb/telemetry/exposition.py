"""What a scrape gets: every metric in the Prometheus text format, or in OpenMetrics if the scraper asks for it.

prometheus_client writes it, one family at a time: between two the event loop turns, so that a large scrape holds up no
token. It is imported, off the loop's thread, at the first scrape.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlb.telemetry.catalogue import Metric, prometheus_label
from rlb.telemetry.registry import Family, HistogramPoint, Registry

if TYPE_CHECKING:
    from prometheus_client import Metric as MetricFamily

MIN_GZIP_BYTES = 1024
"""Below, compressing saves no packet."""
GZIP_LEVEL = 1
"""The repetitive text shrinks to a twentieth at any level; this one takes the least time."""

_TYPES = {"counter": "counter", "gauge": "gauge", "updowncounter": "gauge", "histogram": "histogram"}


@dataclass(frozen=True, slots=True)
class Scrape:
    """The answer to a scrape."""

    body: bytes
    content_type: str
    content_encoding: str | None


class Exposition:
    """Renders a registry, and what prometheus_client knows of the process, for scrapers.

    `resource` says who this is; it is the labels of `target_info`.
    """

    def __init__(self, registry: Registry, resource: Mapping[str, str]) -> None:
        self._registry = registry
        self._resource = resource
        self._writer: _Writer | None = None

    async def render(self, accept: str, accept_encoding: str) -> Scrape:
        """All metrics as they are now, in the format that the headers ask for."""
        if self._writer is None:
            # 60 ms of imports, which a thread does in slices.
            self._writer = await asyncio.to_thread(_Writer, self._resource)
        encode, content_type, end = self._writer.encoder(accept)
        pieces = []
        for family in self._families(self._writer):
            pieces.append(encode(_One(family)).removesuffix(end))
            await asyncio.sleep(0)
        body = b"".join([*pieces, end])
        if "gzip" not in accept_encoding or len(body) < MIN_GZIP_BYTES:
            return Scrape(body, content_type, None)
        return Scrape(await asyncio.to_thread(gzip.compress, body, GZIP_LEVEL, mtime=0), content_type, "gzip")

    def _families(self, writer: _Writer) -> Iterator[MetricFamily]:
        for family in self._registry.collect():
            yield writer.family(family)
        yield from writer.others()


class _One:
    """A collector of one family: encoders take no less."""

    def __init__(self, family: MetricFamily) -> None:
        self._family = family

    def collect(self) -> tuple[MetricFamily]:
        return (self._family,)


class _Writer:
    """What needs prometheus_client. Making one imports it."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
        from prometheus_client.core import Exemplar
        from prometheus_client.core import Metric as PrometheusMetric
        from prometheus_client.exposition import choose_encoder
        from prometheus_client.utils import floatToGoString

        self._choose: Callable[[str], tuple[Callable[[Any], bytes], str]] = choose_encoder
        self._metric = PrometheusMetric
        self._exemplar = Exemplar
        self._to_text: Callable[[float], str] = floatToGoString
        self._bounds: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, str] = {}
        process = CollectorRegistry()
        self._collectors = (ProcessCollector(registry=process), GCCollector(process), PlatformCollector(process))
        self._target = PrometheusMetric("target", "Who these metrics come from: the OpenTelemetry resource.", "info")
        self._target.add_sample("target_info", {prometheus_label(name): text for name, text in resource.items()}, 1)

    def encoder(self, accept: str) -> tuple[Callable[[_One], bytes], str, bytes]:
        """The encoder for an Accept header, its content type, and what the end of the whole text is."""
        encode, content_type = self._choose(accept)
        return encode, content_type, b"# EOF\n" if "openmetrics" in content_type else b""

    def others(self) -> Iterator[MetricFamily]:
        """The process, the garbage collector, the platform, and the resource."""
        yield self._target
        for collector in self._collectors:
            yield from collector.collect()

    def family(self, family: Family) -> MetricFamily:
        """The family as prometheus_client has it."""
        metric = family.metric
        name = metric.prometheus_family
        made = self._metric(name, metric.help, _TYPES[metric.kind], metric.prometheus_unit)
        for point in family.points:
            labels = self._labels(point.labels)
            if isinstance(point, HistogramPoint):
                self._add_histogram(made, metric, point, labels)
            else:
                made.add_sample(metric.prometheus_name, labels, point.value)
        return made

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        names = self._names
        for name in labels:
            if name not in names:
                names[name] = prometheus_label(name)
        return {names[name]: value for name, value in labels.items()}

    def _add_histogram(self, to: MetricFamily, metric: Metric, point: HistogramPoint, labels: dict[str, str]) -> None:
        bounds = self._bounds.get(metric.name)
        if bounds is None:
            bounds = self._bounds[metric.name] = (*(self._to_text(bound) for bound in metric.buckets), "+Inf")
        total = 0
        for bucket, (bound, count) in enumerate(zip(bounds, point.counts, strict=True)):
            total += count
            seen = point.exemplars.get(bucket)
            exemplar = None
            if seen is not None:
                exemplar = self._exemplar(
                    {"trace_id": seen.trace_id, "span_id": seen.span_id}, seen.value, round(seen.at_s, 3)
                )
            to.add_sample(f"{to.name}_bucket", {**labels, "le": bound}, total, exemplar=exemplar)
        to.add_sample(f"{to.name}_sum", labels, point.sum)
        to.add_sample(f"{to.name}_count", labels, total)
