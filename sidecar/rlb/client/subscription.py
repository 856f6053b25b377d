"""Subscriptions: the messages of a group from every stream of a model, over as many connections as it takes."""

from __future__ import annotations

import logging
import weakref
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_core import from_json

from rlb.client.answers import message_from_wire
from rlb.client.delivery import Delivery
from rlb.client.leavable import Leavable
from rlb.client.settlements import Settlements
from rlb.client.tail import SILENCE_S
from rlb.client.transport import NDJSON, LinkError, Transport, is_passing
from rlb.errors import RlbError, from_problem

_Name = tuple[str, str, str]

UNREADABLE = "not a StreamMessage"

_log = logging.getLogger("rlb.client.subscription")


class Subscription(Leavable[Delivery]):
    """Deliveries to one consumer of a group; iterate it with `async for`, it never ends by itself.

    It reconnects by itself. What the app still holds is not given again only because the connection is a new one,
    upon which the sidecar begins with all that has no ack. Still a message may come twice, as in every group: when it
    was idle for long, or when this process did not live to hear that its ack had arrived. An entry that holds no
    StreamMessage is given back, and ends among the dead letters of the group.

    The iteration raises:
        InvalidMessageError: the name of the group or of the consumer breaks its rule.
        SidecarUnreachableError: no sidecar answered for as long as the subscription has patience.
        ApiError: the sidecar refuses.
    """

    def __init__(
        self,
        transport: Transport,
        settlements: Settlements,
        *,
        group: str,
        consumer: str,
        model_id: str,
        max_in_flight: int,
    ) -> None:
        self.group = group
        self.consumer = consumer
        self.unreadable = 0
        """Entries that were given back because they hold no StreamMessage."""
        self._transport = transport
        self._settlements = settlements
        self._params = {
            "group": group,
            "consumer": consumer,
            "modelId": model_id,
            "maxInFlight": str(max_in_flight),
        }
        self._conversation = 0
        self._held: weakref.WeakValueDictionary[_Name, Delivery] = weakref.WeakValueDictionary()
        # The latest acknowledged, at most as many as may be in flight: the sidecar may have looked one up for a new
        # connection just before its ack came.
        self._settled: dict[_Name, None] = {}
        self._max_in_flight = max_in_flight

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery of this subscription."""
        await self._settlements.ack(delivery)
        self._settled[*delivery.stream, delivery.entry_id] = None
        if len(self._settled) > self._max_in_flight:
            del self._settled[next(iter(self._settled))]

    async def nack(self, delivery: Delivery, reason: str) -> None:
        """Give a delivery of this subscription back; it may come again at once."""
        self._held.pop((*delivery.stream, delivery.entry_id), None)
        await self._settlements.nack(delivery, reason)

    async def _iterate(self) -> AsyncGenerator[Delivery, None]:
        patience = self._transport.patience()
        headers = {"Accept": NDJSON}
        while True:
            self._conversation += 1
            try:
                async with self._transport.stream(
                    "GET", "/v1/subscribe", params=self._params, headers=headers, silence_s=SILENCE_S
                ) as lines:
                    while (batch := await lines.next()) is not None:
                        for line in batch:
                            members = from_json(line)
                            if "error" in members:
                                raise from_problem(members["error"])
                            patience.contact()
                            delivery = await self._delivery(members)
                            if delivery is not None:
                                yield delivery
                                del delivery  # held by nobody but the app
                raise LinkError(self._transport.path, "the connection was closed", was_sent=True)
            except RlbError as error:
                if not is_passing(error):
                    raise
                _log.info("subscription.interrupted", extra={"group": self.group, "reason": str(error)})
                await patience.pause(error)

    async def _delivery(self, members: dict[str, Any]) -> Delivery | None:
        """The delivery of a line, or None for a line that has nothing new for the app."""
        if "entryId" not in members:
            return None
        stream, entry_id = (members["sessionId"], members["modelId"]), members["entryId"]
        name = (*stream, entry_id)
        if name in self._settled:
            # Once: if the group was set back on purpose, the message comes again when it has been idle.
            del self._settled[name]
            return None
        held = self._held.get(name)
        if held is not None and held.seen_in != self._conversation:
            held.seen_in = self._conversation
            held.delivery_count = members["deliveryCount"]
            return None
        message = message_from_wire(members["message"])
        if message is None:
            await self._refuse_unreadable(stream, entry_id)
            return None
        delivery = Delivery(
            self,
            self.group,
            stream,
            entry_id=entry_id,
            delivery_count=members["deliveryCount"],
            message=message,
            traceparent=members.get("traceparent"),
        )
        delivery.seen_in = self._conversation
        self._held[name] = delivery
        return delivery

    async def _refuse_unreadable(self, stream: tuple[str, str], entry_id: str) -> None:
        self.unreadable += 1
        try:
            await self._settlements.refuse(self.group, stream, entry_id, UNREADABLE)
        except RlbError as error:
            _log.warning("subscription.refusal_failed", extra={"entry_id": entry_id, "reason": str(error)})
