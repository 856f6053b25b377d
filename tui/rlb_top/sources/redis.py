"""A Redis as a source, with the monitor's poller in this process. It only reads, so it offers no actions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from rlb.domain.snapshot import Snapshot
from rlb.errors import ApiError
from rlb.monitor.standalone import StandaloneMonitor
from rlb.settings import Settings, redact_url
from rlb_top.actions import MAX_PENDING, ActionFailedError, PendingEntry, StreamName
from rlb_top.source import Component, SourceKind, SourceLostError, checked_interval


class RedisSource:
    """Watches every stream of a Redis that matches the patterns of the settings."""

    kind: SourceKind = "redis"
    actions = None
    content = None
    playback = None

    def __init__(self, settings: Settings, *, limit: int) -> None:
        """Raises SettingsError if there is no URL. It connects at the first call, in the loop of that."""
        self._settings = settings
        self._limit = limit
        self._monitor: StandaloneMonitor | None = None
        self.name = redact_url(settings.redis.url or "")
        self.interval_s: float | None = settings.monitor.interval_seconds
        self.details = self

    async def _opened(self) -> StandaloneMonitor:
        if self._monitor is None:
            self._monitor = await StandaloneMonitor(self._settings).__aenter__()
        return self._monitor

    async def connect(self) -> None:
        """Reach Redis.

        Raises:
            SourceLostError: it does not answer, or refuses us.
        """
        try:
            await (await self._opened()).ready()
        except ApiError as error:
            raise SourceLostError(error.detail) from error

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        await self.connect()
        monitor = await self._opened()
        has_polled = False
        while True:
            # Before the snapshot is taken, so that no poll is passed over while it is shown.
            turned = asyncio.create_task(monitor.turn())
            try:
                snapshot = await monitor.take(self._limit)
                if has_polled or snapshot.at is not None:
                    yield snapshot
                await turned
            finally:
                turned.cancel()
            if not monitor.is_up:
                raise SourceLostError(f"Redis is not connected: {monitor.reason}")
            has_polled = True

    async def set_interval(self, seconds: float) -> None:
        self.interval_s = checked_interval(seconds)
        if self._monitor is not None:
            self._monitor.set_interval(seconds)

    async def health(self) -> Sequence[Component]:
        parts = (await self._opened()).parts()
        return [Component(part.name, "up" if part.is_up else "down", reason=part.reason) for part in parts]

    async def pending(
        self, stream: StreamName, group: str, consumer: str | None = None, limit: int = MAX_PENDING
    ) -> Sequence[PendingEntry]:
        try:
            found = await (await self._opened()).pending(stream.key, group, consumer, limit)
        except ApiError as error:
            raise ActionFailedError(error.detail) from error
        return [PendingEntry(str(each.entry_id), each.consumer, each.idle_ms / 1000, each.deliveries) for each in found]

    async def close(self) -> None:
        if self._monitor is not None:
            monitor, self._monitor = self._monitor, None
            await monitor.__aexit__(None, None, None)
