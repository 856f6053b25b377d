"""Where a key lives: the connections for each key, behind one interface.

One server has one set of connections. Sentinel (the same set, re-discovered) and Cluster (one set a shard) fit
behind the same three methods; nothing above this file knows which it is.
"""

from __future__ import annotations

import functools
import weakref
from typing import Protocol

from rlb.redis_io.backoff import Backoff
from rlb.redis_io.connect import open_connection
from rlb.redis_io.link import Link, LinkBounds
from rlb.settings import RedisSettings


class Topology(Protocol):
    """Gives the link for a key."""

    def link_for(self, key: str) -> Link:
        """The link on which the key is written and read without blocking. Order on it is kept."""
        ...

    def blocking_link(self, key: str, name: str, block_s: float) -> Link:
        """A further, not yet started link for blocking reads near the key; the caller starts and closes it."""
        ...

    def side_link(self, key: str) -> Link:
        """The link for commands that may take long on the server's side (WAIT), apart from the tokens."""
        ...

    @property
    def links(self) -> tuple[Link, ...]:
        """All links that there are now, by whomever they are used."""
        ...


class Standalone:
    """One server: a link for commands, one for waits, and blocking ones on demand."""

    def __init__(self, settings: RedisSettings, call_timeout_s: float) -> None:
        self._settings = settings
        self._call_timeout_s = call_timeout_s
        self._blocking: weakref.WeakSet[Link] = weakref.WeakSet()
        self.main = self._link("main")
        self.side = self._link("side")

    @property
    def links(self) -> tuple[Link, ...]:
        return self.main, self.side, *self._blocking

    def start(self) -> None:
        """Begin to connect, in the background."""
        self.main.start()
        self.side.start()

    async def close(self) -> None:
        """Close both links."""
        await self.side.close()
        await self.main.close()

    def link_for(self, key: str) -> Link:
        del key
        return self.main

    def side_link(self, key: str) -> Link:
        del key
        return self.side

    def blocking_link(self, key: str, name: str, block_s: float) -> Link:
        del key
        # A server may answer a blocked read late, when another client was served first: leave it a margin.
        link = self._link(name, reply_timeout_s=block_s + self._settings.reply_timeout_s)
        self._blocking.add(link)
        return link

    def _link(self, name: str, reply_timeout_s: float | None = None) -> Link:
        settings = self._settings
        return Link(
            name,
            functools.partial(open_connection, settings, name),
            LinkBounds(
                reply_timeout_s=reply_timeout_s or settings.reply_timeout_s,
                buffer_bytes=settings.link_buffer_bytes,
                call_timeout_s=self._call_timeout_s,
            ),
            Backoff(settings.backoff_min_s, settings.backoff_max_s),
        )
