"""The spans of readers: reads that brought messages of sampled generations, and their acknowledgement.

By default a read refers to the generations by links, as it may bring many. With `parent` it becomes part of the trace
of the first one, and links to the others: one trace then shows the way from the app to its reader.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Literal

from opentelemetry.trace import Link, SpanContext, SpanKind

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import Operation
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.domain.trace_context import TraceContext, parse_trace_context
from rlb.telemetry.propagation import span_context
from rlb.telemetry.spans import CLAIM, MAX_LINKS, RECEIVE, SETTLE, Attributes, Spans

MAX_RECEIVED = 10_000
"""Deliveries whose read is remembered until they are acknowledged; beyond, the oldest is forgotten, and its
acknowledgement gets no span."""

Correlation = Literal["link", "parent"]


class DeliverySpans:
    """Makes the spans of reads and acknowledgements."""

    def __init__(self, spans: Spans, correlation: Correlation) -> None:
        self._spans = spans
        self._correlation = correlation
        self._received: dict[tuple[str, str, EntryId], SpanContext] = {}

    def received(self, operation: Operation, reading: Reading, deliveries: Sequence[Delivery], seconds: float) -> None:
        """A read has brought deliveries; nothing is done unless one of them is of a sampled generation."""
        traced = [delivery for delivery in deliveries if delivery.entry.traceparent is not None]
        if not traced:
            return
        sampled: dict[TraceContext, list[EntryId]] = {}
        for delivery in traced:
            context = parse_trace_context(delivery.entry.traceparent)
            if context is not None and context.is_sampled:
                sampled.setdefault(context, []).append(delivery.entry.id)
        if not sampled:
            return
        links = [Link(span_context(context), _messages(ids)) for context, ids in sampled.items()]
        parent = links.pop(0).context if self._correlation == "parent" else None
        ended_ns = time.time_ns()
        own = self._spans.over(
            CLAIM if operation == "XCLAIM" else RECEIVE,
            SpanKind.CLIENT,
            {
                "messaging.consumer.group.name": reading.group,
                "messaging.client.id": reading.consumer,
                "messaging.destination.name": reading.stream.key,
                "messaging.message.conversation_id": reading.stream.session_id,
                "messaging.batch.message_count": len(deliveries),
            },
            began_ns=ended_ns - int(seconds * 1e9),
            ended_ns=ended_ns,
            parent=parent,
            links=links,
        )
        if own.trace_flags.sampled:
            for ids in sampled.values():
                for entry_id in ids:
                    self._remember((reading.stream.key, reading.group, entry_id), own)

    def acknowledged(
        self, stream: StreamKey, group: str, ids: Iterable[EntryId], seconds: float, error: str | None
    ) -> None:
        """Deliveries were settled; those that a span has brought get one for it, below the first one's read."""
        if not self._received:
            return
        keys = [(stream.key, group, entry_id) for entry_id in ids]
        find = self._received.get if error is not None else self._received.pop
        reads = {read.span_id: read for key in keys if (read := find(key, None)) is not None}
        if not reads:
            return
        first, *others = reads.values()
        ended_ns = time.time_ns()
        self._spans.over(
            SETTLE,
            SpanKind.CLIENT,
            {
                "messaging.consumer.group.name": group,
                "messaging.destination.name": stream.key,
                "messaging.message.conversation_id": stream.session_id,
                "messaging.batch.message_count": len(keys),
            },
            began_ns=ended_ns - int(seconds * 1e9),
            ended_ns=ended_ns,
            parent=first,
            links=[Link(read) for read in others[:MAX_LINKS]],
            error=error,
        )

    def _remember(self, key: tuple[str, str, EntryId], read: SpanContext) -> None:
        self._received[key] = read
        if len(self._received) > MAX_RECEIVED:
            del self._received[next(iter(self._received))]


def _messages(ids: Sequence[EntryId]) -> Attributes:
    """Which messages a link is about: the first, and the last if it is another."""
    first = {"messaging.message.id": str(ids[0])}
    return first | {"rlb.message.id.last": str(ids[-1])} if len(ids) > 1 else first
