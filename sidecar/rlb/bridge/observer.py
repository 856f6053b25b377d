"""What the bridge tells of its work, as it happens. Whoever listens is called on the hot path, and must be quick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.errors import ApiError

Operation = Literal["XADD", "XREADGROUP", "XCLAIM", "XACK"]


class Observer(Protocol):
    """Is told of messages and deliveries. Times are loop times in seconds."""

    def accepted(self, stream: StreamKey, ticket: Ticket, now_s: float) -> None:
        """A message was taken from an app and will be answered."""

    def refused(self, error: ApiError) -> None:
        """A message was refused before it was taken."""

    def flushed(self, messages: int, waited_s: float) -> None:
        """So many messages left in one write; the oldest of them had waited so long since it was taken."""

    def landed(self, stream: StreamKey, ticket: Ticket, previous: EntryId, entry_id: EntryId) -> None:
        """A message stands in its stream."""

    def failed(self, stream: StreamKey, ticket: Ticket, error: ApiError) -> None:
        """A message that was taken could not be written; its app was told."""

    def retried(self, reason: str) -> None:
        """A message is to be sent again; `reason` is an error's prefix or class."""

    def left(self, producer: Producer) -> None:
        """A producing connection has ended; `producer.open` are the streams whose generation it leaves open."""

    def round_trip(self, operation: Operation, seconds: float, error: str | None) -> None:
        """Redis has answered; the time that a read may block is not counted."""

    def delivered(self, reading: Reading, deliveries: Sequence[Delivery]) -> None:
        """Deliveries were handed to an app."""

    def settled(self, key: str, group: str, ids: Iterable[EntryId]) -> None:
        """Deliveries were acknowledged."""


class NoObserver:
    """Nobody listens."""

    def accepted(self, stream: StreamKey, ticket: Ticket, now_s: float) -> None: ...
    def refused(self, error: ApiError) -> None: ...
    def flushed(self, messages: int, waited_s: float) -> None: ...
    def landed(self, stream: StreamKey, ticket: Ticket, previous: EntryId, entry_id: EntryId) -> None: ...
    def failed(self, stream: StreamKey, ticket: Ticket, error: ApiError) -> None: ...
    def retried(self, reason: str) -> None: ...
    def left(self, producer: Producer) -> None: ...
    def round_trip(self, operation: Operation, seconds: float, error: str | None) -> None: ...
    def delivered(self, reading: Reading, deliveries: Sequence[Delivery]) -> None: ...
    def settled(self, key: str, group: str, ids: Iterable[EntryId]) -> None: ...
