"""The span of one generation: from its first token, or from when its app was asked, to its end."""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

from opentelemetry.trace import Span, SpanContext, StatusCode
from pydantic_core import from_json

from rlb.bridge.ticket import Ticket
from rlb.domain.draft import Draft
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.domain.trace_context import parse_trace_context
from rlb.telemetry.propagation import below, span_context, trace_context
from rlb.telemetry.spans import Spans
from rlb.telemetry.spans_flush import Write, Writes

LONGEST_WAIT_MS = 3_600_000
"""An app's word on when it was asked counts if it is at most this long before the first token, and not behind it."""

Inject = Literal["first_last", "every", "off"]

_log = logging.getLogger("rlb.tracing")


def generation_span(spans: Spans, stream: StreamKey, draft: Draft, provider: str) -> Span:
    """Begin the span of the generation that `draft` opens; it is not recording if the generation is not sampled."""
    now_ns = time.time_ns()
    parent = parse_trace_context(draft.traceparent, draft.tracestate)
    requested_ms = waited_since_ms(draft, now_ns)
    span = spans.tracer.start_span(
        f"stream {stream.model_id}",
        below(span_context(parent) if parent is not None else None),
        start_time=requested_ms * 1_000_000 if requested_ms is not None else now_ns,
    )
    if span.is_recording():
        span.set_attributes(_about(stream, draft, provider) | {"messaging.destination.template": spans.template})
        if requested_ms is not None:
            span.set_attribute("gen_ai.response.time_to_first_chunk", now_ns / 1e9 - requested_ms / 1e3)
        span.add_event("first_token", timestamp=now_ns)
    return span


def waited_since_ms(draft: Draft, now_ns: int) -> int | None:
    """When the app was asked, Unix ms, if it says so and can be right."""
    asked_ms = draft.requested_at
    if asked_ms is None or not 0 <= now_ns // 1_000_000 - asked_ms <= LONGEST_WAIT_MS:
        return None
    return asked_ms


def _about(stream: StreamKey, draft: Draft, provider: str) -> dict[str, Any]:
    # Read back from the message: only a sampled generation is worth that, and no other draft has to keep it.
    metadata = from_json(draft.data(0))["metadata"]
    about = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": metadata["model"],
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": stream.session_id,
        "messaging.message.conversation_id": stream.session_id,
        "messaging.destination.name": stream.key,
    }
    for name, member in (("temperature", "temperature"), ("max_tokens", "maxTokens")):
        if member in metadata:
            about[f"gen_ai.request.{name}"] = metadata[member]
    return about


class TracedGeneration:
    """A sampled generation that is under way.

    Its entries carry its own context, which is below the app's: readers then refer to the generation, and by it to
    the app. `inject` says which entries do; an entry for which the app has sent a context counts with the first and
    last. With `off` they carry what the app has sent, if anything.
    """

    __slots__ = (
        "_inject",
        "_last",
        "_messages",
        "_span",
        "_tokens",
        "_writes",
        "context",
        "stream",
        "touched_s",
        "trace",
    )

    def __init__(self, span: Span, stream: StreamKey, inject: Inject, writes: Writes) -> None:
        self.stream = stream
        self.context: SpanContext = span.get_span_context()
        self.trace = trace_context(span)
        self.touched_s = time.monotonic()
        """When its last message came."""
        self._span = span
        self._inject = inject
        self._writes = writes
        self._messages = 0
        self._tokens = 0
        self._last: EntryId | None = None

    @property
    def is_over(self) -> bool:
        """Whether its span has ended."""
        return not self._span.is_recording()

    def take(self, ticket: Ticket) -> None:
        """A message of it is about to be queued."""
        draft = ticket.draft
        self.touched_s = time.monotonic()
        is_carrier = self._messages == 0 or draft.complete is not None or draft.traceparent is not None
        self._messages += 1
        if self._inject == "every" or (is_carrier and self._inject == "first_last"):
            draft.traceparent, draft.tracestate = self.trace.traceparent, self.trace.state
        ticket.trace = TracedMessage(self, self._writes)

    def landed(self, ticket: Ticket) -> None:
        """A message of it stands in the stream."""
        if self.is_over or ticket.entry_id is None:
            return
        self._tokens += ticket.draft.tokens
        last, self._last = self._last, ticket.entry_id
        if last is not None and self._last.seq > last.seq + 1:
            self._span.add_event("sequence_gap", {"rlb.missing": self._last.seq - last.seq - 1})
        if ticket.draft.complete is not None:
            self._span.set_attribute("gen_ai.response.finish_reasons", [ticket.draft.complete])
            # The app has said that it failed, but not why.
            self._end("_OTHER" if ticket.draft.complete == "error" else None)

    def fail(self, code: str) -> None:
        """It has failed; `code` is that of an API error."""
        if not self.is_over:
            self._tell("generation.failed", code)
            self._end(code)

    def abandon(self, reason: str) -> None:
        """Nothing came any more."""
        if not self.is_over:
            self._span.add_event("abandoned", {"rlb.reason": reason})
            self._tell("generation.abandoned", reason)
            self._end("abandoned")

    def _end(self, error: str | None) -> None:
        span = self._span
        span.set_attributes({"gen_ai.usage.output_tokens": self._tokens, "rlb.tokens": self._tokens})
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)
        span.end()

    def _tell(self, event: str, reason: str) -> None:
        _log.info(
            event,
            extra={
                "stream": self.stream.key,
                "reason": reason,
                "trace_id": self.trace.trace_id,
                "span_id": self.trace.span_id,
            },
        )


class TracedMessage:
    """A message of a sampled generation between its acceptance and its answer."""

    __slots__ = ("_generation", "_write", "_writes")

    def __init__(self, generation: TracedGeneration, writes: Writes) -> None:
        self._generation = generation
        self._writes = writes
        self._write: Write | None = None

    def sent(self, ticket: Ticket) -> None:
        """It leaves for Redis; perhaps not for the first time."""
        if self._write is not None:
            self._write.answered("connection_lost" if ticket.unsure else None)
        self._write = self._writes.joined_by(self._generation)

    def settled(self, ticket: Ticket) -> None:
        """It has its answer."""
        error = ticket.error
        if self._write is not None:
            self._write.answered(error.code if error is not None else None)
            self._write = None
        if error is None:
            self._generation.landed(ticket)
        else:
            self._generation.fail(error.code)
