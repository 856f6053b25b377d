"""Contexts in and out: from what apps and entries carry to OpenTelemetry's own, and back."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from rlb.domain.trace_context import TraceContext

NOWHERE = Context()
"""The context of a root span. To name none would be to ask for the current one, which nobody sets here."""


def span_context(context: TraceContext) -> SpanContext:
    """A context from elsewhere as OpenTelemetry has it."""
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(context.flags),
        trace_state=TraceState.from_header([context.state]) if context.state is not None else None,
    )


def trace_context(span: Span) -> TraceContext:
    """A span of ours as others are to refer to it."""
    own = span.get_span_context()
    return TraceContext(
        f"{own.trace_id:032x}", f"{own.span_id:016x}", int(own.trace_flags), own.trace_state.to_header() or None
    )


def below(parent: SpanContext | None) -> Context:
    """The context in which a span begins: below that one, or a root."""
    return set_span_in_context(NonRecordingSpan(parent), NOWHERE) if parent is not None else NOWHERE


def unique(contexts: Iterable[TraceContext]) -> list[TraceContext]:
    """Each span once, in order."""
    return list({(context.trace_id, context.span_id): context for context in contexts}.values())
