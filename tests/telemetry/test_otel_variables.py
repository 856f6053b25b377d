"""The standard variables mean what they always mean; what cannot be obeyed is said once."""

from __future__ import annotations

import logging

import pytest

from rlb.telemetry.otel_variables import DEFAULT_TIMEOUT_S, MetricsExport, metrics_export

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
HTTP = "http/protobuf"


def protocol_of(how: MetricsExport | None) -> str | None:
    """The protocol, None if nothing is sent."""
    return None if how is None else how.protocol


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({}, None),
        (ENDPOINT, "grpc"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4317"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4317"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, "grpc"),
        ({"OTEL_METRICS_EXPORTER": "OTLP"}, "grpc"),
        ({"OTEL_METRICS_EXPORTER": "prometheus,otlp"}, "grpc"),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, None),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "prometheus"}, None),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, None),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, "grpc"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": HTTP}, HTTP),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": HTTP}, HTTP),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": HTTP}, "grpc"),
    ],
)
def test_when_metrics_are_sent_and_how(
    environ: dict[str, str], protocol: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """An endpoint or the exporter `otlp` switches it on, the switches of the specification off."""
    assert protocol_of(metrics_export(environ)) == protocol
    assert not caplog.records


@pytest.mark.parametrize(
    ("environ", "variable", "protocol"),
    [
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "statsd"}, "OTEL_METRICS_EXPORTER", None),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "otlp,console"}, "OTEL_METRICS_EXPORTER", "grpc"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL", None),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "udp"}, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", None),
    ],
)
def test_an_unknown_name_is_warned_of(
    environ: dict[str, str], variable: str, protocol: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """One line that names the variable; nothing is sent in a way that was not asked for."""
    assert protocol_of(metrics_export(environ)) == protocol
    assert [(record.levelno, vars(record)["variable"]) for record in caplog.records] == [(logging.WARNING, variable)]


@pytest.mark.parametrize(
    ("text", "seconds", "is_warned"),
    [
        ("", 60.0, False),
        ("500", 0.5, False),
        ("1e3", 1.0, False),
        *((text, 60.0, True) for text in ("0", "-1", "soon", "nan", "inf")),
    ],
)
def test_times_are_in_milliseconds(
    text: str, seconds: float, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Anything but a positive number is the default, with a warning."""
    how = metrics_export(ENDPOINT | {"OTEL_METRIC_EXPORT_INTERVAL": text})
    assert how is not None
    assert (how.interval_s, how.timeout_s) == (seconds, DEFAULT_TIMEOUT_S)
    assert bool(caplog.records) == is_warned
