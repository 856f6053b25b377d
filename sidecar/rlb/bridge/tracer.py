"""What the bridge tells a tracer. There is none where tracing is off, and then none of this costs anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import Operation
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.errors import ApiError


class Tracer(Protocol):
    """Follows the generations that are sampled, from their first message to whoever reads them.

    It puts a trace on the ticket of each message that it follows; of all others it hears once, when they are admitted.
    """

    def admitted(self, ticket: Ticket) -> None:
        """A message is about to be queued: the last moment to give its entry a context to carry."""

    def flushed(self, messages: int) -> None:
        """One write with so many messages is leaving; what was sent since the last one is part of it."""

    def lost(self, producer: Producer, key: str, error: ApiError) -> None:
        """A generation that was open on the stream `key` has failed."""

    def left(self, producer: Producer) -> None:
        """A producing connection has ended; `producer.open` are the streams whose generation it leaves open."""

    def received(self, operation: Operation, reading: Reading, deliveries: Sequence[Delivery], seconds: float) -> None:
        """A read for a consumer has just brought deliveries, after so many seconds."""

    def acknowledged(
        self, stream: StreamKey, group: str, ids: Iterable[EntryId], seconds: float, error: str | None
    ) -> None:
        """Redis has just settled deliveries, or failed to, after so many seconds."""
