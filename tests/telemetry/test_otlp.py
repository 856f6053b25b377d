"""Metrics over OTLP, taken by real servers: the same as a scrape says, and never in the sidecar's way."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from opentelemetry.proto.metrics.v1 import metrics_pb2
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rlb._version import __version__
from rlb.telemetry import otlp
from rlb.telemetry.catalogue import CATALOGUE, prometheus_label
from rlb.telemetry.exposition import Exposition
from rlb.telemetry.otlp import OtlpMetrics, start_otlp_metrics
from rlb.telemetry.registry import Registry
from rlb.telemetry.resource import SCHEMA_URL
from tests.support.otlp import Collector, attributes_of
from tests.telemetry.filled import fill

Protocol = Literal["grpc", "http/protobuf"]
PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
RESOURCE = {"service.name": "redis-llm-bridge", "service.instance.id": "here"}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@asynccontextmanager
async def exporting(registry: Registry, environ: dict[str, str], interval_ms: int = 20) -> AsyncIterator[OtlpMetrics]:
    """An exporter that runs for the block. OpenTelemetry's exporters read the process's own environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environ | {"OTEL_METRIC_EXPORT_INTERVAL": str(interval_ms)}).items():
            patch.setenv(name, value)
        exporter = start_otlp_metrics(registry, RESOURCE)
        assert exporter is not None
        try:
            yield exporter
        finally:
            await exporter.close()


async def until(collector: Collector, exports: int) -> None:
    """Wait for so many exports."""
    await asyncio.to_thread(collector.until, lambda it: len(it.metric_requests) >= exports)


def series_of(metrics: Iterable[metrics_pb2.Metric]) -> Series:
    """What Prometheus would call the points, and their values."""
    found: Series = {}
    for metric in metrics:
        name = CATALOGUE[metric.name].prometheus_name
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            labels = {prometheus_label(key): value for key, value in attributes_of(point.attributes).items()}
            key = tuple(sorted(labels.items()))
            if kind != "histogram":
                value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                found[name, key] = value
                continue
            found[f"{name}_sum", key] = point.sum
            found[f"{name}_count", key] = point.count
            total = 0
            for bound, count in zip((*point.explicit_bounds, float("inf")), point.bucket_counts, strict=True):
                total += count
                found[f"{name}_bucket", tuple(sorted({**labels, "le": str(float(bound))}.items()))] = total
    return found


def is_ours(name: str) -> bool:
    """Whether it is a metric of the catalogue: the process's own are for scrapers alone."""
    return name.startswith(("rlb_", "messaging_", "gen_ai_", "db_"))


@PROTOCOLS
async def test_both_ways_say_the_same(protocol: Protocol) -> None:
    """Every series of a registry filled everywhere has one name, one set of labels and one value, however it came."""
    registry = Registry()
    fill(registry)
    with Collector(protocol) as collector:
        async with exporting(registry, collector.environment):
            await until(collector, 1)
        sent = series_of(collector.metric_requests[0].resource_metrics[0].scope_metrics[0].metrics)
    body = (await Exposition(registry, {}).render("", "")).body.decode()
    scraped = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(body.replace('le="+Inf"', 'le="inf"'))
        for sample in family.samples
        if is_ours(sample.name)
    }
    # The exports are counted while they happen.
    scraped = {key: value for key, value in scraped.items() if key[0] != "rlb_otlp_exports_total"}
    assert {key: value for key, value in sent.items() if key[0] != "rlb_otlp_exports_total"} == scraped


@PROTOCOLS
async def test_data_is_as_the_model_has_it(protocol: Protocol) -> None:
    """Who sent it, cumulative sums since one start, units, exemplars with their spans."""
    registry = Registry()
    registry.counter("rlb.ingest.tokens", model="m").value += 3
    interval = registry.histogram("rlb.token.interval", model="m")
    interval.observe_traced(0.03, "ab" * 16, "cd" * 8)
    with Collector(protocol) as collector:
        async with exporting(registry, collector.environment):
            await until(collector, 2)
        first, second = collector.metric_requests[:2]
    resource = first.resource_metrics[0]
    assert attributes_of(resource.resource.attributes) == RESOURCE
    scope = resource.scope_metrics[0]
    assert (scope.scope.name, scope.scope.version, scope.schema_url) == ("rlb", __version__, SCHEMA_URL)
    metrics = {metric.name: metric for metric in scope.metrics}
    tokens = metrics["rlb.ingest.tokens"]
    assert (tokens.unit, tokens.description) == ("{token}", CATALOGUE["rlb.ingest.tokens"].help)
    assert tokens.sum.is_monotonic
    assert tokens.sum.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    point = tokens.sum.data_points[0]
    assert (point.as_int, point.start_time_unix_nano) == (3, int(registry.started_at_s * 1e9))
    assert point.time_unix_nano > point.start_time_unix_nano
    histogram = metrics["rlb.token.interval"].histogram
    assert histogram.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    seen = histogram.data_points[0]
    assert (seen.count, seen.sum, seen.HasField("min"), seen.HasField("max")) == (1, 0.03, False, False)
    exemplar = seen.exemplars[0]
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex(), exemplar.as_double) == ("ab" * 16, "cd" * 8, 0.03)
    again = {metric.name: metric for metric in second.resource_metrics[0].scope_metrics[0].metrics}
    later = again["rlb.ingest.tokens"].sum.data_points[0]
    assert (later.as_int, later.start_time_unix_nano) == (3, point.start_time_unix_nano)


@PROTOCOLS
async def test_the_last_export_has_everything(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted before the end arrives, however long the interval is."""
    monkeypatch.setattr(otlp, "MAX_LAST_WORDS_S", 30.0)
    registry = Registry()
    tokens = registry.counter("rlb.ingest.tokens", model="m")
    with Collector(protocol) as collector:
        async with exporting(registry, collector.environment, interval_ms=3_600_000):
            tokens.value += 7
        assert series_of(collector.metrics)["rlb_ingest_tokens_total", (("model", "m"),)] == 7


@PROTOCOLS
async def test_exports_are_counted_and_trouble_is_logged_once(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when it begins to fail, one when it works again, none between, and none from the exporter."""
    caplog.set_level(logging.INFO)
    registry = Registry()
    ok = registry.counter("rlb.otlp.exports", signal="metrics", outcome="ok")
    failed = registry.counter("rlb.otlp.exports", signal="metrics", outcome="failed")
    with Collector(protocol, fails=True) as collector:
        async with exporting(registry, collector.environment):
            while failed.value < 3:
                await asyncio.sleep(0.01)
            assert ok.value == 0
            collector.fails = False
            await until(collector, 2)
    assert ok.value >= 2
    told = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert [record.getMessage() for record in told] == [
        *("otlp.started", "otlp.export_fails", "otlp.export_works_again"),
    ]
    assert vars(told[1])["reason"] == {"grpc": "invalid_argument", "http/protobuf": "HTTP status 400"}[protocol]


@pytest.mark.parametrize("way", ["refused", "silent"])
@PROTOCOLS
async def test_a_dead_collector_is_in_nobodys_way(protocol: Protocol, way: str) -> None:
    """Whether nobody listens or nobody answers: the loop turns, the exporter's end is quick, and nothing piles up."""
    registry = Registry()
    fill(registry)
    longest_s = 0.0
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if way == "silent":
            listener.listen()
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
        }
        async with exporting(registry, environ) as exporter:
            until_s = time.monotonic() + 1.5
            # Far below the ten seconds that an export in the loop would take from it.
            while time.monotonic() < until_s:
                before_s = time.monotonic()
                await asyncio.sleep(0.001)
                longest_s = max(longest_s, time.monotonic() - before_s)
            assert exporter._batches.qsize() <= 1
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 8
    assert longest_s < 5
    exporter._thread.join(10)
    assert not exporter._thread.is_alive()


async def test_what_cannot_be_set_up_is_said_and_left(caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is not there stops the exports, not the sidecar."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "no such thing",
    }
    async with exporting(Registry(), environ) as exporter:
        await asyncio.to_thread(exporter._thread.join, 15)
        await asyncio.sleep(0.1)
        assert exporter._batches.qsize() <= 1
    assert [record.getMessage() for record in caplog.records] == ["otlp.cannot_start"]


async def test_off_is_off(caplog: pytest.LogCaptureFixture) -> None:
    """Without a variable there is no exporter, and not a word of it."""
    assert start_otlp_metrics(Registry(), RESOURCE, {}) is None
    assert not caplog.records


async def test_delta_is_not_spoken(caplog: pytest.LogCaptureFixture) -> None:
    """Who asks for delta sums is told that they are cumulative."""
    with Collector() as collector:
        wish = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        async with exporting(Registry(), collector.environment | wish):
            await until(collector, 1)
    assert [record.getMessage() for record in caplog.records] == ["otlp.always_cumulative"]
