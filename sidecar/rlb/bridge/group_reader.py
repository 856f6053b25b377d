"""Reading for one consumer of a group, so that nothing is stranded.

What Redis hands out belongs to the consumer from that moment, whether or not the reply arrives. So a read is never
cancelled half-way: if the app has gone, its entries wait for the consumer's next read. And after a reply was lost,
the next read first asks for the consumer's own pending entries behind the last one that it is known to have had.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rlb.bridge.dead_letters import DeadLetters
from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import NoObserver, Observer, Operation
from rlb.bridge.page_size import PageSize
from rlb.bridge.tracer import Tracer
from rlb.domain.entry_id import ZERO, EntryId, parse_entry_id
from rlb.errors import ApiError
from rlb.redis_io import xinfo
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error, failure_name

READ_BYTES = 4 * 1024 * 1024
"""About the most bytes of entries that one fetch gives, whatever number is asked for."""

MAX_PAGE = 1000

SWEEP_COUNT = 100
"""Idle pending entries looked at in one sweep."""

MAX_HANDED = 10_000
"""Entries handed over by an operator that wait for the next fetch; past it all that is pending is asked for."""

TIMED: dict[bytes, Operation] = {b"XREADGROUP": "XREADGROUP", b"XCLAIM": "XCLAIM", b"XACK": "XACK"}
"""The calls whose round trip is told."""


@dataclass(slots=True)
class GroupRules:
    """How a group treats what is not acknowledged."""

    max_deliveries: int
    claim_idle_ms: int
    retention_ms: int
    """Life of a stream that is made for a group and never written to; 0 is for ever."""
    dead_letters: DeadLetters
    reasons: dict[tuple[str, str, EntryId], str] = field(default_factory=dict)
    """Why entries were last refused, for the dead letters; at most `MAX_REASONS`."""
    observer: Observer = field(default_factory=NoObserver)
    tracer: Tracer | None = None

    @property
    def sweep_s(self) -> float:
        """How often idle pending entries are looked for."""
        return min(30.0, max(0.05, self.claim_idle_ms / 2000))


class GroupReader:
    """One consumer's reads on one stream; calls follow one another."""

    def __init__(self, reading: Reading, link: Link, rules: GroupRules) -> None:
        self.reading = reading
        self.high = ZERO
        """The highest new entry that this consumer was handed here."""
        self.last_used_s = 0.0
        self._link = link
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._took_s = 0.0
        """How long Redis took for the last call that was told."""
        self._returned: deque[Delivery] = deque()
        self._handed: dict[EntryId, None] = {}
        self._page = PageSize(READ_BYTES, MAX_PAGE)
        self.has_more = True
        """Whether another fetch may find something without anything new being written."""
        # A consumer that comes back finds what it left: its pending entries, from the start.
        self._replay_from: EntryId | None = ZERO
        # Nor does it wait for what others have refused or left behind.
        self._next_sweep_s = 0.0

    def restart(self) -> None:
        """The consumer has come anew: give it what is pending for it, from the start."""
        self._replay_from = ZERO
        # Pending like the rest, so it comes with the rest.
        self._returned.clear()

    def hand(self, ids: Iterable[EntryId]) -> None:
        """An operator has made pending entries this consumer's: the next fetch gives them out."""
        self._handed.update(dict.fromkeys(ids))
        if len(self._handed) > MAX_HANDED:
            self._handed.clear()
            self._replay_from = ZERO

    def let_go(self, ids: Iterable[EntryId]) -> None:
        """An operator has taken entries away: do not give them out any more."""
        gone = frozenset(ids)
        for entry_id in gone:
            self._handed.pop(entry_id, None)
        if any(delivery.entry.id in gone for delivery in self._returned):
            self._returned = deque(delivery for delivery in self._returned if delivery.entry.id not in gone)

    def sweep_soon(self) -> None:
        """Look for entries to claim at the next fetch."""
        self._next_sweep_s = 0.0

    @property
    def sweep_in_s(self) -> float:
        """Seconds until the next look for entries to claim."""
        return max(0.0, self._next_sweep_s - self._loop.time())

    def give_back(self, deliveries: Iterable[Delivery]) -> None:
        """Take back what could not be handed over; the next fetch gives it out first."""
        self._returned.extendleft(reversed(list(deliveries)))

    async def fetch(self, count: int) -> list[Delivery]:
        """Up to `count` deliveries that are there now.

        Raises:
            ApiError: the group or stream is gone, or Redis did not answer.
        """
        self.last_used_s = self._loop.time()
        fetching = asyncio.ensure_future(self._fetch(count))
        try:
            return await asyncio.shield(fetching)
        except asyncio.CancelledError:
            fetching.add_done_callback(self._keep)
            raise

    def _keep(self, fetching: asyncio.Future[list[Delivery]]) -> None:
        if not fetching.cancelled() and fetching.exception() is None:
            self.give_back(fetching.result())

    async def _fetch(self, count: int) -> list[Delivery]:
        async with self._lock:
            found = self._take_returned(count)
            self.has_more = True
            if len(found) == count:
                return found
            try:
                if self._replay_from is not None:
                    found += await self._replay(count - len(found))
                # What was handed over while a replay was on its way may have come with it.
                if len(found) < count and self._handed and self._replay_from is None:
                    found += await self._take_handed(count - len(found))
                if len(found) < count and self._loop.time() >= self._next_sweep_s:
                    self._next_sweep_s = self._loop.time() + self._rules.sweep_s
                    found += await self._sweep(count - len(found))
                if self._replay_from is None:
                    await self._add_new(found, count)
            except ApiError:
                if not found:
                    raise
            if self._returned:
                # By a read that was cancelled: given back only now, and yet handed out before what is found here.
                self._returned.extend(found)
                found = self._take_returned(count)
                self.has_more = self.has_more or bool(self._returned)
            return found

    def _take_returned(self, count: int) -> list[Delivery]:
        return [self._returned.popleft() for _ in range(min(count, len(self._returned)))]

    async def _add_new(self, found: list[Delivery], count: int) -> None:
        """Add new entries, page by page, until there are enough in number or in bytes, or no more."""
        size = 0
        while len(found) < count and size < READ_BYTES:
            asked = min(count - len(found), self._page.count)
            page = await self._new(asked)
            found += page
            size += self._page.learn([delivery.entry for delivery in page])
            if len(page) < asked:
                self.has_more = self.sweep_in_s == 0 or bool(self._handed)
                return

    @property
    def _what(self) -> str:
        return f"read {self.reading.stream.key} as group {self.reading.group}"

    async def _call(self, name: bytes, *args: bytes | str | int) -> Any:
        await self._link.ready()
        since_s = time.monotonic()
        reply = (await self._link.batch_raw([(name, *args)]))[0]
        if (operation := TIMED.get(name)) is not None:
            error = failure_name(reply) if isinstance(reply, ReplyError | ConnectionLostError) else None
            self._took_s = time.monotonic() - since_s
            self._rules.observer.round_trip(operation, self._took_s, error)
        if isinstance(reply, ReplyError | ConnectionLostError):
            raise api_error(reply, self._what) from None
        return reply

    async def _new(self, count: int) -> list[Delivery]:
        stream, group, consumer = self.reading.stream, self.reading.group, self.reading.consumer
        read = (b"GROUP", group, consumer, b"COUNT", count, b"STREAMS", stream.key, b">")
        replay_from, self._replay_from = self._replay_from, self.high
        reply = await self._call(b"XREADGROUP", *read)
        self._replay_from = replay_from
        found = [entry for _, entries in xinfo.streams(reply) for entry in entries]
        if found:
            self.high = max(self.high, found[-1].id)
        return self._received("XREADGROUP", [Delivery(stream, entry, 1) for entry in found], self._took_s)

    async def _replay(self, count: int) -> list[Delivery]:
        """The consumer's own pending entries behind the point from which it may have missed some."""
        stream, group, consumer = self.reading.stream, self.reading.group, self.reading.consumer
        after = self._replay_from or ZERO
        asked = min(count, self._page.count)
        read = (b"GROUP", group, consumer, b"COUNT", asked, b"STREAMS", stream.key, after.wire)
        reply = await self._call(b"XREADGROUP", *read)
        took_s = self._took_s
        rows = reply[0][1] if reply else []
        entries = xinfo.entries(rows)
        await self._forget_deleted(xinfo.deleted_ids(rows))
        counts: dict[EntryId, int] = {}
        if entries:
            span = (entries[0].id.wire, entries[-1].id.wire)
            pending = await self._call(b"XPENDING", stream.key, group, *span, len(rows), consumer)
            counts = {row.entry_id: row.deliveries for row in xinfo.pending_entries(pending)}
            self._page.learn(entries)
        for row in rows if self._handed else ():
            self._handed.pop(parse_entry_id(row[0]), None)
        # Only now: had a reply been lost before, the same page would have to come again.
        self._replay_from = xinfo.last_id(rows) if len(rows) == asked else None
        if rows:
            self.high = max(self.high, xinfo.last_id(rows))
        deliveries = [Delivery(stream, entry, counts.get(entry.id, 1)) for entry in entries]
        return self._received("XREADGROUP", deliveries, took_s)

    async def _take_handed(self, count: int) -> list[Delivery]:
        """What an operator has handed over, as far as it is still this consumer's."""
        stream, group, consumer = self.reading.stream, self.reading.group, self.reading.consumer
        chosen = list(islice(self._handed, min(count, self._page.count)))
        asked = [(b"XPENDING", stream.key, group, each.wire, each.wire, 1, consumer) for each in chosen]
        own: dict[EntryId, int] = {}
        for reply in await self._link.batch_raw(asked):
            if isinstance(reply, ReplyError | ConnectionLostError):
                raise api_error(reply, self._what)
            own.update({row.entry_id: row.deliveries + 1 for row in xinfo.pending_entries(reply)})
        ids = [entry_id.wire for entry_id in own]
        rows = await self._call(b"XCLAIM", stream.key, group, consumer, 0, *ids) if ids else []
        took_s = self._took_s
        entries = xinfo.entries(rows)
        # Redis 6.2 leaves deleted ones pending, and does not say which they are.
        await self._forget_deleted(sorted(own.keys() - {entry.id for entry in entries}))
        # Only now: had a reply been lost before, they would have to be claimed again.
        for entry_id in chosen:
            self._handed.pop(entry_id, None)
        self._page.learn(entries)
        deliveries = [Delivery(stream, entry, own[entry.id], claimed=True) for entry in entries]
        return self._received("XCLAIM", deliveries, took_s)

    async def _sweep(self, count: int) -> list[Delivery]:
        """Claim entries that nobody has acknowledged for long; set aside those that were delivered too often."""
        stream, group, consumer = self.reading.stream, self.reading.group, self.reading.consumer
        idle = self._rules.claim_idle_ms
        most = max(count, SWEEP_COUNT)
        reply = await self._call(b"XPENDING", stream.key, group, b"IDLE", idle, b"-", b"+", most)
        if len(reply) == most:
            self.sweep_soon()
        claim: dict[EntryId, int] = {}
        for row in xinfo.pending_entries(reply):
            if row.deliveries >= self._rules.max_deliveries:
                reason = self._rules.reasons.pop((stream.key, group, row.entry_id), None)
                await self._rules.dead_letters.bury(stream, group, row, reason)
            elif len(claim) < count:
                claim[row.entry_id] = row.deliveries + 1
        if not claim:
            return []
        ids = [entry_id.wire for entry_id in claim]
        replay_from, self._replay_from = self._replay_from, _before(min(claim))
        rows = await self._call(b"XCLAIM", stream.key, group, consumer, idle, *ids)
        took_s = self._took_s
        self._replay_from = replay_from
        # Redis 6.2 returns deleted entries without fields and leaves them pending; later versions drop both.
        await self._forget_deleted(xinfo.deleted_ids(rows))
        deliveries = [Delivery(stream, entry, claim[entry.id], claimed=True) for entry in xinfo.entries(rows)]
        return self._received("XCLAIM", deliveries, took_s)

    def _received(self, operation: Operation, deliveries: list[Delivery], took_s: float) -> list[Delivery]:
        if self._rules.tracer is not None:
            self._rules.tracer.received(operation, self.reading, deliveries, took_s)
        return deliveries

    async def _forget_deleted(self, ids: list[EntryId]) -> None:
        if ids:
            await self._call(b"XACK", self.reading.stream.key, self.reading.group, *(each.wire for each in ids))


def _before(entry_id: EntryId) -> EntryId:
    """The id directly below."""
    return EntryId(entry_id.ms, entry_id.seq - 1) if entry_id.seq else EntryId(entry_id.ms - 1, 2**64 - 1)
