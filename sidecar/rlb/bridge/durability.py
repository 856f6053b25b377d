"""Durability beyond the primary's reply: replicated (WAIT) and fsynced (WAITAOF), for many messages at once.

A message that stands in the stream is at some offset of the replication stream. A later write has a later offset,
so waiting for that later write on another connection covers the message, and tokens never queue behind a wait. The
later write has to be one that propagates: Redis answers WAIT for the offset of the connection's own last write, and
a connection that wrote nothing is told "all replicas" at once.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from rlb.bridge.ticket import Ticket
from rlb.domain.draft import Durability
from rlb.domain.keys import Keys
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError
from rlb.redis_io.topology import Topology

WAIT_MS = 1000
"""How long a wait for replicas may take; when it falls short the messages are answered as `written`."""

FSYNC_WAIT_MS = 2500
"""The same for the disk: with `appendfsync everysec` the next turn is up to a second away, and takes its time."""

PROBE_MS = 10_000
"""Life of the key that a wait writes, should its deletion be lost."""

Stronger = Literal["replicated", "fsynced"]


class DurabilityProbe:
    """Raises messages from `written` to what they asked for, or says that it could not."""

    def __init__(self, topology: Topology, keys: Keys) -> None:
        self._topology = topology
        self._keys = keys
        self._running: dict[tuple[int, Stronger], asyncio.Task[bool]] = {}
        self._next: dict[tuple[int, Stronger], asyncio.Task[bool]] = {}

    async def reached(self, ticket: Ticket) -> Durability:
        """The level that a written message has reached."""
        wanted = ticket.draft.durability
        if wanted == "written" or ticket.error is not None:
            return "written"
        link = self._topology.side_link(ticket.stream.key)
        return wanted if await asyncio.shield(self._covering(link, ticket.stream.key, wanted)) else "written"

    def _covering(self, link: Link, key: str, wanted: Stronger) -> asyncio.Task[bool]:
        """A wait that begins from now on: one under way may have begun before this message was written."""
        name = (id(link), wanted)
        running = self._running.get(name)
        if running is None or running.done():
            task = self._running[name] = asyncio.create_task(self._wait(link, key, wanted, None))
            return task
        following = self._next.get(name)
        if following is None or following.done() or following is running:
            following = self._next[name] = asyncio.create_task(self._wait(link, key, wanted, running))
        return following

    async def _wait(self, link: Link, key: str, wanted: Stronger, after: asyncio.Task[bool] | None) -> bool:
        if after is not None:
            await asyncio.wait([after])
            name = (id(link), wanted)
            self._running[name] = self._next.pop(name)
        # INCR would leave a key behind; setting and deleting one is a write each time, and leaves nothing.
        probe = f"{self._keys.prefix}-probe:{{{key}}}"
        waiting: tuple[bytes | str | int, ...] = (
            (b"WAIT", 1, WAIT_MS) if wanted == "replicated" else (b"WAITAOF", 1, 0, FSYNC_WAIT_MS)
        )
        try:
            replies: list[Any] = await link.batch_raw([(b"SET", probe, 1, b"PX", PROBE_MS), (b"DEL", probe), waiting])
        except Exception:  # noqa: BLE001 - whatever went wrong, the level was not reached
            return False
        if any(isinstance(reply, ReplyError | ConnectionLostError) for reply in replies):
            return False
        reply = replies[-1]
        count: int = reply[0] if isinstance(reply, list) else reply
        return count >= 1
