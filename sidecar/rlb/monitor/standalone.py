"""A monitor by itself: watches all streams of a Redis and only reads, so any number of them may run beside each other.

It takes part in nothing: it asks for no lease, removes no consumer, sends no probe, and writes no key.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rlb.bridge.claim import Limits
from rlb.domain.keys import Keys
from rlb.domain.snapshot import Snapshot
from rlb.domain.stream_facts import PendingEntry
from rlb.errors import SettingsError
from rlb.monitor.monitor import Monitor
from rlb.monitor.snapshots import Snapshots
from rlb.redis_io import xinfo
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Standalone
from rlb.settings import MonitorSettings, Settings

EVERYTHING = ("*",)
"""The patterns where none are set: every stream of the database."""

NO_REDIS = "RLB_REDIS__URL is not set: expected the URL of the Redis to watch"

_OFF = {"remove_consumers_after_seconds": 0.0, "probe_seconds": 0.0}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of it: whether it is well, and if not, why."""

    name: str
    is_up: bool
    reason: str | None


class StandaloneMonitor:
    """Polls from the beginning to the end of the block. Of the settings it takes `redis`, `stream` and `monitor`.

    Raises:
        SettingsError: no Redis is configured.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.redis.url is None:
            raise SettingsError(NO_REDIS)
        settings = settings.model_copy(update={"monitor": _reading(settings.monitor)})
        limits = Limits(settings.stream.max_length, settings.stream.retention_ms)
        self._topology = Standalone(settings.redis, settings.append.deadline_ms / 1000)
        self._monitor = Monitor(self._topology, Keys(settings.stream.prefix), limits, settings)
        instance = f"{socket.gethostname()}:{os.getpid()}"
        self._snapshots = Snapshots(self._monitor, self._topology.main, instance, "all")

    async def __aenter__(self) -> Self:
        self._topology.main.start()
        self._monitor.connect()
        self._monitor.resume()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._monitor.close()
        await self._topology.main.close()

    async def ready(self) -> None:
        """Wait for Redis.

        Raises:
            RedisUnavailableError: it did not answer in time; the text says why.
        """
        await self._topology.main.ready()

    @property
    def is_up(self) -> bool:
        """Whether Redis is connected."""
        return self._topology.main.is_up

    @property
    def reason(self) -> str | None:
        """Why it is not."""
        return self._topology.main.reason

    async def take(self, limit: int) -> Snapshot:
        """A snapshot of the last poll, with the `limit` streams that are worst off."""
        return await self._snapshots.take(limit)

    async def turn(self) -> None:
        """Wait for the next poll to end, well or not."""
        await self._snapshots.turn()

    def set_interval(self, seconds: float) -> None:
        """Poll so often from now on."""
        self._monitor.set_interval(seconds)

    async def pending(self, key: str, group: str, consumer: str | None, limit: int) -> list[PendingEntry]:
        """The pending entries with the lowest ids, of one consumer if it is named.

        Raises:
            ApiError: Redis did not answer, or there is no such group.
        """
        whose = () if consumer is None else (consumer,)
        what = f"pending entries of {key}"
        try:
            reply = await self._topology.main.call(b"XPENDING", key, group, b"-", b"+", limit, *whose, what=what)
        except ReplyError as error:
            raise api_error(error, what) from None
        return xinfo.pending_entries(reply)

    def parts(self) -> Sequence[Part]:
        """How its connection and its polls are."""
        trouble = self._monitor.trouble
        return Part("redis", self.is_up, self.reason), Part("polls", trouble is None, trouble)


def _reading(settings: MonitorSettings) -> MonitorSettings:
    """The same for one that watches everything and changes nothing."""
    return settings.model_copy(update={"scope": "all", "patterns": settings.patterns or EVERYTHING, **_OFF})
