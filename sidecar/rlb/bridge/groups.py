"""Consumer groups: create, read, acknowledge, refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.group_reader import GroupReader, GroupRules
from rlb.bridge.reader import SharedReader
from rlb.domain.entry import Entry
from rlb.domain.entry_id import EntryId, parse_entry_id
from rlb.domain.stream_key import StreamKey
from rlb.errors import StreamGoneError, StreamNotFoundError, UnsupportedByServerError
from rlb.redis_io import xinfo
from rlb.redis_io.heads import last_generated_id
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error, failure_name, is_no_key
from rlb.redis_io.scripts import CREATE_GROUP
from rlb.redis_io.topology import Topology

MAX_READERS = 10_000
"""Consumers whose reads are remembered; past it the longest unused is forgotten, and re-reads its pending entries."""

MAX_REASONS = 10_000
"""Refusals whose reason is remembered for the dead letters; past it the oldest is forgotten."""

COUNT_LIMIT = 10_000
"""Entries that group creation counts at most to make the lag of a group in mid-stream known."""

Settled = Callable[[str, str, Iterable[EntryId]], None]


class _Wakeup:
    """A listener that only wants to know that something is new."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def on_entries(self, entries: Sequence[Entry]) -> None:
        del entries
        self.event.set()

    def on_gone(self) -> None:
        self.event.set()


class Groups:
    """The consumer side that acknowledges."""

    def __init__(self, topology: Topology, reader: SharedReader, rules: GroupRules) -> None:
        self.rules = rules
        self._topology = topology
        self._reader = reader
        self._readers: dict[Reading, GroupReader] = {}
        self._settled: list[Settled] = []
        self._refused: list[Callable[[str, str], None]] = []
        self._waiting: dict[tuple[str, str], set[_Wakeup]] = {}

    def on_settled(self, listener: Settled) -> None:
        """Tell `listener` of entries that were acknowledged or refused: key, group, ids."""
        self._settled.append(listener)

    def on_refused(self, listener: Callable[[str, str], None]) -> None:
        """Tell `listener` of a group that has entries to deliver again: key, group."""
        self._refused.append(listener)

    def forget(self, on_settled: Settled, on_refused: Callable[[str, str], None]) -> None:
        """Tell these listeners no more."""
        self._settled.remove(on_settled)
        self._refused.remove(on_refused)

    async def create(
        self,
        stream: StreamKey,
        group: str,
        start: str = "0",
        *,
        make_stream: bool = True,
        retention_ms: int | None = None,
    ) -> bool:
        """Create a group, with a lag that is known from the start; False if it was there.

        A stream that this makes expires after `retention_ms` (by default that of all streams) if nobody writes to it.

        Raises:
            InvalidIdError: `start` is not `0`, `$` or an entry id.
            StreamNotFoundError: there is no stream, and it is not to be made.
        """
        if start not in ("0", "$"):
            start = str(parse_entry_id(start))
        # Redis 6.2 does not know ENTRIESREAD: its groups have no lag, which is then unknown.
        for knows_entries_read in (b"1", b"0"):
            life_ms = self.rules.retention_ms if retention_ms is None else retention_ms
            makes = b"1" if make_stream else b"0"
            arguments = (group, start, COUNT_LIMIT, knows_entries_read, makes, life_ms)
            try:
                created = await self._run_create(stream, arguments)
            except ReplyError as error:
                text = str(error).lower()
                if is_no_key(error) and not make_stream:
                    raise StreamNotFoundError(f"{stream.key} does not exist") from None
                # With ENTRIESREAD, Redis 6.2 does not see MKSTREAM either, and misses the key.
                if "syntax" not in text and "wrong number" not in text and not is_no_key(error):
                    raise api_error(error, f"create group {group} on {stream.key}") from None
            else:
                return created
        raise UnsupportedByServerError(f"this Redis cannot create group {group}")

    async def _run_create(self, stream: StreamKey, arguments: tuple[bytes | str | int, ...]) -> bool:
        link = self._topology.link_for(stream.key)
        text = (b"EVAL", CREATE_GROUP.text, 1, stream.key, *arguments)
        return bool(await link.call(*text, what=f"create group on {stream.key}"))

    def reader(self, reading: Reading) -> GroupReader:
        """The reader of a consumer, made at its first read."""
        reader = self._readers.pop(reading, None)
        if reader is None:
            reader = GroupReader(reading, self._topology.link_for(reading.stream.key), self.rules)
            if len(self._readers) >= MAX_READERS:
                del self._readers[next(iter(self._readers))]
        self._readers[reading] = reader
        return reader

    def keys(self) -> Iterable[str]:
        """Keys of the streams that consumers have read here."""
        return (reading.stream.key for reading in self._readers)

    async def read(self, reading: Reading, count: int, block_s: float) -> list[Delivery]:
        """Up to `count` deliveries; with none there, waits for the first at most `block_s`.

        Raises:
            GroupNotFoundError, StreamGoneError: there is no such group or stream.
        """
        reader = self.reader(reading)
        deliveries = await reader.fetch(count)
        if deliveries or block_s <= 0:
            return deliveries
        link = self._topology.link_for(reading.stream.key)
        last_id = await last_generated_id(link, reading.stream)
        if last_id is None:
            raise StreamGoneError(f"{reading.stream.key} is gone")
        wakeup = _Wakeup()
        waiting = self._waiting.setdefault((reading.stream.key, reading.group), set())
        waiting.add(wakeup)
        self._reader.follow(reading.stream, wakeup, last_id)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + block_s
        try:
            while True:
                wakeup.event.clear()
                deliveries = await reader.fetch(count)
                left_s = until_s - loop.time()
                if deliveries or left_s <= 0:
                    return deliveries
                try:
                    async with asyncio.timeout(min(left_s, reader.sweep_in_s + 0.01)):
                        await wakeup.event.wait()
                except TimeoutError:
                    pass
        finally:
            self._reader.unfollow(reading.stream, wakeup)
            waiting.discard(wakeup)
            if not waiting:
                self._waiting.pop((reading.stream.key, reading.group), None)

    def handed_over(self, reading: Reading, deliveries: Sequence[Delivery]) -> None:
        """An app has been sent these deliveries: from here on they count as delivered."""
        if deliveries:
            self.rules.observer.delivered(reading, deliveries)

    async def acknowledge(self, stream: StreamKey, group: str, ids: Sequence[EntryId]) -> int:
        """Settle deliveries; gives how many were pending."""
        link = self._topology.link_for(stream.key)
        wire = [entry_id.wire for entry_id in ids]
        await link.ready()
        since_s = time.monotonic()
        reply = (await link.batch_raw([(b"XACK", stream.key, group, *wire)]))[0]
        failure = reply if isinstance(reply, ReplyError | ConnectionLostError) else None
        error = failure_name(failure) if failure is not None else None
        took_s = time.monotonic() - since_s
        self.rules.observer.round_trip("XACK", took_s, error)
        if self.rules.tracer is not None:
            self.rules.tracer.acknowledged(stream, group, ids, took_s, error)
        if failure is not None:
            raise api_error(failure, f"ack on {stream.key}")
        count: int = reply
        for entry_id in ids:
            self.rules.reasons.pop((stream.key, group, entry_id), None)
        self._tell_settled(stream.key, group, ids)
        self.rules.observer.settled(stream.key, group, ids, count)
        return count

    async def refuse(self, stream: StreamKey, group: str, ids: Sequence[EntryId], reason: str) -> int:
        """Give deliveries back, to be delivered again at once; gives how many were pending.

        They stay with their consumer, marked as idle for so long that the next sweep claims them.
        """
        link = self._topology.link_for(stream.key)
        looked = await link.batch_raw([(b"XPENDING", stream.key, group, each.wire, each.wire, 1) for each in ids])
        count = 0
        for entry_id, reply in zip(ids, looked, strict=True):
            if isinstance(reply, ReplyError | ConnectionLostError):
                raise api_error(reply, f"nack on {stream.key}")
            for pending in xinfo.pending_entries(reply):
                claim = (b"XCLAIM", stream.key, group, pending.consumer, 0, entry_id.wire)
                try:
                    await link.call(*claim, b"IDLE", self.rules.claim_idle_ms + 1, b"JUSTID", what="nack")
                except ReplyError as error:
                    raise api_error(error, f"nack on {stream.key}") from None
                self._remember_reason(stream.key, group, entry_id, reason)
                count += 1
        self._tell_settled(stream.key, group, ids)
        self.deliver_again(stream.key, group)
        return count

    def withdrawn(self, stream: StreamKey, group: str, ids: Sequence[EntryId]) -> None:
        """An operator has taken entries away from the consumers that had them: they do not wait for these any more."""
        for reading, reader in self._readers.items():
            if reading.group == group and reading.stream.key == stream.key:
                reader.let_go(ids)
        self._tell_settled(stream.key, group, ids)

    def handed(self, reading: Reading, ids: Sequence[EntryId]) -> None:
        """An operator has made pending entries those of another consumer, which is to get them at once."""
        self.withdrawn(reading.stream, reading.group, ids)
        if (reader := self._readers.get(reading)) is not None:
            reader.hand(ids)
        self.deliver_again(reading.stream.key, reading.group)

    def _remember_reason(self, key: str, group: str, entry_id: EntryId, reason: str) -> None:
        reasons = self.rules.reasons
        reasons[key, group, entry_id] = reason
        if len(reasons) > MAX_REASONS:
            del reasons[next(iter(reasons))]

    def _tell_settled(self, key: str, group: str, ids: Iterable[EntryId]) -> None:
        for listener in self._settled:
            listener(key, group, ids)

    def deliver_again(self, key: str, group: str) -> None:
        """Have readers look at once for pending entries that may be claimed."""
        for reading, reader in self._readers.items():
            if reading.group == group and reading.stream.key == key:
                reader.sweep_soon()
        for listener in self._refused:
            listener(key, group)
        for wakeup in self._waiting.get((key, group), ()):
            wakeup.event.set()
