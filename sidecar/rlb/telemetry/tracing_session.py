"""Tracing that is on: all makers of spans together, as the bridge's tracer. Imports OpenTelemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import Operation
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.errors import ApiError
from rlb.settings import Settings
from rlb.telemetry.open_generations import OpenGenerations
from rlb.telemetry.otel_variables import TracingSettings
from rlb.telemetry.propagation import NOWHERE
from rlb.telemetry.registry import Registry
from rlb.telemetry.spans import Spans, destination
from rlb.telemetry.spans_delivery import DeliverySpans
from rlb.telemetry.spans_flush import Writes
from rlb.telemetry.tracing_export import LIFECYCLE, Export

CLOSE_S = 3.0
"""How long the last spans may take to be sent, while the collector seems to be there; else they are given up."""


class TracingSession:
    """The bridge's tracer. Make it in a running loop, `start` it, and `close` it behind everything that it follows."""

    def __init__(
        self,
        settings: Settings,
        tracing: TracingSettings,
        resource: Mapping[str, str],
        registry: Registry,
        redis_url: str | None,
    ) -> None:
        self._export = Export(tracing, resource, registry)
        spans = Spans(self._export.tracer, destination(settings.stream.prefix, redis_url))
        self._writes = Writes(spans)
        abandoned_s = settings.generation.abandoned_seconds
        self._generations = OpenGenerations(
            spans,
            self._writes,
            provider=settings.generation.provider,
            inject=settings.trace.inject,
            max_open=settings.generation.max_open,
            abandoned_s=abandoned_s,
        )
        self._deliveries = DeliverySpans(spans, settings.trace.deliveries)
        self._sweep_s = min(30.0, max(0.05, abandoned_s / 4))
        self._sweeper: asyncio.Task[None] | None = None
        # What is told most often goes straight to who is told.
        self.admitted: Callable[[Ticket], None] = self._generations.admitted
        self.flushed: Callable[[int], None] = self._writes.leave

    def start(self) -> None:
        """Begin to look for abandoned generations."""
        self._sweeper = asyncio.create_task(self._sweep(), name="abandoned generations")

    async def close(self) -> None:
        """End and send all spans, for at most about `CLOSE_S`."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        self._generations.close()
        # It blocks, so it is not for the loop's thread.
        await asyncio.to_thread(self._export.close, CLOSE_S)

    def lost(self, producer: Producer, key: str, error: ApiError) -> None:
        """A generation that was open on the stream `key` has failed."""
        self._generations.lost(producer, key, error)

    def left(self, producer: Producer) -> None:
        """A producing connection has ended."""
        self._generations.left(producer)

    def received(self, operation: Operation, reading: Reading, deliveries: Sequence[Delivery], seconds: float) -> None:
        """A read has brought deliveries."""
        self._deliveries.received(operation, reading, deliveries, seconds)

    def acknowledged(
        self, stream: StreamKey, group: str, ids: Iterable[EntryId], seconds: float, error: str | None
    ) -> None:
        """Redis has settled deliveries, or failed to."""
        self._deliveries.acknowledged(stream, group, ids, seconds, error)

    def lifecycle(self, name: str, began_ns: int, **counts: int) -> None:
        """A start or an end of the sidecar is over; it began at that Unix time in ns."""
        span = self._export.tracer.start_span(f"{LIFECYCLE}{name}", NOWHERE, start_time=began_ns)
        span.set_attributes({f"rlb.{name}.{what}": count for what, count in counts.items()})
        span.end()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_s)
            self._generations.sweep()
