"""Deliveries: messages that a group has handed to this app, and what the app says to each."""

from __future__ import annotations

from typing import Protocol

from rlb.domain.message import StreamMessage

StreamName = tuple[str, str]
"""Session id and model id."""


class Settler(Protocol):
    """Carries the app's word on a delivery to the sidecar."""

    async def ack(self, delivery: Delivery) -> None: ...
    async def nack(self, delivery: Delivery, reason: str) -> None: ...


class Delivery:
    """A message that waits for the app's `ack`; without one it is delivered again, here or to another consumer.

    `delivery_count` is 1 the first time. Neither acknowledged nor given back, it is delivered again once it has been
    idle for `RLB_GROUPS__CLAIM_IDLE_MS`.
    """

    __slots__ = (
        "__weakref__",
        "_settler",
        "delivery_count",
        "entry_id",
        "group",
        "message",
        "model_id",
        "seen_in",
        "session_id",
        "traceparent",
    )

    def __init__(
        self,
        settler: Settler,
        group: str,
        stream: StreamName,
        *,
        entry_id: str,
        delivery_count: int,
        message: StreamMessage,
        traceparent: str | None = None,
    ) -> None:
        self._settler = settler
        self.group = group
        self.session_id, self.model_id = stream
        self.entry_id = entry_id
        self.delivery_count = delivery_count
        self.message = message
        self.traceparent = traceparent
        """The span of its generation (W3C Trace Context), for a span of the app's own to link to; the first and the
        last message of a sampled generation have it."""
        self.seen_in = 0
        """The number of the connection over which its subscription saw it last."""

    def __repr__(self) -> str:
        # Without the message: this may end up in a log.
        return f"<Delivery {self.entry_id} of {self.session_id} {self.model_id}, count {self.delivery_count}>"

    @property
    def stream(self) -> StreamName:
        """Session id and model id."""
        return self.session_id, self.model_id

    async def ack(self) -> None:
        """Settle the delivery: the group is done with the message.

        Acks of one turn of the event loop go out together.

        Raises:
            SidecarUnreachableError: no sidecar answers; the message may be delivered again.
            ApiError: the sidecar refused, for instance because Redis does not answer.
        """
        await self._settler.ack(self)

    async def nack(self, reason: str = "refused by the app") -> None:
        """Give the delivery back, to be delivered again at once, or set aside as a dead letter after too many times.

        `reason` is kept with a dead letter, so it must not quote the message; at most 256 characters.

        Raises:
            SidecarUnreachableError, ApiError: as for `ack`.
        """
        await self._settler.nack(self, reason)
