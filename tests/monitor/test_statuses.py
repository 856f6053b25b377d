"""Statuses and headroom as polls of a real server come to them, with a window of a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from rlb.domain.retention import PUT_OFF_S
from rlb.domain.stream_info import GroupInfo, GroupStatus
from rlb.monitor.build import build_monitor
from rlb.monitor.monitor import Monitor
from rlb.redis_io.topology import Standalone
from tests.servers.process import RedisServer
from tests.support.cores import settings_of

KEY = "orders"
GROUP = "readers"
WINDOW_S = 1.0
STALLED_S = 0.4
POLL_S = 0.05
PATIENCE_S = 15.0


@pytest.fixture
async def monitor(server: RedisServer) -> AsyncIterator[Monitor]:
    """A monitor of that stream, polled by hand."""
    settings = settings_of(
        server.url,
        monitor={
            "scope": "all",
            "patterns": KEY,
            "window_seconds": WINDOW_S,
            "stalled_seconds": STALLED_S,
            "lag_floor": 10,
            "losing_seconds": 60.0,
        },
    )
    monitor = build_monitor(settings, Standalone(settings.redis, 2.0))
    monitor.connect()
    yield monitor
    await monitor.close()


class Watched:
    """The statuses of the group from now on, and what is done between two polls."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.seen: list[GroupStatus] = []
        self.last: GroupInfo | None = None

    async def poll(self) -> GroupInfo:
        await self.monitor.poll()
        (state,) = self.monitor.states
        (group,) = self.monitor.told(state).groups
        if not self.seen or self.seen[-1] != group.status:
            self.seen.append(group.status)
        self.last = group
        return group

    async def until(self, status: GroupStatus, between: Callable[[], Awaitable[object]] | None = None) -> GroupInfo:
        """Poll until the group has that status, and do something between the polls."""
        end_s = time.monotonic() + PATIENCE_S
        while (group := await self.poll()).status != status:
            assert time.monotonic() < end_s, (self.seen, group)
            if between is not None:
                await between()
            await asyncio.sleep(POLL_S)
        return group


async def add(redis: Redis, count: int, maxlen: int | None = None) -> None:
    for _ in range(count):
        await redis.xadd(KEY, {"f": "v"}, maxlen=maxlen, approximate=False)


async def read(redis: Redis, count: int) -> None:
    await redis.xreadgroup(GROUP, "c", {KEY: ">"}, count=count, noack=True)


async def test_nobody_reads(redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    watched = Watched(monitor)
    assert (await watched.poll()).status == "ok"
    await add(redis, 1)
    group = await watched.until("stopped")
    assert watched.seen == ["ok", "stopped"]
    assert group.reason is not None
    assert group.reason.startswith("1 entry undelivered and nothing read for ")
    assert group.reason.endswith("no consumer")
    # It is over when somebody comes.
    await watched.until("ok", lambda: read(redis, 1))
    assert watched.seen == ["ok", "stopped", "ok"]


async def test_somebody_calls_and_reads_nothing_new(server: RedisServer, redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(redis, 1)
    await redis.xreadgroup(GROUP, "c", {KEY: ">"})
    await add(redis, 1)
    watched = Watched(monitor)

    async def read_again() -> None:
        await redis.xreadgroup(GROUP, "c", {KEY: "0"})

    await watched.until("stalled", read_again)
    assert watched.seen == ["ok", "stalled"]


async def test_a_group_that_falls_behind(redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(redis, 50)
    watched = Watched(monitor)

    async def fall_behind() -> None:
        await add(redis, 3)
        await read(redis, 1)

    group = await watched.until("lagging", fall_behind)
    assert watched.seen == ["ok", "lagging"]
    assert group.lag is not None
    assert f"{group.lag} entries undelivered, and not falling" in (group.reason or "")
    await watched.until("ok", lambda: read(redis, 40))


async def test_what_is_trimmed_unread_is_told_at_once(server: RedisServer, redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(redis, 5)
    watched = Watched(monitor)
    await watched.poll()
    await add(redis, 30, maxlen=10)
    group = await watched.poll()
    if server.kind.version < (7, 0, 0):
        # Redis 6.2 does not count what was added: the loss shows nowhere, the danger does, in time.
        assert group.lost_unread is None
        return
    assert (group.lost_unread, group.lag) == (25, 10)
    assert group.status == "losing"
    assert group.reason == "25 entries were removed unread in the last 1 s"
    await read(redis, 10)
    await watched.until("ok")
    assert watched.seen == ["ok", "losing", "ok"]


async def test_a_key_that_is_about_to_expire_with_unread_entries(redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(redis, 5)
    await redis.expire(KEY, 30)
    watched = Watched(monitor)
    group = await watched.until("losing")
    assert group.headroom_seconds is not None
    assert 10 < group.headroom_seconds <= 30
    assert (group.reason or "").endswith("with the key")


async def test_a_key_that_is_kept_alive_is_in_no_danger(redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    watched = Watched(monitor)
    for _ in range(4):
        await add(redis, 3)
        await redis.pexpire(KEY, 30_000)
        await watched.poll()
        await read(redis, 3)
        # More than what could be rounding.
        await asyncio.sleep(PUT_OFF_S + 0.1)
    assert watched.seen == ["ok"]


async def test_a_cap_that_the_lag_runs_into(server: RedisServer, redis: Redis, monitor: Monitor) -> None:
    """Of a stream of others the cap is only seen: the length stays while entries go."""
    if server.kind.version < (7, 0, 0):
        pytest.skip("no rate of writes on Redis 6.2, which does not count what was added")
    await add(redis, 300)
    await redis.xgroup_create(KEY, GROUP, "$")
    watched = Watched(monitor)

    async def write() -> None:
        await add(redis, 2, maxlen=300)

    group = await watched.until("losing", write)
    assert group.lost_unread == 0, "foreseen, not found"
    assert (group.reason or "").endswith(("by the cap on the length", "by the cap on the age"))


async def test_a_group_that_is_set_back(redis: Redis, monitor: Monitor) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(redis, 400)
    await redis.xreadgroup(GROUP, "c", {KEY: ">"}, count=400, noack=True)
    watched = Watched(monitor)
    await watched.poll()
    await redis.xgroup_setid(KEY, GROUP, "0")
    group = await watched.until("rewound", lambda: read(redis, 2))
    assert watched.seen == ["ok", "rewound"]
    assert (group.reason or "").startswith("the group went back ")
    await watched.until("ok", lambda: read(redis, 40))
    assert watched.seen == ["ok", "rewound", "ok"]
