"""Whether and how telemetry is sent, as the standard `OTEL_*` variables say it. Read without importing OpenTelemetry.

What cannot be obeyed is logged once, and its default taken; a protocol or an exporter that there is not means that
nothing is sent. What is about the connection (endpoint, headers, certificates, timeout, compression), OpenTelemetry's
exporters read for themselves.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_log = logging.getLogger("rlb.telemetry")

Signal = Literal["metrics", "traces"]
Protocol = Literal["grpc", "http/protobuf"]

DEFAULT_INTERVAL_S = 60.0
DEFAULT_TIMEOUT_S = 30.0

DEFAULT_RATIO = 0.01
"""Share of generations without a traced caller that get spans, unless `OTEL_TRACES_SAMPLER` says otherwise."""

DEFAULT_QUEUE = 8192
"""Ended spans that may wait for their export; what is beyond is dropped, and counted."""

DEFAULT_BATCH = 512
DEFAULT_DELAY_MS = 5000

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)

_PROTOCOLS: dict[str, Protocol] = {"grpc": "grpc", "http/protobuf": "http/protobuf"}
_SERVED_ANYWAY = {"metrics": ("prometheus",), "traces": ()}
"""Exporters that may be named without effect: /metrics is always there."""


@dataclass(frozen=True, slots=True)
class MetricsExport:
    """How to export metrics. Times in seconds."""

    protocol: Protocol
    interval_s: float
    timeout_s: float
    """For one export."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """How to sample and to export spans."""

    protocol: Protocol
    sampler: str
    """One of `SAMPLERS`."""
    ratio: float
    """For the samplers that take one."""
    queue: int
    """Ended spans that may wait."""
    batch: int
    """Spans of one export, at most; not more than `queue`."""
    delay_ms: int
    """Between two exports."""


def metrics_export(environ: Mapping[str, str]) -> MetricsExport | None:
    """How to export metrics, or None if nothing asks for it or something forbids it."""
    protocol = _protocol(environ, "metrics")
    if protocol is None:
        return None
    preference = _word(environ, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
    if preference not in ("", "cumulative"):
        _log.warning("otlp.always_cumulative", extra={"asked_for": preference[:64]})
    return MetricsExport(
        protocol,
        interval_s=_seconds(environ, "OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL_S),
        timeout_s=_seconds(environ, "OTEL_METRIC_EXPORT_TIMEOUT", DEFAULT_TIMEOUT_S),
    )


def tracing_settings(environ: Mapping[str, str]) -> TracingSettings | None:
    """How to trace, or None if nothing asks for it or something forbids it, as a sampler that never samples does."""
    protocol = _protocol(environ, "traces")
    if protocol is None:
        return None
    sampler = _word(environ, "OTEL_TRACES_SAMPLER")
    if sampler and sampler not in SAMPLERS:
        _warn("OTEL_TRACES_SAMPLER", sampler, f"one of {', '.join(SAMPLERS)}")
        sampler = ""
    if sampler == "always_off":
        return None
    queue = _count(environ, "OTEL_BSP_MAX_QUEUE_SIZE", DEFAULT_QUEUE)
    return TracingSettings(
        protocol=protocol,
        sampler=sampler or "parentbased_traceidratio",
        # The standard's default, for who names the sampler and no ratio.
        ratio=_ratio(environ, "OTEL_TRACES_SAMPLER_ARG", 1.0 if sampler else DEFAULT_RATIO),
        queue=queue,
        batch=min(queue, _count(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", DEFAULT_BATCH)),
        delay_ms=_count(environ, "OTEL_BSP_SCHEDULE_DELAY", DEFAULT_DELAY_MS),
    )


def _protocol(environ: Mapping[str, str], signal: Signal) -> Protocol | None:
    """The protocol in which a signal is to be sent: it is if an endpoint is named, or the exporter `otlp`."""
    upper = signal.upper()
    if _word(environ, "OTEL_SDK_DISABLED") == "true":
        return None
    exporters = f"OTEL_{upper}_EXPORTER"
    named = [name.strip() for name in _word(environ, exporters).split(",") if name.strip()]
    for name in named:
        if name not in ("otlp", "none", *_SERVED_ANYWAY[signal]):
            _warn(exporters, name, "otlp or none")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{upper}_ENDPOINT")
    is_wanted = "otlp" in named if named else any(_word(environ, variable) for variable in endpoints)
    if not is_wanted:
        return None
    for variable in (f"OTEL_EXPORTER_OTLP_{upper}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if text := _word(environ, variable):
            if text not in _PROTOCOLS:
                _warn(variable, text, "grpc or http/protobuf")
            return _PROTOCOLS.get(text)
    return "grpc"


def _seconds(environ: Mapping[str, str], variable: str, default: float) -> float:
    text = _word(environ, variable)
    milliseconds = _float(text) if text else default * 1000
    if math.isfinite(milliseconds) and milliseconds > 0:
        return milliseconds / 1000
    _warn(variable, text, "a positive number of milliseconds")
    return default


def _ratio(environ: Mapping[str, str], variable: str, default: float) -> float:
    text = _word(environ, variable)
    ratio = _float(text) if text else default
    if 0 <= ratio <= 1:
        return ratio
    _warn(variable, text, "a number from 0 to 1")
    return default


def _count(environ: Mapping[str, str], variable: str, default: int) -> int:
    text = _word(environ, variable)
    if not text:
        return default
    if text.isascii() and text.isdecimal() and 0 < int(text) <= 10**6:
        return int(text)
    _warn(variable, text, "a whole number from 1 to 1000000")
    return default


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _word(environ: Mapping[str, str], variable: str) -> str:
    """A variable's value; one that is empty is as if it were not set."""
    return environ.get(variable, "").strip().lower()


def _warn(variable: str, value: str, expected: str) -> None:
    _log.warning("otel.bad_variable", extra={"variable": variable, "value": value[:64], "expected": expected})
