"""The consumer interface: reads that acknowledge, live tails, subscriptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from json import dumps
from typing import TypeVar

from rlb.api.models import Acknowledge, Acknowledged, ReadMessages, Refuse
from rlb.api.request import JSON, NDJSON, DisconnectedError, Request
from rlb.api.routes import NDJSON_TYPE, BodyBounds, as_json, read_json
from rlb.bridge.core import Core
from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.subscribe import SubscriptionRequest
from rlb.bridge.tail import End, Gone, TailEvent
from rlb.domain.entry import Entry, Gap
from rlb.domain.entry_id import parse_entry_id
from rlb.domain.stream_key import checked_name
from rlb.errors import ApiError, DrainingError, StreamGoneError

PING_S = 15.0
"""Silence after which a streamed answer says that it is alive; also how a vanished peer is found out."""

MAX_IN_FLIGHT = 10_000

PIECE_BYTES = 64 * 1024
"""What is sent at once of a streamed answer, so that little more waits in the sidecar for a peer that does not read."""

SSE_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")


class ConsumerRoutes:
    """Handlers of `/v1/messages/read`, `/ack`, `/nack`, `/v1/tail` and `/v1/subscribe`."""

    def __init__(self, core: Core, bounds: BodyBounds, draining: asyncio.Event) -> None:
        self._core = core
        self._bounds = bounds
        self._draining = draining

    async def read(self, request: Request) -> None:
        """`POST /v1/messages/read`."""
        body = await read_json(request, ReadMessages, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        reading = Reading(stream, body.group, body.consumer)
        groups = self._core.groups
        deliveries: list[Delivery] = []
        try:
            reads = groups.read(reading, body.count, body.block_ms / 1000)
            deliveries = await self._unless_gone(request, reads, groups.reader(reading).give_back)
            rows = b",".join(_delivered(delivery) for delivery in deliveries)
            await request.respond(200, b'{"messages":[' + rows + b"]}\n", (JSON,))
        except StreamGoneError:
            raise await self._core.streams.missing(stream) from None
        except BaseException:
            # Nobody has seen them: they are the next thing that this consumer gets.
            groups.reader(reading).give_back(deliveries)
            raise
        groups.handed_over(reading, deliveries)

    async def acknowledge(self, request: Request) -> None:
        """`POST /v1/messages/ack`."""
        body = await read_json(request, Acknowledge, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        ids = [parse_entry_id(text) for text in body.entry_ids]
        count = await self._core.groups.acknowledge(stream, body.group, ids)
        await request.respond(200, as_json(Acknowledged(acknowledged=count)))

    async def refuse(self, request: Request) -> None:
        """`POST /v1/messages/nack`."""
        body = await read_json(request, Refuse, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        ids = [parse_entry_id(text) for text in body.entry_ids]
        count = await self._core.groups.refuse(stream, body.group, ids, body.reason)
        await request.respond(200, as_json(Acknowledged(acknowledged=count)))

    async def tail(self, request: Request) -> None:
        """`GET /v1/tail`."""
        stream = self._core.stream(request.required("sessionId"), request.required("modelId"))
        resumed = request.header(b"last-event-id")
        start = resumed or request.query("from") or "0"
        wait_s = request.whole_number("waitMs", 0, 0, 60_000) / 1000
        is_sse = NDJSON_TYPE not in (request.header(b"accept") or "")
        opening = self._core.tails.open(stream, start, is_resumed=start not in ("0", "$"), wait_s=wait_s)
        tail = await self._unless_gone(request, opening)
        try:
            if resumed is not None and await tail.is_finished():
                await request.respond(204, b"", ())
                return
            await request.begin(SSE_HEADERS if is_sse else (NDJSON,))
            encode, ping = (_sse, b": ping\n\n") if is_sse else (_line, b'{"ping":true}\n')
            try:
                await self._pass_on(request, tail.batches(), encode, ping)
            except ApiError as error:
                last_words = _sse_event("error", _fault(error)) if is_sse else _error_line(error)
                await request.send(last_words, self._bounds.stall_s)
            await request.end()
        finally:
            tail.close()

    async def subscribe(self, request: Request) -> None:
        """`GET /v1/subscribe`."""
        model_id = request.query("modelId") or "*"
        if model_id != "*":
            # One that no stream can have would be waited for in silence.
            self._core.stream("any", model_id)
        asked = SubscriptionRequest(
            group=checked_name("group", request.required("group")),
            consumer=checked_name("consumer", request.required("consumer")),
            model_id=None if model_id == "*" else model_id,
            max_in_flight=request.whole_number("maxInFlight", 100, 1, MAX_IN_FLIGHT),
        )
        subscription = self._core.subscribe(asked)
        try:
            await request.begin((NDJSON,))
            try:
                await self._pass_on(
                    request,
                    subscription.batches(),
                    _delivery_line,
                    b'{"ping":true}\n',
                    sent=subscription.handed_over,
                    unsent=subscription.give_back,
                )
            except ApiError as error:
                await request.send(_error_line(error), self._bounds.stall_s)
            await request.end()
        finally:
            subscription.close()

    async def _unless_gone(
        self, request: Request, work: Awaitable[ResultT], unsent: Callable[[ResultT], None] = lambda _: None
    ) -> ResultT:
        """The result of a wait, unless the peer goes first: then the wait is cancelled, or `unsent` gets its result."""
        working = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(request.disconnected())
        try:
            await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise DisconnectedError
            result = working.result()
            if request.is_abandoned:
                unsent(result)
                raise DisconnectedError
            return result
        finally:
            working.cancel()
            gone.cancel()
            await asyncio.gather(working, gone, return_exceptions=True)

    async def _pass_on(
        self,
        request: Request,
        batches: AsyncGenerator[list[ItemT], None],
        encode: Callable[[ItemT], bytes],
        ping: bytes,
        *,
        sent: Callable[[list[ItemT]], None] = lambda _: None,
        unsent: Callable[[list[ItemT]], None] | None = None,
    ) -> None:
        """Send batches until they end, the peer goes, or the sidecar drains.

        `sent` gets what was sent, piece by piece, and `unsent` what was not.

        Raises:
            DisconnectedError: the peer has gone, or has not read for `stall_s`.
            DrainingError: the sidecar is stopping.
        """
        gone = asyncio.ensure_future(request.disconnected())
        draining = asyncio.ensure_future(self._draining.wait())
        upcoming: asyncio.Task[list[ItemT] | None] | None = None
        held: list[ItemT] = []
        try:
            while True:
                if upcoming is None:
                    upcoming = asyncio.create_task(_next(batches))
                await asyncio.wait((upcoming, gone, draining), timeout=PING_S, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    raise DisconnectedError
                if upcoming.done():
                    batch = upcoming.result()
                    if batch is None:
                        return
                    held, upcoming = batch, None
                    while held:
                        if unsent is not None and request.is_abandoned:
                            raise DisconnectedError
                        count, piece = _piece(held, encode)
                        await request.send(piece, self._bounds.stall_s)
                        if gone.done():  # sending ends without a word when the peer goes while it waits
                            raise DisconnectedError
                        handed, held = held[:count], held[count:]
                        sent(handed)
                elif draining.done():
                    raise DrainingError("the sidecar is shutting down")
                else:
                    await request.send(ping, self._bounds.stall_s)
        finally:
            waits = [task for task in (upcoming, gone, draining) if task is not None]
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            if upcoming is not None and not upcoming.cancelled() and not upcoming.exception():
                held += upcoming.result() or []
            if unsent is not None and held:
                unsent(held)
            await batches.aclose()


async def _next(batches: AsyncGenerator[list[ItemT], None]) -> list[ItemT] | None:
    return await anext(batches, None)


def _piece(items: list[ItemT], encode: Callable[[ItemT], bytes]) -> tuple[int, bytes]:
    """The first so many items, and their bytes."""
    encoded: list[bytes] = []
    size = 0
    for item in items:
        encoded.append(encode(item))
        size += len(encoded[-1])
        if size >= PIECE_BYTES:
            break
    return len(encoded), b"".join(encoded)


def _delivered(delivery: Delivery) -> bytes:
    entry = delivery.entry
    return b'{"entryId":"%d-%d","deliveryCount":%d,%b"message":%b}' % (
        *entry.id,
        delivery.count,
        _trace(entry),
        entry.json,
    )


def _trace(entry: Entry) -> bytes:
    """The entry's trace context as a member, if it has one: ids only, so that nothing has to be quoted."""
    return b'"traceparent":"%b",' % entry.traceparent.encode() if entry.traceparent is not None else b""


def _delivery_line(delivery: Delivery) -> bytes:
    stream = delivery.stream
    where = f'{{"sessionId":"{stream.session_id}","modelId":"{stream.model_id}",'.encode()
    return where + _delivered(delivery)[1:] + b"\n"


def _fault(error: ApiError) -> bytes:
    return dumps({"code": error.code, "detail": error.detail}, separators=(",", ":")).encode()


def _error_line(error: ApiError) -> bytes:
    return b'{"error":%b}\n' % _fault(error)


def _gap(gap: Gap) -> bytes:
    facts = {"after": str(gap.after), "before": str(gap.before), "missing": gap.missing}
    return dumps(facts, separators=(",", ":")).encode()


def _line(event: TailEvent) -> bytes:
    match event:
        case Gap():
            return b'{"gap":%b}\n' % _gap(event)
        case End():
            return b'{"end":true}\n'
        case Gone():
            return _error_line(StreamGoneError("the stream has expired or been deleted"))
        case _:
            return b'{"entryId":"%d-%d",%b"message":%b}\n' % (*event.id, _trace(event), event.json)


def _sse_event(name: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _sse(event: TailEvent) -> bytes:
    match event:
        case Gap():
            return _sse_event("gap", _gap(event))
        case End():
            return _sse_event("end", b"{}")
        case Gone():
            return _sse_event("error", _fault(StreamGoneError("the stream has expired or been deleted")))
        case _:
            return b"id: %d-%d\nevent: message\ndata: %b\n\n" % (*event.id, event.json)
