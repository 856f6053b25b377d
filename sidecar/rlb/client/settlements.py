"""Acks on their way: those of one stream go out together, one request at a time."""

from __future__ import annotations

import asyncio

from rlb.client.delivery import Delivery, StreamName
from rlb.client.transport import LinkError, Transport
from rlb.errors import RlbError

MAX_IDS = 1000
"""Entries that one request may name."""

CLOSE_S = 5.0
"""How long closing waits for acks that are on their way."""

_Name = tuple[str, str, str]
_Waiting = list[tuple[str, asyncio.Future[None]]]


class Settlements:
    """Acknowledges deliveries and gives them back.

    What was acked in one turn of the event loop, or while the request before was on its way, goes out in one request
    for each stream and group. So the number of acks that wait is that of the deliveries that were handed out.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: dict[_Name, _Waiting] = {}
        self._senders: set[asyncio.Task[None]] = set()

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery; returns when Redis knows.

        Raises:
            SidecarUnreachableError, ApiError: it could not be told.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        name = (delivery.group, *delivery.stream)
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = []
            sender = asyncio.create_task(self._send(name, waiting), name="rlb acks")
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        waiting.append((delivery.entry_id, done))
        await done

    async def nack(self, delivery: Delivery, reason: str) -> None:
        """Give a delivery back."""
        await self.refuse(delivery.group, delivery.stream, delivery.entry_id, reason)

    async def refuse(self, group: str, stream: StreamName, entry_id: str, reason: str) -> None:
        """Give an entry back that was no delivery."""
        body = _body((group, *stream), [entry_id])
        await self._transport.call("POST", "/v1/messages/nack", {**body, "reason": reason})

    async def close(self) -> None:
        """Wait a moment for what is on its way."""
        if self._senders:
            _, late = await asyncio.wait(self._senders, timeout=CLOSE_S)
            for sender in late:
                sender.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _send(self, name: _Name, waiting: _Waiting) -> None:
        batch: _Waiting = []
        cut_off = LinkError(self._transport.path, "the bridge was closed", was_sent=True)
        try:
            while waiting:
                batch = waiting[:MAX_IDS]
                del waiting[:MAX_IDS]
                body = _body(name, [entry_id for entry_id, _ in batch])
                try:
                    await self._transport.call("POST", "/v1/messages/ack", body)
                except RlbError as error:
                    _finish(batch, error)
                else:
                    _finish(batch, None)
        finally:
            del self._waiting[name]
            # Only when cut off is there anything left.
            _finish([*batch, *waiting], cut_off)


def _body(name: _Name, entry_ids: list[str]) -> dict[str, object]:
    group, session_id, model_id = name
    return {"sessionId": session_id, "modelId": model_id, "group": group, "entryIds": entry_ids}


def _finish(batch: _Waiting, failure: RlbError | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
            done.exception()  # an ack that nobody waits for any more is no reason for a complaint from asyncio
