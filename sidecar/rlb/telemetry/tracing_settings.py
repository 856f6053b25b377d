"""Whether and how to trace, as the standard `OTEL_*` variables say it. Knows them without importing OpenTelemetry.

What is about the connection (endpoint, headers, certificates, timeout, compression), OpenTelemetry's exporters read
for themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from rlb.telemetry.otlp_settings import Protocol, otlp_protocol

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

_log = logging.getLogger("rlb.tracing")


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """How to sample and to export."""

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


def tracing_settings(environ: Mapping[str, str]) -> TracingSettings | None:
    """How to trace, or None if nothing asks for it or something forbids it.

    It is asked for by `OTEL_TRACES_EXPORTER=otlp` or, without that variable, by an OTLP endpoint; a sampler that never
    samples is as good as none. A value that cannot be used is logged, and its default taken, as OpenTelemetry wants it.
    """
    protocol = otlp_protocol(environ, "traces")
    if protocol is None:
        return None
    sampler = _word(environ, "OTEL_TRACES_SAMPLER")
    if sampler and sampler not in SAMPLERS:
        _ignore(environ, "OTEL_TRACES_SAMPLER", f"one of {', '.join(SAMPLERS)}")
        sampler = ""
    if sampler == "always_off":
        return None
    queue = _count(environ, "OTEL_BSP_MAX_QUEUE_SIZE", DEFAULT_QUEUE)
    return TracingSettings(
        protocol=protocol,
        sampler=sampler or "parentbased_traceidratio",
        # The standard's default, for who names the sampler and no ratio.
        ratio=_ratio(environ, 1.0 if sampler else DEFAULT_RATIO),
        queue=queue,
        batch=min(queue, _count(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", DEFAULT_BATCH)),
        delay_ms=_count(environ, "OTEL_BSP_SCHEDULE_DELAY", DEFAULT_DELAY_MS),
    )


def _ratio(environ: Mapping[str, str], default: float) -> float:
    text = _word(environ, "OTEL_TRACES_SAMPLER_ARG")
    try:
        ratio = float(text) if text else default
    except ValueError:
        ratio = -1.0
    if 0 <= ratio <= 1:
        return ratio
    _ignore(environ, "OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1")
    return default


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = _word(environ, name)
    if not text:
        return default
    if text.isascii() and text.isdecimal() and 0 < int(text) <= 10**6:
        return int(text)
    _ignore(environ, name, "a whole number from 1 to 1000000")
    return default


def _word(environ: Mapping[str, str], name: str) -> str:
    """A variable's value; one that is empty is as if it were not set."""
    return environ.get(name, "").strip().lower()


def _ignore(environ: Mapping[str, str], name: str, expected: str) -> None:
    _log.warning("tracing.variable_ignored", extra={"variable": name, "value": environ[name], "expected": expected})
