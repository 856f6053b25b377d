"""Exports that fail: the log names the cause, without a word of the exporter's, and a stop does not wait for nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator

import pytest
from grpc import StatusCode
from requests.exceptions import ReadTimeout, SSLError

from rlb.telemetry import otlp, otlp_log
from rlb.telemetry.otel_variables import tracing_settings
from rlb.telemetry.otlp_cause import cause_of
from rlb.telemetry.propagation import NOWHERE
from rlb.telemetry.registry import Registry
from rlb.telemetry.tracing_export import Export

SECRET = "hunter2"
REFUSED = {"grpc": "unavailable: connection refused", "http/protobuf": "ConnectionError: connection refused"}
LONG_S = 60
"""What an end would take if it waited."""
SOON_S = 20


@pytest.fixture(params=["grpc", "http/protobuf"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A protocol, with the variables for a collector that is not there; an export is tried for long."""
    with socket.socket() as nobody:  # bound, so that no other takes the port, and never listening
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://someone:{SECRET}@127.0.0.1:{nobody.getsockname()[1]}"
        if request.param == "grpc":  # which takes no user in an address
            endpoint = endpoint.replace(f"someone:{SECRET}@", "")
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": str(LONG_S),
            "OTEL_METRIC_EXPORT_INTERVAL": "20",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_TRACES_SAMPLER": "always_on",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield request.param


def check_log(caplog: pytest.LogCaptureFixture, protocol: str) -> None:
    """One line tells of the failure, with its cause and nothing that is secret."""
    (told,) = [record for record in caplog.records if record.getMessage() == "otlp.export_fails"]
    assert vars(told)["reason"] == REFUSED[protocol]
    assert SECRET not in "".join(str(vars(record)) for record in caplog.records)


async def test_metrics_for_nobody(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end does not wait, though the export that is being tried again would take long, and says why it failed."""
    monkeypatch.setattr(otlp, "MAX_LAST_WORDS_S", LONG_S)
    exporter = otlp.start_otlp_metrics(Registry(), {})
    assert exporter is not None
    async with asyncio.timeout(SOON_S):
        while not exporter._export_log.is_failing:
            await asyncio.sleep(0.01)
        await exporter.close()
        await asyncio.to_thread(exporter._thread.join)
    check_log(caplog, protocol)


def test_spans_for_nobody(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """The end waits until it is seen that nobody takes them."""
    settings = tracing_settings({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert settings is not None
    export = Export(settings, {}, Registry())
    export.tracer.start_span("rlb.drain", NOWHERE).end()
    began_s = time.monotonic()
    export.close(LONG_S)
    while "otlp.export_fails" not in [record.getMessage() for record in caplog.records]:
        assert time.monotonic() - began_s < SOON_S
        time.sleep(0.01)
    assert time.monotonic() - began_s < SOON_S
    check_log(caplog, protocol)


def test_spans_for_somebody_who_does_not_answer(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is who hangs waited for, though no export has failed yet."""
    monkeypatch.setattr(otlp_log, "UNANSWERED_S", 0.5)
    settings = tracing_settings({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert settings is not None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        export = Export(settings, {}, Registry())
        export.tracer.start_span("rlb.drain", NOWHERE).end()
        began_s = time.monotonic()
        export.close(LONG_S)
        assert time.monotonic() - began_s < SOON_S


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("traces", "collector:4317", StatusCode.UNAUTHENTICATED, f"bad token {SECRET}"), "unauthenticated"),
        (("traces", "collector:4317", StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), "deadline_exceeded"),
        (
            (StatusCode.UNAVAILABLE, "traces", "c:4317", 1.1, "DNS resolution failed for c:4317: No such host"),
            "unavailable: no such host",
        ),
        (
            (StatusCode.UNAVAILABLE, "traces", "c:4317", 1.1, "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED: ..."),
            "unavailable: bad certificate",
        ),
        (("spans", 401, f"Go away, {SECRET}"), "HTTP status 401"),
        (("Service Unavailable", "spans", 1.1), "HTTP status 503"),
        (("spans", None, ReadTimeout(f"http://{SECRET}@c: Read timed out. (read timeout=10)")), "ReadTimeout: timeout"),
        (("metrics", None, SSLError(f"{SECRET}: certificate verify failed")), "SSLError: bad certificate"),
        (("traces", "collector:4317", StatusCode.CANCELLED, "Channel closed!"), None),
        (("metrics",), None),
    ],
)
def test_what_a_record_says(arguments: tuple[object, ...], cause: str | None) -> None:
    """Codes and types, and words of ours for what is known; words of others never."""
    assert cause_of(arguments) == cause


def test_records_of_other_threads_are_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    """Who exports without telling is not heard, and not logged either."""
    from rlb.telemetry.otlp_cause import quiet_exporters

    quiet_exporters()
    logging.getLogger("opentelemetry.exporter.otlp.x").error("Failed to export %s: %s", "spans", SECRET)
    assert not caplog.records
