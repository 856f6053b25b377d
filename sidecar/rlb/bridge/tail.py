"""Live tails: one reader's way through one stream, from any point, without holes that it is not told of.

A tail reads ranges until it has caught up, then takes what the shared reader passes on. Its queue is bounded in
bytes; when it overflows, the queue is dropped and the tail catches up by ranges again, at its own speed. So a slow
reader costs a bounded amount of memory, nobody waits for it, and it loses nothing that Redis still holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from rlb.bridge.page_size import PageSize
from rlb.bridge.reader import SharedReader
from rlb.domain.entry import Entry, Gap, gap_between
from rlb.domain.entry_id import ZERO, EntryId, parse_entry_id
from rlb.domain.keys import Keys
from rlb.domain.stream_key import StreamKey
from rlb.errors import StreamGoneError, StreamNotFoundError
from rlb.redis_io import xinfo
from rlb.redis_io.heads import last_generated_id
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Topology

MAX_PAGE = 500
"""Entries that one range read fetches at most; large ones are fetched fewer at a time."""


@dataclass(frozen=True, slots=True)
class End:
    """The generation is complete; the tail ends here."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The stream is gone; the tail ends here."""


TailEvent = Entry | Gap | End | Gone


class _Inbox:
    """What the shared reader has passed on and the tail has not taken yet, at most `limit_bytes` of it."""

    def __init__(self, limit_bytes: int) -> None:
        self.is_overrun = False
        self.is_gone = False
        self.limit_bytes = limit_bytes
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._filled = asyncio.Event()

    def on_entries(self, entries: Sequence[Entry]) -> None:
        if not self.is_overrun:
            self._held_bytes += sum(len(entry.json) for entry in entries)
            self._held.extend(entries)
            if self._held_bytes > self.limit_bytes:
                self.take()
                self.is_overrun = True
        self._filled.set()

    def on_gone(self) -> None:
        self.is_gone = True
        self._filled.set()

    def take(self) -> list[Entry]:
        held, self._held, self._held_bytes = self._held, [], 0
        self._filled.clear()
        return held

    async def wait(self) -> None:
        await self._filled.wait()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a tail begins: behind `after`. A resumed one has been there before, so it is told of a gap."""

    after: EntryId
    is_resumed: bool


class Tails:
    """Opens tails."""

    def __init__(self, topology: Topology, reader: SharedReader, keys: Keys, queue_bytes: int) -> None:
        self._topology = topology
        self._reader = reader
        self._keys = keys
        self._queue_bytes = queue_bytes

    async def open(self, stream: StreamKey, start: str, *, is_resumed: bool, wait_s: float = 0.0) -> Tail:
        """A tail from `start`: `0`, `$` or an entry id, behind which it begins.

        Raises:
            InvalidIdError: `start` is none of these.
            StreamNotFoundError: the stream has never existed and did not appear within `wait_s`.
            StreamGoneError: it has existed, and has expired or been deleted.
        """
        after = None if start == "$" else ZERO if start == "0" else parse_entry_id(start)
        link = self._topology.link_for(stream.key)
        inbox = _Inbox(self._queue_bytes)
        last_id = await last_generated_id(link, stream)
        if last_id is None and after is not None and after > ZERO:
            raise StreamGoneError(f"{stream.key} has expired or been deleted since {after}")
        self._reader.follow(stream, inbox, last_id if last_id is not None else ZERO)
        try:
            if last_id is None:
                await self._appear(link, stream, inbox, wait_s)
        except BaseException:
            self._reader.unfollow(stream, inbox)
            raise
        return Tail(stream, link, self._reader, inbox, Start(last_id or ZERO if after is None else after, is_resumed))

    async def _appear(self, link: Link, stream: StreamKey, inbox: _Inbox, wait_s: float) -> None:
        """Wait for a stream that was not there; it is followed already, so what comes is not missed.

        Raises:
            StreamNotFoundError, StreamGoneError: it did not come, and was or was not there in the past.
        """
        if wait_s > 0 and await last_generated_id(link, stream) is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await inbox.wait()
        was_there = await self._is_indexed(stream)
        # Looked for last: it may have come after the first look and before it was followed.
        if await last_generated_id(link, stream) is None:
            if was_there:
                raise StreamGoneError(f"{stream.key} has expired or been deleted")
            raise StreamNotFoundError(f"{stream.key} does not exist")

    async def _is_indexed(self, stream: StreamKey) -> bool:
        index = self._keys.index
        return await self._topology.link_for(index).call(b"ZSCORE", index, stream.key, what="tail") is not None


class Tail:
    """One reader of one stream. Iterate `batches()`, then `close()`."""

    def __init__(self, stream: StreamKey, link: Link, reader: SharedReader, inbox: _Inbox, start: Start) -> None:
        self.stream = stream
        self.position = start.after
        """The last entry given out; resuming behind it loses nothing."""
        self._is_resumed = start.is_resumed
        self._link = link
        self._reader = reader
        self._inbox = inbox
        self._page_size = PageSize(inbox.limit_bytes, MAX_PAGE)

    @property
    def page_count(self) -> int:
        """Entries that the next range read asks for."""
        return self._page_size.count

    def close(self) -> None:
        """Stop following."""
        self._reader.unfollow(self.stream, self._inbox)

    async def is_finished(self) -> bool:
        """Whether the position is the end of a generation and nothing has followed it."""
        rows = await self._link.call(b"XREVRANGE", self.stream.key, b"+", self.position.wire, b"COUNT", 2, what="tail")
        entries = xinfo.entries(rows)
        return len(entries) == 1 and entries[0].id == self.position and entries[0].complete

    async def batches(self) -> AsyncGenerator[list[TailEvent], None]:
        """Events in order, those that are there together; ends after `End` or `Gone`.

        Raises:
            ApiError: Redis did not answer; the reader may resume behind `position`.
        """
        behind = True
        while True:
            if behind:
                self._inbox.take()
                self._inbox.is_overrun = False
                entries, behind = await self._page()
            else:
                await self._inbox.wait()
                entries, behind = self._inbox.take(), self._inbox.is_overrun
            events = self._events(entries)
            if self._inbox.is_gone and not behind and not (events and isinstance(events[-1], End)):
                events.append(Gone())
            if events:
                yield events
                if isinstance(events[-1], End | Gone):
                    return

    async def _page(self) -> tuple[list[Entry], bool]:
        """The next entries by range, and whether there may be more."""
        asked = self._page_size.count
        commands: list[tuple[bytes | str | int, ...]] = [
            (b"XRANGE", self.stream.key, self.position.after, b"+", b"COUNT", asked),
            (b"XRANGE", self.stream.key, self.position.wire, self.position.wire),
        ]
        try:
            page, here = await self._link.batch(commands, what="tail")
        except ReplyError as error:
            raise api_error(error, f"tail {self.stream.key}") from None
        entries = xinfo.entries(page)
        if self._is_resumed and entries and self.position > ZERO and not here and not entries[0].is_numbered:
            # Ids of other writers do not count: all that can be said is that the place is gone.
            self._unnumbered_gap = Gap(self.position, entries[0].id, None)
        self._is_resumed = False
        self._page_size.learn(entries)
        return entries, len(page) == asked

    _unnumbered_gap: Gap | None = None

    def _events(self, entries: Sequence[Entry]) -> list[TailEvent]:
        events: list[TailEvent] = []
        for entry in entries:
            if entry.id <= self.position:
                continue
            gap = self._unnumbered_gap or gap_between(self.position, entry)
            self._unnumbered_gap = None
            if gap is not None:
                events.append(gap)
            events.append(entry)
            self.position = entry.id
            if entry.complete:
                events.append(End())
                break
        return events
