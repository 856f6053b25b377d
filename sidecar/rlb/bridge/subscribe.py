"""Subscriptions: one consumer of a group on every stream of a model, with new streams as they appear."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.group_reader import GroupReader
from rlb.bridge.groups import Groups
from rlb.bridge.index import StreamIndex
from rlb.bridge.reader import SharedReader
from rlb.domain.entry import Entry
from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.stream_key import StreamKey
from rlb.errors import ApiError, GroupNotFoundError, StreamGoneError, StreamNotFoundError
from rlb.redis_io.heads import last_generated_id
from rlb.redis_io.topology import Topology

_log = logging.getLogger("rlb.subscribe")

ROUND = 16
"""Streams that are read in one round, so that a busy one does not hold the others back."""

AGAIN_S = 0.2
"""The wait before a stream is tried again that Redis would not let be read."""


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """Who subscribes to what. `model_id` None is every model; `max_in_flight` bounds the unacknowledged."""

    group: str
    consumer: str
    model_id: str | None
    max_in_flight: int


class _Followed:
    """One stream of a subscription: tells the subscription when there may be something to read."""

    def __init__(self, subscription: Subscription, stream: StreamKey, reader: GroupReader) -> None:
        self.stream = stream
        self.reader = reader
        self._subscription = subscription

    def on_entries(self, entries: Sequence[Entry]) -> None:
        del entries
        self._subscription.mark_ready(self.stream.key)

    def on_gone(self) -> None:
        self._subscription.drop(self.stream.key)


class Subscription:
    """A stream of deliveries. Iterate `batches()`, then `close()`."""

    def __init__(
        self,
        request: SubscriptionRequest,
        topology: Topology,
        groups: Groups,
        reader: SharedReader,
        index: StreamIndex,
    ) -> None:
        self.request = request
        self._topology = topology
        self._groups = groups
        self._shared = reader
        self._index = index
        self._loop = asyncio.get_running_loop()
        self._followed: dict[str, _Followed] = {}
        self._arrived: dict[str, StreamKey] = {}
        self._restored: set[str] = set()
        self._ready: dict[str, None] = {}
        self._in_flight: dict[tuple[str, EntryId], float] = {}
        self._work = asyncio.Event()
        self._next_sweep_s = self._loop.time() + groups.rules.sweep_s
        groups.on_settled(self._on_settled)
        groups.on_refused(self._on_refused)
        index.listen(self._on_stream)

    @property
    def in_flight(self) -> int:
        """Deliveries that were handed out here and are neither acknowledged nor long overdue."""
        return len(self._in_flight)

    def close(self) -> None:
        """Stop. What is unacknowledged stays pending, and is claimed when it has been idle for long enough."""
        self._index.unlisten(self._on_stream)
        self._groups.forget(self._on_settled, self._on_refused)
        for key in list(self._followed):
            self.drop(key)

    def mark_ready(self, key: str) -> None:
        """There may be something to read in a stream."""
        self._ready[key] = None
        self._work.set()

    def drop(self, key: str) -> None:
        """A stream is gone; it comes back through the index if it is made anew."""
        if (followed := self._followed.pop(key, None)) is not None:
            self._shared.unfollow(followed.stream, followed)
        self._ready.pop(key, None)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Return what could not be handed to the app, to be given out again at once."""
        # The last one first: each goes in front of what was given back before.
        for delivery in reversed(deliveries):
            self._in_flight.pop((delivery.stream.key, delivery.entry.id), None)
            reading = Reading(delivery.stream, self.request.group, self.request.consumer)
            self._groups.reader(reading).give_back((delivery,))

    def handed_over(self, deliveries: Sequence[Delivery]) -> None:
        """The app has been sent these deliveries, as `batches` gave them: those of a stream follow one another."""
        group, consumer = self.request.group, self.request.consumer
        for _, together in itertools.groupby(deliveries, key=lambda delivery: delivery.stream.key):
            some = list(together)
            self._groups.handed_over(Reading(some[0].stream, group, consumer), some)

    async def batches(self) -> AsyncGenerator[list[Delivery], None]:
        """Deliveries, as many as there are together and as `max_in_flight` allows; never ends by itself."""
        while True:
            self._work.clear()
            await self._follow_arrived()
            self._sweep_if_due()
            credit = self.request.max_in_flight - len(self._in_flight)
            if self._ready and credit > 0:
                deliveries = await self._round(credit)
                if deliveries:
                    now_s = self._loop.time()
                    self._in_flight.update({(each.stream.key, each.entry.id): now_s for each in deliveries})
                    yield deliveries
                continue
            try:
                async with asyncio.timeout(max(0.01, self._next_sweep_s - self._loop.time())):
                    await self._work.wait()
            except TimeoutError:
                pass

    def _on_stream(self, stream: StreamKey) -> None:
        if stream.key not in self._followed and self.request.model_id in (None, stream.model_id):
            self._arrived[stream.key] = stream
            self._work.set()

    def _on_settled(self, key: str, group: str, ids: Iterable[EntryId]) -> None:
        if group == self.request.group:
            for entry_id in ids:
                self._in_flight.pop((key, entry_id), None)
            self._work.set()

    def _on_refused(self, key: str, group: str) -> None:
        if group == self.request.group and (followed := self._followed.get(key)) is not None:
            followed.reader.sweep_soon()
            self.mark_ready(key)

    def _sweep_if_due(self) -> None:
        """Have every stream looked at for entries of dead consumers, and write off overdue deliveries.

        A delivery that is older than the claim idle time may be claimed by anybody, so it no longer counts here.
        """
        now_s = self._loop.time()
        if now_s < self._next_sweep_s:
            return
        self._next_sweep_s = now_s + self._groups.rules.sweep_s
        overdue_s = now_s - self._groups.rules.claim_idle_ms / 1000
        for delivered, since_s in list(self._in_flight.items()):
            if since_s < overdue_s:
                del self._in_flight[delivered]
        for key in self._followed:
            self._ready[key] = None

    async def _follow_arrived(self) -> None:
        arrived, self._arrived = [*self._arrived.values()], {}
        for start in range(0, len(arrived), ROUND):
            await asyncio.gather(*map(self._follow, arrived[start : start + ROUND]))

    async def _follow(self, stream: StreamKey) -> None:
        if stream.key in self._followed:
            return
        try:
            await self._groups.create(stream, self.request.group, "0", make_stream=False)
            last_id = await last_generated_id(self._topology.link_for(stream.key), stream)
        except StreamNotFoundError:
            return
        except ApiError as error:
            _log.debug("subscribe.follow_failed", extra={"stream": stream.key, "reason": error.detail})
            if error.retry_after_s is not None:
                self._loop.call_later(AGAIN_S, self._on_stream, stream)
            return
        reader = self._groups.reader(Reading(stream, self.request.group, self.request.consumer))
        if stream.key in self._restored:
            self._restored.discard(stream.key)
        else:
            # What the consumer had left pending in a former life comes first.
            reader.restart()
        followed = self._followed[stream.key] = _Followed(self, stream, reader)
        self._shared.follow(stream, followed, last_id if last_id is not None else ZERO)
        self._ready[stream.key] = None

    async def _round(self, credit: int) -> list[Delivery]:
        keys = list(self._ready)[: min(ROUND, credit)]
        for key in keys:
            del self._ready[key]
        share = max(1, credit // len(keys))
        reads = [asyncio.create_task(self._read(key, share)) for key in keys]
        try:
            await asyncio.wait(reads)
        except asyncio.CancelledError:
            for read in reads:
                read.add_done_callback(self._return_read)
                read.cancel()
            raise
        return [delivery for read in reads for delivery in read.result()]

    def _return_read(self, read: asyncio.Task[list[Delivery]]) -> None:
        """Nobody waits for this read any more: its entries are the consumer's next ones."""
        if not read.cancelled() and read.exception() is None:
            self.give_back(read.result())

    async def _read(self, key: str, count: int) -> list[Delivery]:
        followed = self._followed.get(key)
        if followed is None:
            return []
        try:
            deliveries = await followed.reader.fetch(count)
        except (GroupNotFoundError, StreamGoneError):
            await self._restore(followed)
            return []
        except ApiError as error:
            _log.debug("subscribe.read_failed", extra={"stream": key, "reason": error.detail})
            self._loop.call_later(AGAIN_S, self.mark_ready, key)
            return []
        if followed.reader.has_more:
            self._ready[key] = None
        return deliveries

    async def _restore(self, followed: _Followed) -> None:
        """The group has vanished under us: go on behind what it had handed out, neither replay nor skip."""
        stream, reader = followed.stream, followed.reader
        self.drop(stream.key)
        if reader.high > ZERO:
            try:
                made = await self._groups.create(stream, self.request.group, str(reader.high), make_stream=False)
            except ApiError:
                made = False
            if made:
                _log.warning("subscribe.group_recreated", extra={"stream": stream.key, "group": self.request.group})
        self._restored.add(stream.key)
        self._arrived[stream.key] = stream
        self._work.set()
