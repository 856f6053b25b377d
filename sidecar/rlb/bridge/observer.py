"""What the bridge tells of its work, as it happens. Whoever listens is called on the hot path, and must be quick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.errors import ApiError

Operation = Literal["XADD", "XREADGROUP", "XCLAIM", "XACK"]


class Observer(Protocol):
    """Is told of messages and deliveries. Times are those of time.monotonic, which is the event loop's clock."""

    def accepted(self, ticket: Ticket, now_s: float) -> None:
        """A message was taken from an app.

        One that was answered at once (it came before, or its generation has failed) has its answer already.
        """

    def refused(self, error: ApiError) -> None:
        """A message was refused before it was taken."""

    def flushed(self, messages: int, waited_s: float) -> None:
        """So many messages left in one write; the oldest of them had waited so long since it was taken."""

    def landed(self, ticket: Ticket) -> None:
        """A message stands in its stream, as `ticket.entry_id`; with `ticket.duplicate`, it was there before."""

    def failed(self, ticket: Ticket) -> None:
        """A message that was taken could not be written; its app is told why (`ticket.error`)."""

    def retried(self, reason: str) -> None:
        """A message is to be sent again; `reason` is a short name of what failed."""

    def lost(self, producer: Producer, key: str, error: ApiError) -> None:
        """A generation that was open on the stream `key` has failed: overtaken, or a message was not written."""

    def left(self, producer: Producer) -> None:
        """A producing connection has ended; `producer.open` are the streams whose generation it leaves open."""

    def round_trip(self, operation: Operation, seconds: float, error: str | None) -> None:
        """Redis has answered, or failed to; no call that is told here blocks in Redis."""

    def delivered(self, reading: Reading, deliveries: Sequence[Delivery]) -> None:
        """Deliveries were handed to an app."""

    def settled(self, key: str, group: str, ids: Iterable[EntryId], acknowledged: int) -> None:
        """An app has acknowledged deliveries; so many of them were pending."""

    def set_aside(self, group: str) -> None:
        """An entry of the group has become a dead letter."""


class NoObserver:
    """Nobody listens."""

    def accepted(self, ticket: Ticket, now_s: float) -> None: ...
    def refused(self, error: ApiError) -> None: ...
    def flushed(self, messages: int, waited_s: float) -> None: ...
    def landed(self, ticket: Ticket) -> None: ...
    def failed(self, ticket: Ticket) -> None: ...
    def retried(self, reason: str) -> None: ...
    def lost(self, producer: Producer, key: str, error: ApiError) -> None: ...
    def left(self, producer: Producer) -> None: ...
    def round_trip(self, operation: Operation, seconds: float, error: str | None) -> None: ...
    def delivered(self, reading: Reading, deliveries: Sequence[Delivery]) -> None: ...
    def settled(self, key: str, group: str, ids: Iterable[EntryId], acknowledged: int) -> None: ...
    def set_aside(self, group: str) -> None: ...
