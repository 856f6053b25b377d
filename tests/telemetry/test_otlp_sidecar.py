"""A whole sidecar that exports over OTLP: its last words, and a collector that is not there."""

from __future__ import annotations

import re
import signal
import socket
import time

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from rlb.telemetry.otlp import MAX_LAST_WORDS_S
from tests.support.http import session, token
from tests.support.otlp import Collector, attributes_of
from tests.telemetry.conftest import StartScraped

PATIENT = """
import runpy
from rlb.telemetry import otlp
otlp.MAX_LAST_WORDS_S = 20.0
runpy.run_module("rlb.cli", run_name="__main__")
"""
"""A sidecar that waits longer for its last export, so that none is lost where the machine stands still for a while."""

FAILED = re.compile(r'rlb_otlp_exports_total\{outcome="failed",signal="metrics"\} (\d+)')

PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])


def tokens_in(request: ExportMetricsServiceRequest) -> int:
    """Tokens accepted, as an export has it."""
    return sum(
        point.as_int
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "rlb.ingest.tokens"
        for point in metric.sum.data_points
    )


@PROTOCOLS
async def test_the_last_export_is_sent_on_the_way_out(start_scraped: StartScraped, protocol: str) -> None:
    """What was counted up to SIGTERM arrives, though the next export was an hour away."""
    with Collector("grpc" if protocol == "grpc" else "http/protobuf") as collector:
        sidecar = start_scraped(
            program=("-c", PATIENT),
            **collector.environment,
            OTEL_METRIC_EXPORT_INTERVAL="3600000",
            OTEL_SERVICE_NAME="chat-bridge",
        )
        async with session(sidecar.path) as http:
            for _ in range(3):
                async with http.post("/v1/tokens", json=token()) as response:
                    assert response.status == 201
        sidecar.send(signal.SIGTERM)
        assert sidecar.ended() == 0
        assert [tokens_in(request) for request in collector.metric_requests] == [3]
        resource = collector.metric_requests[0].resource_metrics[0].resource
        assert attributes_of(resource.attributes)["service.name"] == "chat-bridge"


@PROTOCOLS
async def test_a_collector_that_never_answers_costs_nothing(start_scraped: StartScraped, protocol: str) -> None:
    """Tokens flow, the end comes in time, and the log has one line of it, however many exports fail."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sidecar = start_scraped(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_TIMEOUT="1",
            OTEL_METRIC_EXPORT_INTERVAL="50",
            OTEL_TRACES_EXPORTER="none",
        )
        async with session(sidecar.path) as http:
            failed = 0
            while failed < 2:
                async with http.post("/v1/tokens", json=token()) as response:
                    assert response.status == 201
                async with http.get("/metrics") as response:
                    failed = int(found[1]) if (found := FAILED.search(await response.text())) else 0
        began_s = time.monotonic()
        sidecar.send(signal.SIGTERM)
        assert sidecar.ended() == 0
        assert time.monotonic() - began_s < MAX_LAST_WORDS_S + 8
    assert len(sidecar.events("otlp.export_fails")) == 1
    assert "opentelemetry" not in sidecar.log
