"""The bridge's observer that counts: what it is told goes into the registry, on handles that were fetched before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import Operation
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.domain.snapshot import GenerationInfo
from rlb.errors import ApiError
from rlb.settings import GenerationSettings
from rlb.telemetry.deliveries import Deliveries
from rlb.telemetry.generations import SWEEP_S, Generations
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.meters import MeterBook
from rlb.telemetry.registry import Histogram, Registry, Sample

REJECTED = {
    "invalid_json": "invalid_json",
    "invalid_message": "schema",
    "too_large": "too_large",
    "overloaded": "queue_full",
    "draining": "draining",
    "peer_not_allowed": "unauthorized",
}
"""Reasons for a refusal before the queue, by the code that the app gets; any other is `other`."""

DROPPED = {
    "draining": "shutdown",
    "redis_unavailable": "retry_exhausted",
    "redis_read_only": "retry_exhausted",
    "redis_out_of_memory": "retry_exhausted",
}
"""Why messages were given up that had been taken; any other code is `refused`: trying again would not have helped."""

OPERATION_TYPES: dict[Operation, str] = {
    "XADD": "send",
    "XREADGROUP": "receive",
    "XCLAIM": "receive",
    "XACK": "settle",
}


class Instruments:
    """Counts. `skew_s` gives the clock of Redis minus the one here, in seconds."""

    def __init__(
        self,
        registry: Registry,
        caps: LabelCaps,
        settings: GenerationSettings,
        skew_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._registry = registry
        self._caps = caps
        self._book = MeterBook(registry, caps)
        self._generations = Generations(settings, self._book, registry)
        self._deliveries = Deliveries(self._book, skew_s)
        self._rejected = {
            reason: registry.counter("rlb.ingest.rejected", reason=reason) for reason in (*REJECTED.values(), "other")
        }
        self._dropped = {
            reason: registry.counter("rlb.write.dropped", reason=reason)
            for reason in ("retry_exhausted", "buffer_full", "shutdown", "refused")
        }
        self._batches = registry.histogram("rlb.write.batch.size")
        self._queued = registry.histogram("rlb.ingest.queue.duration")
        self._round_trips = {operation: self._round_trips_of(operation) for operation in OPERATION_TYPES}
        self._sweeping: asyncio.Task[None] | None = None
        registry.observe_with(self._observed)

    # What was asked for

    def generations(self, limit: int) -> tuple[GenerationInfo, ...]:
        """Open generations, the stalled ones first, then those that have been silent for longest."""
        return self._generations.infos(limit, time.monotonic())

    def start(self) -> None:
        """Begin to look for stalled and abandoned generations."""
        self._sweeping = asyncio.create_task(self._sweep(), name="generations")

    async def close(self) -> None:
        """Stop looking."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._generations.sweep(time.monotonic())

    def _observed(self) -> Iterator[Sample]:
        for meters in self._book.models:
            yield Sample("rlb.generation.active", {"model": meters.model}, meters.open)
            yield Sample("rlb.generation.stalled", {"model": meters.model}, meters.stalled)

    # What the bridge tells

    def accepted(self, ticket: Ticket, now_s: float) -> None:
        self._generations.accepted(ticket, now_s)

    def refused(self, error: ApiError) -> None:
        self._rejected[REJECTED.get(error.code, "other")].value += 1

    def flushed(self, messages: int, waited_s: float) -> None:
        self._batches.observe(messages)
        self._queued.observe(waited_s)

    def landed(self, ticket: Ticket) -> None:
        meters = self._book.model(ticket.stream.model_id)
        if ticket.duplicate:
            meters.anomalies["duplicate"].value += 1
        else:
            meters.sent.value += 1
        if ticket.draft.complete is not None:
            self._generations.landed(ticket)

    def failed(self, ticket: Ticket) -> None:
        error = ticket.error
        assert error is not None
        self._book.model(ticket.stream.model_id).failed(error.code).value += 1
        self._dropped[DROPPED.get(error.code, "refused")].value += 1
        self._generations.failed(ticket, time.monotonic())

    def retried(self, reason: str) -> None:
        folded = self._caps.error_types.fold(reason)
        self._registry.counter("rlb.write.retries", **{"error.type": folded}).value += 1

    def lost(self, producer: Producer, key: str, error: ApiError) -> None:
        del error
        self._generations.lost(producer, key, time.monotonic())

    def left(self, producer: Producer) -> None:
        self._generations.left(producer)

    def round_trip(self, operation: Operation, seconds: float, error: str | None) -> None:
        round_trips = self._round_trips[operation] if error is None else self._round_trips_of(operation, error)
        round_trips.observe(seconds)

    def delivered(self, reading: Reading, deliveries: Sequence[Delivery]) -> None:
        self._deliveries.delivered(reading, deliveries)

    def settled(self, key: str, group: str, ids: Iterable[EntryId], acknowledged: int) -> None:
        self._deliveries.settled(key, group, ids, acknowledged)

    def set_aside(self, group: str) -> None:
        self._deliveries.set_aside(group)

    def _round_trips_of(self, operation: Operation, error: str | None = None) -> Histogram:
        labels = {"messaging.operation.name": operation, "messaging.operation.type": OPERATION_TYPES[operation]}
        if error is not None:
            labels["error.type"] = self._caps.operation_error_types.fold(error)
        return self._registry.histogram("messaging.client.operation.duration", **labels)
