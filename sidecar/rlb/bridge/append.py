"""The append path: one writer a stream, one bound on memory, one deadline for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rlb.bridge.claim import Limits
from rlb.bridge.observer import Observer
from rlb.bridge.outgoing import Outgoing
from rlb.bridge.ticket import Producer, Ticket
from rlb.bridge.tracer import Tracer
from rlb.bridge.write_health import WriteHealth
from rlb.bridge.writer import StreamWriter
from rlb.bridge.writer_rules import Appended, WriterRules
from rlb.domain.draft import Draft
from rlb.domain.keys import Keys
from rlb.domain.stream_key import parse_stream_key, stream_key
from rlb.errors import ApiError, DrainingError, InvalidMessageError, OverloadedError
from rlb.redis_io.topology import Topology

MAX_WRITERS = 65_536
"""Streams that may be written at the same time; one more waits for room, then is refused with `overloaded`."""

TICK_S = 0.1
"""How often deadlines are checked."""

FORGET_EARLY_S = 1.0
"""The same, once there are as many writers as there may be."""

FORGET_S = 60.0
"""A writer unused for this long is dropped; what it knew, the next claim reads back from the stream."""


@dataclass(frozen=True, slots=True)
class AppendBounds:
    """`buffer_bytes` and `stream_buffer_bytes` of messages may wait, each for `deadline_s` until it is sent."""

    buffer_bytes: int
    stream_buffer_bytes: int
    deadline_s: float
    renew_s: float
    window: int
    max_writers: int = MAX_WRITERS


class Appender:
    """Takes messages for any stream and answers each once: with its entry, or with why there is none."""

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        limits: Limits,
        bounds: AppendBounds,
        appended: Appended,
        observer: Observer,
        tracer: Tracer | None = None,
    ) -> None:
        self.bounds = bounds
        self.buffered_bytes = 0
        """Memory of the messages that have no answer yet."""
        self.waiting = 0
        """The messages that have no answer yet."""
        self.health = WriteHealth()
        self._topology = topology
        self._keys = keys
        self._observer = observer
        self._tracer = tracer
        outgoing = Outgoing(observer, bounds.deadline_s, tracer)
        self._rules = WriterRules(
            keys, limits, bounds.window, bounds.renew_s, appended, outgoing, self.health, self._lost, tracer
        )
        self._writers: dict[tuple[str, str], StreamWriter] = {}
        self._watched: set[int] = set()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._ticker: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to check deadlines."""
        self._ticker = asyncio.create_task(self._tick(), name="append deadlines")

    async def drain(self, deadline_s: float) -> int:
        """Take nothing more, write what was taken; gives how many messages were not written in time."""
        self._draining = True
        try:
            async with asyncio.timeout(deadline_s):
                await self._idle.wait()
        except TimeoutError:
            pass
        unwritten = sum(writer.waiting for writer in self._writers.values())
        for writer in self._writers.values():
            writer.abandon()
        return unwritten

    async def close(self) -> None:
        """Stop the timers."""
        self._draining = True
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        for writer in self._writers.values():
            writer.close()

    def keys(self) -> Iterable[str]:
        """Keys of the streams that are written, or were a moment ago."""
        return (writer.stream.key for writer in self._writers.values())

    def submit(
        self,
        session_id: str,
        model_id: str,
        draft: Draft,
        on_done: Callable[[Ticket], None],
        *,
        producer: Producer | None = None,
        opens: bool = False,
        is_last: bool = False,
    ) -> Ticket:
        """Take a message; `on_done` gets its ticket, at once or later, exactly once.

        `is_last` is for the end of a generation that draining cuts short: it is taken all the same.

        Raises:
            InvalidMessageError: the session or model id breaks its rule.
            OverloadedError: a bound on memory or streams is reached; `has_room` tells when to try again.
            DrainingError: the sidecar is stopping.
        """
        if self._draining and not is_last:
            raise self._refused(DrainingError("the sidecar is shutting down"))
        writer = self._writers.get((session_id, model_id)) or self._writer(session_id, model_id)
        bounds = self.bounds
        if self.buffered_bytes >= bounds.buffer_bytes or writer.queued_bytes >= bounds.stream_buffer_bytes:
            raise OverloadedError("too many bytes wait to be written")
        # Of finer grain than the loop's time, and on the same clock.
        now_s = time.monotonic()
        ticket = Ticket(writer.stream, draft, producer, now_s + bounds.deadline_s, self._settled, on_done)
        self.buffered_bytes += ticket.size
        self.waiting += 1
        self._idle.clear()
        writer.offer(ticket, now_s, opens=opens)
        self._observer.accepted(ticket, now_s)
        return ticket

    async def append(self, session_id: str, model_id: str, draft: Draft) -> Ticket:
        """Write one message on its own and give its settled ticket.

        Raises:
            ApiError: it was refused, or not written within the deadline.
        """
        done: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()

        def on_done(ticket: Ticket) -> None:
            if not done.done():
                done.set_result(ticket)

        await self.with_room(lambda: self.submit(session_id, model_id, draft, on_done))
        ticket = await done
        if ticket.error is not None:
            raise ticket.error
        return ticket

    async def with_room(self, submit: Callable[[], Ticket]) -> Ticket:
        """Submit, waiting for room at most the deadline.

        Raises:
            OverloadedError: there was none in time.
        """
        refused = OverloadedError("no room")
        try:
            async with asyncio.timeout(self.bounds.deadline_s):
                while True:
                    try:
                        return submit()
                    except OverloadedError as error:
                        refused = error
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            raise self._refused(refused) from None

    def release(self, producer: Producer) -> None:
        """Forget a producer whose connection has ended; what it sent is still written."""
        self._observer.left(producer)
        if self._tracer is not None:
            self._tracer.left(producer)
        for key in producer.open:
            stream = parse_stream_key(self._keys.prefix, key)
            if stream is not None and (writer := self._writers.get((stream.session_id, stream.model_id))) is not None:
                writer.release(producer)

    def _writer(self, session_id: str, model_id: str) -> StreamWriter:
        if len(self._writers) >= self.bounds.max_writers:
            self._forget_idle(self._loop.time(), FORGET_EARLY_S)
        if len(self._writers) >= self.bounds.max_writers:
            raise OverloadedError(f"{self.bounds.max_writers} streams are being written")
        try:
            stream = stream_key(self._keys.prefix, session_id, model_id)
        except InvalidMessageError as error:
            raise self._refused(error) from None
        link = self._topology.link_for(stream.key)
        if id(link) not in self._watched:
            self._watched.add(id(link))
            link.on_up(self._pump)
        writer = StreamWriter(stream, link, self._rules)
        self._writers[session_id, model_id] = writer
        return writer

    def _pump(self) -> None:
        for writer in self._writers.values():
            if writer.waiting:
                writer.pump()

    def _refused(self, error: ApiError) -> ApiError:
        self._observer.refused(error)
        return error

    def _lost(self, producer: Producer, key: str, error: ApiError) -> None:
        self._observer.lost(producer, key, error)
        if self._tracer is not None:
            self._tracer.lost(producer, key, error)

    def _settled(self, ticket: Ticket) -> None:
        self.waiting -= 1
        self.buffered_bytes -= ticket.size
        if self.buffered_bytes == 0:
            self._idle.set()
        if not self._room.is_set():
            self._room.set()
        if ticket.error is None:
            self._observer.landed(ticket)
        else:
            self._observer.failed(ticket)
        if ticket.trace is not None:
            ticket.trace.settled(ticket)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = loop.time()
            for writer in list(self._writers.values()):
                if writer.waiting:
                    writer.expire(now_s)
            self._forget_idle(now_s, FORGET_S)

    def _forget_idle(self, now_s: float, unused_s: float) -> None:
        """Drop the writers that nobody has used for so long."""
        for name, writer in list(self._writers.items()):
            if not writer.waiting and not writer.is_owned and now_s - writer.last_used_s > unused_s:
                writer.close()
                del self._writers[name]
                self._room.set()
