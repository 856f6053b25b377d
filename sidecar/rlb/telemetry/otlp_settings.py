"""Whether and how telemetry is sent over OTLP, as the standard `OTEL_*` variables say."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Literal

_log = logging.getLogger("rlb.telemetry")

Signal = Literal["metrics", "traces"]
Protocol = Literal["grpc", "http/protobuf"]

_SERVED_ANYWAY = {"metrics": ("prometheus",), "traces": ()}
"""Exporters that may be named without effect: /metrics is always there."""


def otlp_protocol(environ: Mapping[str, str], signal: Signal) -> Protocol | None:
    """The protocol in which a signal is to be sent, or None if it is not.

    It is sent if an endpoint is named, or the exporter `otlp`. What cannot be obeyed is warned of, once, and off.
    """
    upper = signal.upper()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    named = [name.strip().lower() for name in environ.get(f"OTEL_{upper}_EXPORTER", "").split(",") if name.strip()]
    for name in named:
        if name not in ("otlp", "none", *_SERVED_ANYWAY[signal]):
            _warn(f"OTEL_{upper}_EXPORTER", name, "otlp or none")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{upper}_ENDPOINT")
    is_wanted = "otlp" in named if named else any(environ.get(variable, "").strip() for variable in endpoints)
    if not is_wanted:
        return None
    for variable in (f"OTEL_EXPORTER_OTLP_{upper}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        match environ.get(variable, "").strip().lower():
            case "":
                continue
            case "grpc":
                return "grpc"
            case "http/protobuf":
                return "http/protobuf"
            case other:
                _warn(variable, other, "grpc or http/protobuf")
                return None
    return "grpc"


def milliseconds(environ: Mapping[str, str], variable: str, default: float) -> float:
    """A time in seconds from a variable in milliseconds. What is no such number is warned of, and the default."""
    text = environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        _warn(variable, text, "a positive number of milliseconds")
        return default
    return value / 1000


def quiet_exporters() -> None:
    """Keep the exporters' own log out of ours: they log every failed export, with addresses; we log the change."""
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL + 1)


def _warn(variable: str, value: str, expected: str) -> None:
    _log.warning("otlp.bad_setting", extra={"variable": variable, "value": value[:64], "expected": expected})
