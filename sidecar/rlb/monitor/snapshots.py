"""Snapshots: what the monitor, the bridge and Redis come to at a moment, put together for those who look on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from rlb._version import __version__
from rlb.domain.snapshot import GenerationInfo, RedisInfo, SidecarInfo, Snapshot, TotalsInfo
from rlb.domain.stream_info import StreamInfo
from rlb.monitor.monitor import Monitor

MAX_GENERATIONS = 1000
"""Open generations in a snapshot: the stalled ones first, then those that were silent for longest."""

BUILT_AT_ONCE = 250
"""Streams that are written out before the loop turns."""


class Liveness(Protocol):
    """Whether Redis can be reached, and if not, why."""

    @property
    def is_up(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Makes snapshots; `redis` is the connection whose state is told."""

    monitor: Monitor
    redis: Liveness
    instance: str
    scope: Literal["own", "all", "off"]
    leads: Callable[[], bool | None] = lambda: None
    generations: Callable[[int], tuple[GenerationInfo, ...]] = lambda _: ()

    async def take(self, limit: int) -> Snapshot:
        """A snapshot of the last poll, with the `limit` streams that are worst off."""
        monitor, redis = self.monitor, self.redis
        census = monitor.last_census
        streams: list[StreamInfo] = []
        worst = monitor.worst(limit)
        for start in range(0, len(worst), BUILT_AT_ONCE):
            streams += map(monitor.told, worst[start : start + BUILT_AT_ONCE])
            await asyncio.sleep(0)
        ages = [group.lag_age_s for group in census.groups.values() if group.lag_age_s is not None]
        return Snapshot(
            at=census.at,
            poll_seconds=monitor.poll_s,
            sidecar=SidecarInfo(version=__version__, instance=self.instance, scope=self.scope, leads=self.leads()),
            redis=RedisInfo(
                up=redis.is_up,
                version=monitor.server_version,
                clock_skew_seconds=monitor.clock_skew_s,
                reason=redis.reason if not redis.is_up else monitor.trouble,
            ),
            totals=TotalsInfo(
                streams=sum(model.streams for model in census.models.values()),
                groups=sum(sum(group.by_status.values()) for group in census.groups.values()),
                tokens_in=census.written_per_s,
                tokens_out=census.read_per_s,
                worst_lag_seconds=max(ages, default=None),
                lost_unread=census.lost,
                unknown_lag=sum(group.by_quality.get("unknown", 0) for group in census.groups.values()),
            ),
            streams=tuple(streams),
            generations=self.generations(MAX_GENERATIONS),
        )

    async def turn(self) -> None:
        """Wait for the next poll to end, well or not."""
        await self.monitor.turn()
