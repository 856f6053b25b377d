"""The trace of the calling app, told by the app's own tracing library, which this package neither needs nor imports."""

from __future__ import annotations

from collections.abc import Callable

from rlb.domain.trace_context import TraceContext, parse_trace_context

Inject = Callable[[dict[str, str]], object]
"""Writes the current trace context into a dict of headers, as `opentelemetry.propagate.inject` does."""


def caller_context(inject: Inject | None) -> TraceContext | None:
    """The context of whoever calls now; None without tracing, outside of any span, or in a broken context."""
    if inject is None:
        return None
    headers: dict[str, str] = {}
    inject(headers)
    return parse_trace_context(headers.get("traceparent"), headers.get("tracestate"))
