"""Monitors of a test, with what their polls are told to have cost, and streams for them."""

from __future__ import annotations

from typing import Any, Self

from redis.asyncio import Redis

from rlb.domain.stream_info import GroupInfo, StreamInfo
from rlb.monitor.build import build_monitor
from rlb.monitor.monitor import Monitor
from rlb.monitor.state import StreamState
from rlb.redis_io.topology import Standalone
from tests.support.cores import settings_of

KEY = "llm:stream:s-1:m-1"


class Counts:
    """What polls are told to have cost."""

    def __init__(self) -> None:
        self.polls = 0
        self.skips = 0
        self.failures: dict[str, int] = {}

    def polled(self, seconds: float) -> None:
        assert seconds >= 0
        self.polls += 1

    def poll_failed(self, kind: str, count: int) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + count

    def skipped(self, streams: int) -> None:
        self.skips += streams


class Watching:
    """A monitor of its own, with a scope that the test chooses."""

    def __init__(self, url: str, own: set[str] | None = None, **monitor: Any) -> None:
        settings = settings_of(url, monitor={"scope": "all", **monitor})
        self.counts = Counts()
        self.own = own if own is not None else set()
        self.topology = Standalone(settings.redis, 5.0)
        self.monitor: Monitor = build_monitor(settings, self.topology, lambda: self.own, self.counts)

    async def __aenter__(self) -> Self:
        self.topology.start()
        self.monitor.connect()
        await self.topology.main.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.monitor.close()
        await self.topology.close()

    def states(self, *keys: str) -> list[StreamState]:
        """What is kept of these streams."""
        found = {state.key: state for state in self.monitor.states}
        return [found[key] for key in keys if key in found]

    async def poll(self) -> dict[str, StreamInfo]:
        """What there is after one more poll, by key."""
        await self.monitor.poll()
        return {info.key: info for info in map(self.monitor.told, self.monitor.worst(1000))}

    async def group(self, key: str = KEY) -> GroupInfo:
        """The only group of a stream, after one more poll."""
        (group,) = (await self.poll())[key].groups
        return group


async def add(redis: Redis, key: str, count: int = 1) -> None:
    for _ in range(count):
        await redis.xadd(key, {"data": "{}"})
