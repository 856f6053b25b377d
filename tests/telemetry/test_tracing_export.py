"""The way of spans to a collector: bounded, counted, ended in time, and not there at all unless asked for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Literal

import pytest
from opentelemetry.trace import Link, SpanContext, TraceFlags

from rlb.domain.trace_context import parse_trace_context
from rlb.telemetry.otel_variables import SAMPLERS, TracingSettings, tracing_settings
from rlb.telemetry.propagation import NOWHERE, below, span_context
from rlb.telemetry.registry import Registry
from rlb.telemetry.tracing_export import Export
from tests.support.otlp import Collector
from tests.support.traced import APP, UNSAMPLED

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def how(**changes: object) -> TracingSettings:
    """Settings that sample everything and send at once."""
    found = tracing_settings({**ENDPOINT, "OTEL_TRACES_SAMPLER": "parentbased_always_on"})
    assert found is not None
    values = {name: getattr(found, name) for name in TracingSettings.__slots__}
    return TracingSettings(**{**values, "delay_ms": 50, **changes})


def outcomes(registry: Registry) -> dict[str, float]:
    """Exports of spans by outcome."""
    return {
        point.labels["outcome"]: point.value
        for family in registry.collect()
        if family.metric.name == "rlb.otlp.exports"
        for point in family.points
        if point.labels["signal"] == "traces" and point.value
    }


@pytest.fixture(params=["grpc", "http/protobuf"])
def collector(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    protocol: Literal["grpc", "http/protobuf"] = request.param
    with Collector(protocol) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        yield collector


def test_spans_arrive_in_both_protocols(collector: Collector) -> None:
    """With who sent them, and counted as one export."""
    registry = Registry()
    # Only the end sends them, so they go together.
    settings = how(protocol=collector.protocol, delay_ms=3_600_000)
    export = Export(settings, {"service.name": "s", "k8s.pod.name": "p"}, registry)
    for name in ("a", "b"):
        export.tracer.start_span(name, NOWHERE).end()
    export.close(30)
    assert [span.name for span in collector.spans] == ["a", "b"]
    assert collector.spans[0].resource == {"service.name": "s", "k8s.pod.name": "p"}
    assert outcomes(registry) == {"ok": 1}


def test_an_export_that_is_refused_is_counted(collector: Collector) -> None:
    """The spans are lost, and that is to be seen."""
    collector.fails = True
    registry = Registry()
    export = Export(how(protocol=collector.protocol), {}, registry)
    export.tracer.start_span("a", NOWHERE).end()
    export.close(10)
    assert outcomes(registry) == {"failed": 1}


def test_what_finds_no_room_is_dropped_and_counted(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that does not answer fills the queue to its bound; each span is either sent or counted."""
    go_on = threading.Event()
    take = collector.take
    monkeypatch.setattr(collector, "take", lambda request: (go_on.wait(10), take(request)))
    registry = Registry()
    export = Export(how(protocol=collector.protocol, queue=10, batch=5), {}, registry)
    for _ in range(100):
        export.tracer.start_span("a", NOWHERE).end()
    dropped = outcomes(registry)["dropped"]
    assert 100 - 10 - 5 <= dropped <= 100 - 10
    go_on.set()
    export.close(10)
    assert len(collector.spans) + dropped == 100


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_end_does_not_wait_long_for_nobody(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a collector the last spans are given up in time."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    registry = Registry()
    export = Export(how(protocol=protocol), {}, registry)
    export.tracer.start_span("a", NOWHERE).end()
    before_s = time.monotonic()
    export.close(0.3)
    assert time.monotonic() - before_s < 8


def decided(settings: TracingSettings, *, parent: str | None = None, link: str | None = None, name: str = "x") -> bool:
    """Whether a span would be sampled."""
    context = parse_trace_context(parent)
    linked = parse_trace_context(link)
    export = Export(settings, {}, Registry())
    try:
        links = [Link(span_context(linked))] if linked is not None else []
        span = export.tracer.start_span(name, below(span_context(context) if context else None), links=links)
        return span.get_span_context().trace_flags.sampled
    finally:
        export.close(0)


@pytest.mark.parametrize(
    ("sampler", "root", "sampled_parent", "unsampled_parent"),
    [
        ("always_on", True, True, True),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("parentbased_traceidratio", False, True, False),
        ("traceidratio", False, False, False),
    ],
)
def test_samplers_decide_as_they_are_called(
    sampler: str, root: bool, sampled_parent: bool, unsampled_parent: bool
) -> None:
    """With a ratio of 0. A link counts as a parent does, and the sidecar's start and end are kept unless forbidden."""
    settings = how(sampler=sampler, ratio=0.0)
    assert decided(settings) is root
    assert decided(settings, parent=APP) is sampled_parent
    assert decided(settings, parent=UNSAMPLED) is unsampled_parent
    assert decided(settings, link=APP) is sampled_parent
    assert decided(settings, name="rlb.startup") is (sampler != "parentbased_always_off")


def test_a_span_that_follows_links_keeps_its_own_trace() -> None:
    """The linked trace decides whether there is a span, not where it belongs."""
    export = Export(how(sampler="parentbased_always_off"), {}, Registry())
    context = parse_trace_context(APP, "a=1")
    assert context is not None
    span = export.tracer.start_span("x", NOWHERE, links=[Link(span_context(context))])
    own: SpanContext = span.get_span_context()
    assert own.trace_flags & TraceFlags.SAMPLED
    assert own.trace_id != int(context.trace_id, 16)
    assert not own.trace_state
    export.close(0)


OFF: list[dict[str, str]] = [
    {},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
    {"OTEL_TRACES_SAMPLER": "always_on"},
    {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
    {**ENDPOINT, "OTEL_TRACES_SAMPLER": "always_off"},
    {**ENDPOINT, "OTEL_TRACES_EXPORTER": "zipkin"},
    {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("environ", OFF, ids=str)
def test_tracing_is_off(environ: dict[str, str]) -> None:
    """Unless something asks for it, and nothing forbids it."""
    assert tracing_settings(environ) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (ENDPOINT, {}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, {}),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, {}),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, {"protocol": "http/protobuf"}),
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
            {},
        ),
        ({**ENDPOINT, "OTEL_TRACES_SAMPLER_ARG": "0.5"}, {"ratio": 0.5}),
        ({**ENDPOINT, "OTEL_TRACES_SAMPLER": "traceidratio"}, {"sampler": "traceidratio", "ratio": 1.0}),
        ({**ENDPOINT, "OTEL_BSP_MAX_QUEUE_SIZE": "100"}, {"queue": 100, "batch": 100}),
        ({**ENDPOINT, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "7"}, {"batch": 7}),
        ({**ENDPOINT, "OTEL_BSP_SCHEDULE_DELAY": "250"}, {"delay_ms": 250}),
    ],
    ids=str,
)
def test_the_standard_variables_say_how(environ: dict[str, str], expected: dict[str, object]) -> None:
    """What is not said has the default: gRPC, 1 % of what no caller decides, a queue of 8192."""
    defaults = {
        "protocol": "grpc",
        "sampler": "parentbased_traceidratio",
        "ratio": 0.01,
        "queue": 8192,
        "batch": 512,
        "delay_ms": 5000,
    }
    found = tracing_settings(environ)
    assert found is not None
    assert {name: getattr(found, name) for name in defaults} == defaults | expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_and_ignored(
    name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As the standard wants it: telemetry that is set up wrong must not stop a service."""
    assert tracing_settings({**ENDPOINT, name: value}) == tracing_settings(ENDPOINT)
    (record,) = caplog.records
    assert (record.getMessage(), vars(record)["variable"]) == ("otel.bad_variable", name)


@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if sampler != "always_off"])
def test_every_sampler_that_is_known_can_be_made(sampler: str) -> None:
    """None of the names is a promise only."""
    settings = tracing_settings({**ENDPOINT, "OTEL_TRACES_SAMPLER": sampler})
    assert settings is not None
    decided(settings)


SILENT = """
import asyncio, sys
from pathlib import Path
from rlb.service import Service
from rlb.settings import Settings

async def main(path):
    settings = Settings.model_validate({"socket": {"path": path}, "metrics": {"port": 0}, "redis": {"url": "unix:///no"}})
    async with Service(settings):
        pass

asyncio.run(main(sys.argv[1]))
print([name for name in ("grpc", "opentelemetry.sdk.trace", "opentelemetry.exporter") if name in sys.modules])
"""


def test_a_sidecar_that_does_not_trace_imports_nothing_for_it(short_tmp: object) -> None:
    """Neither the SDK's traces nor gRPC cost its memory or its start."""
    done = subprocess.run(
        [sys.executable, "-c", SILENT, f"{short_tmp}/s"], capture_output=True, text=True, timeout=50, check=True, env={}
    )
    assert done.stdout.strip() == "[]"


async def test_nothing_of_a_library_is_switched_on() -> None:
    """Tracing is the sidecar's own: OpenTelemetry's global provider stays what it was."""
    from opentelemetry.trace import get_tracer_provider

    before = get_tracer_provider()
    export = Export(how(), {}, Registry())
    assert get_tracer_provider() is before
    await asyncio.to_thread(export.close, 0)
