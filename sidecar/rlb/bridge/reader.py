"""The shared reader: every stream that somebody follows is read once, however many follow it.

A stream that this sidecar writes is fed from the append path, once Redis has confirmed; the others are read by a few
blocking connections, each watching many streams. A feed is taken only where it joins on to what was passed on last,
so the two sources never leave a hole between them: what does not join is left to the next read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from rlb.bridge.shard import Channel, Listener, Shard
from rlb.bridge.ticket import Ticket
from rlb.domain.entry import Entry
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.redis_io.topology import Topology


class SharedReader:
    """Follows streams for any number of listeners."""

    def __init__(self, topology: Topology, *, streams_per_connection: int, block_ms: int, feed_idle_ms: int) -> None:
        self._topology = topology
        self._per_connection = streams_per_connection
        self._block_ms = block_ms
        self._feed_idle_s = feed_idle_ms / 1000
        self._shards: list[Shard] = []
        self._shard_of: dict[str, Shard] = {}

    @property
    def channels(self) -> int:
        """Streams that are followed."""
        return len(self._shard_of)

    @property
    def connections(self) -> int:
        """Blocking connections in use."""
        return len(self._shards)

    @property
    def reads(self) -> int:
        """Blocking reads sent to Redis."""
        return sum(shard.reads for shard in self._shards)

    def keys(self) -> Iterable[str]:
        """Keys of the streams that somebody follows."""
        return self._shard_of.keys()

    async def close(self) -> None:
        """Stop reading; listeners hear no more."""
        await asyncio.gather(*(shard.close() for shard in self._shards))
        self._shards.clear()
        self._shard_of.clear()

    def follow(self, stream: StreamKey, listener: Listener, last_id: EntryId) -> None:
        """Tell `listener` of every entry behind `last_id`, which is the stream's last generated id just now.

        Where the stream is followed already, the listener joins at that channel's cursor, which is not before
        what a range read that starts after this call can see.
        """
        now_s = asyncio.get_running_loop().time()
        shard = self._shard_of.get(stream.key)
        channel = shard.channels.get(stream.key) if shard is not None else None
        if shard is None or channel is None:
            shard = self._roomy_shard(stream.key)
            channel = shard.channels[stream.key] = Channel(stream.key, last_id, now_s)
            self._shard_of[stream.key] = shard
            shard.wake()
        channel.listeners.add(listener)

    def unfollow(self, stream: StreamKey, listener: Listener) -> None:
        """Tell `listener` no more; the last one to go ends the reading of the stream."""
        shard = self._shard_of.get(stream.key)
        channel = shard.channels.get(stream.key) if shard is not None else None
        if shard is None:
            return
        if channel is not None:
            channel.listeners.discard(listener)
        if channel is None or not channel.listeners:
            shard.channels.pop(stream.key, None)
            del self._shard_of[stream.key]

    def feed(self, stream: StreamKey, previous: EntryId, entry_id: EntryId, ticket: Ticket) -> None:
        """Take a confirmed append: pass it on at once if it joins on to what was passed on last."""
        shard = self._shard_of.get(stream.key)
        if shard is None:
            return
        channel = shard.channels.get(stream.key)
        if channel is None or entry_id <= channel.cursor:
            return
        now_s = asyncio.get_running_loop().time()
        if previous == channel.cursor:
            draft = ticket.draft
            # A completed generation is followed by silence or by somebody else: go back to reading.
            channel.fed_s = now_s if draft.complete is None else 0.0
            entry = Entry(entry_id, draft.data(entry_id.seq), draft.complete is not None, True, draft.traceparent)
            channel.pass_on((entry,), now_s)
        elif channel.fed_s:
            channel.fed_s = 0.0
            shard.wake()

    def _roomy_shard(self, key: str) -> Shard:
        for shard in self._shards:
            if len(shard.channels) < self._per_connection:
                return shard
        link = self._topology.blocking_link(key, f"reader-{len(self._shards)}", self._block_ms / 1000)
        shard = Shard(link, self._topology.link_for(key), self._block_ms, self._feed_idle_s)
        self._shards.append(shard)
        shard.start()
        return shard
