"""Links as the topology makes them, to any address, with waits that suit a test."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from rlb.redis_io.backoff import Backoff
from rlb.redis_io.connect import open_connection
from rlb.redis_io.link import Link, LinkBounds
from rlb.redis_io.replies import ConnectionLostError
from rlb.settings import RedisSettings
from tests.support.assertions import PATIENCE_S, eventually

MIB = 1024 * 1024


class MakeLink(Protocol):
    """Starts a link to the Redis at `url`; settings of the section `redis` as keywords."""

    def __call__(
        self,
        url: str,
        *,
        call_timeout_s: float = PATIENCE_S,
        ping_s: float = 5.0,
        buffer_bytes: int = MIB,
        **settings: Any,
    ) -> Link: ...


@asynccontextmanager
async def making_links() -> AsyncIterator[MakeLink]:
    links: list[Link] = []

    def make(
        url: str, *, call_timeout_s: float = PATIENCE_S, ping_s: float = 5.0, buffer_bytes: int = MIB, **settings: Any
    ) -> Link:
        redis = RedisSettings(url=url, **{"backoff_min_s": 0.005, "backoff_max_s": 0.05, **settings})
        link = Link(
            "test",
            functools.partial(open_connection, redis, "test"),
            LinkBounds(redis.reply_timeout_s, buffer_bytes, call_timeout_s, ping_s),
            Backoff(redis.backoff_min_s, redis.backoff_max_s),
        )
        link.start()
        links.append(link)
        return link

    yield make
    for link in links:
        await link.close()


class Replies:
    """Counts the replies of each command that was sent."""

    def __init__(self) -> None:
        self.of: dict[int, list[Any]] = {}

    def taker(self, number: int) -> Any:
        self.of[number] = []
        return self.of[number].append

    async def all_came(self) -> None:
        await eventually(lambda: all(self.of.values()))
        assert all(len(replies) == 1 for replies in self.of.values()), "a command was answered twice"

    @property
    def lost(self) -> list[int]:
        return [number for number, replies in self.of.items() if isinstance(replies[0], ConnectionLostError)]


def rebind(link: Link, **bounds: float) -> None:
    """Other waits for the calls, and for the connections, that begin from now on."""
    link._bounds = dataclasses.replace(link._bounds, **bounds)  # type: ignore[arg-type]
