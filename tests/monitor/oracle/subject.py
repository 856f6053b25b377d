"""What is judged: the monitor, in the ways in which it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from rlb.bridge.claim import Limits
from rlb.domain.keys import Keys
from rlb.domain.stream_info import StreamInfo
from rlb.monitor.monitor import Monitor
from rlb.redis_io.topology import Standalone
from rlb.settings import Settings
from tests.servers.process import RedisServer
from tests.support.cores import settings_of

Way = Literal["poll", "look", "first look"]
"""`poll`: of all streams, and then what is known of them. `look`: at the streams by name, with what polls have left;
`first look`: with nothing but what there is to see now."""


def monitor_of(settings: Settings) -> Monitor:
    """A monitor that only polls when it is told to; it is not connected yet."""
    stream = settings.stream
    topology = Standalone(settings.redis, settings.append.deadline_ms / 1000)
    return Monitor(topology, Keys(stream.prefix), Limits(stream.max_length, stream.retention_ms), settings)


def known(monitor: Monitor) -> list[StreamInfo]:
    """All streams as the last poll left them."""
    return [monitor.told(state) for state in monitor.worst(monitor.watched)]


class Subject:
    """One monitor, or with `first look` a new one each time."""

    def __init__(self, server: RedisServer, keys: Sequence[str], way: Way) -> None:
        self._settings = settings_of(server.url)
        self._keys = keys
        self._way = way
        self._monitor: Monitor | None = None

    async def see(self) -> Sequence[StreamInfo]:
        """The streams as the monitor sees them now."""
        if self._monitor is None:
            self._monitor = monitor_of(self._settings)
            self._monitor.connect()
        monitor = self._monitor
        try:
            if self._way == "first look":
                return await monitor.look(self._keys)
            monitor.watch(self._keys)
            if self._way == "look":
                return await monitor.look(self._keys)
            await monitor.poll()
            return known(monitor)
        finally:
            if self._way == "first look":
                await self.close()

    async def close(self) -> None:
        if self._monitor is not None:
            await self._monitor.close()
            self._monitor = None


@asynccontextmanager
async def watching(server: RedisServer, keys: Sequence[str], way: Way) -> AsyncIterator[Subject]:
    """A subject that is closed in the end."""
    subject = Subject(server, keys, way)
    try:
        yield subject
    finally:
        await subject.close()
