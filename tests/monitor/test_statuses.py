"""Statuses and headroom as polls of a real server come to them, by a clock that goes on with each poll alone.

What is between two polls is then three seconds long, however busy the machine is. Who has called when, and how long a
key has to live, is by the server's own clock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from redis.asyncio import Redis

from rlb.domain.stream_info import GroupInfo, GroupStatus
from rlb.monitor.budget import Budget
from rlb.monitor.build import build_monitor
from rlb.monitor.monitor import Monitor
from rlb.monitor.poller import Poller
from rlb.monitor.reading import Outcome, Reading
from rlb.monitor.state import StreamState
from rlb.redis_io.topology import Standalone
from tests.servers.process import RedisServer
from tests.support.cores import settings_of

KEY = "orders"
GROUP = "readers"
Add = Callable[..., Awaitable[None]]
POLL_MS = 3000
MOST_POLLS = 100
"""Until a status is as it should be: five windows."""


class Clock:
    """The time at Redis as polls find it and as writers have it in their ids."""

    def __init__(self, poller: Poller) -> None:
        self.now_ms = time.time_ns() // 1_000_000
        self._read = poller.read
        self._entries = 0
        poller.read = self.read  # type: ignore[method-assign]

    async def read(self, states: Sequence[StreamState], budget: Budget) -> list[Outcome]:
        """What the server says, at this clock's time."""
        outcomes = await self._read(states, budget)
        for outcome in outcomes:
            if isinstance(outcome, Reading):
                outcome.at_ms = self.now_ms
        return outcomes

    def next_id(self) -> str:
        """An entry's."""
        self._entries += 1
        return f"{self.now_ms}-{self._entries}"


@pytest.fixture
async def monitor(server: RedisServer) -> AsyncIterator[Monitor]:
    """A monitor of that stream, polled by hand."""
    settings = settings_of(server.url, monitor={"scope": "all", "patterns": KEY, "lag_floor": 10})
    monitor = build_monitor(settings, Standalone(settings.redis, 10.0))
    monitor.connect()
    yield monitor
    await monitor.close()


@pytest.fixture
def clock(monitor: Monitor) -> Clock:
    return Clock(monitor._rounds.poller)


@pytest.fixture
def add(redis: Redis, clock: Clock) -> Add:
    """Adds entries, of this moment by the clock."""

    async def add(count: int, maxlen: int | None = None) -> None:
        for _ in range(count):
            await redis.xadd(KEY, {"f": "v"}, clock.next_id(), maxlen=maxlen, approximate=False)

    return add


class Watched:
    """The statuses of the group from now on, and what is done between two polls."""

    def __init__(self, monitor: Monitor, clock: Clock) -> None:
        self.seen: list[GroupStatus] = []
        self._monitor = monitor
        self._clock = clock

    async def poll(self) -> GroupInfo:
        await self._monitor.poll()
        self._clock.now_ms += POLL_MS
        (state,) = self._monitor.states
        (group,) = self._monitor.told(state).groups
        if not self.seen or self.seen[-1] != group.status:
            self.seen.append(group.status)
        return group

    async def until(self, status: GroupStatus, between: Callable[[], Awaitable[object]] | None = None) -> GroupInfo:
        """Poll until the group has that status, and do something between the polls."""
        for _ in range(MOST_POLLS):
            if (group := await self.poll()).status == status:
                return group
            if between is not None:
                await between()
        pytest.fail(f"{self.seen} and never {status}")


@pytest.fixture
def watched(monitor: Monitor, clock: Clock) -> Watched:
    return Watched(monitor, clock)


async def read(redis: Redis, count: int) -> None:
    await redis.xreadgroup(GROUP, "c", {KEY: ">"}, count=count, noack=True)


async def test_nobody_reads(redis: Redis, watched: Watched, add: Add) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    assert (await watched.poll()).status == "ok"
    await add(1)
    group = await watched.until("stopped")
    assert watched.seen == ["ok", "stopped"]
    assert group.reason is not None
    assert group.reason.startswith("1 entry undelivered and nothing read for ")
    assert group.reason.endswith("no consumer")
    # It is over when somebody comes.
    await watched.until("ok", lambda: read(redis, 1))
    assert watched.seen == ["ok", "stopped", "ok"]


async def test_somebody_calls_and_reads_nothing_new(
    server: RedisServer, redis: Redis, watched: Watched, add: Add
) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(1)
    await redis.xreadgroup(GROUP, "c", {KEY: ">"})
    await add(1)

    async def read_again() -> None:
        await redis.xreadgroup(GROUP, "c", {KEY: "0"})

    await watched.until("stalled", read_again)
    assert watched.seen == ["ok", "stalled"]


async def test_a_group_that_falls_behind(redis: Redis, watched: Watched, add: Add) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(50)

    async def fall_behind() -> None:
        await add(3)
        await read(redis, 1)

    group = await watched.until("lagging", fall_behind)
    assert watched.seen == ["ok", "lagging"]
    assert group.lag is not None
    assert f"{group.lag} entries undelivered, and not falling" in (group.reason or "")
    await watched.until("ok", lambda: read(redis, 40))


async def test_what_is_trimmed_unread_is_told_at_once(
    server: RedisServer, redis: Redis, watched: Watched, add: Add
) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(5)
    await watched.poll()
    await add(30, maxlen=10)
    group = await watched.poll()
    if server.kind.version < (7, 0, 0):
        # Redis 6.2 does not count what was added: the loss shows nowhere, the danger does, in time.
        assert group.lost_unread is None
        return
    assert (group.lost_unread, group.lag) == (25, 10)
    assert group.status == "losing"
    assert group.reason == "25 entries were removed unread in the last 60 s"
    await read(redis, 10)
    await watched.until("ok")
    assert watched.seen == ["ok", "losing", "ok"]


async def test_a_key_that_is_about_to_expire_with_unread_entries(
    redis: Redis, watched: Watched, add: Add, clock: Clock
) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(5)
    expires_ms = clock.now_ms + 40_000

    async def let_time_pass() -> None:
        await redis.pexpire(KEY, expires_ms - clock.now_ms)

    await let_time_pass()
    group = await watched.until("losing", let_time_pass)
    assert group.headroom_seconds is not None
    assert 10 < group.headroom_seconds <= 40
    assert (group.reason or "").endswith("with the key")


async def test_a_key_that_is_kept_alive_is_in_no_danger(redis: Redis, watched: Watched, add: Add) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    for _ in range(20):
        await add(3)
        await redis.pexpire(KEY, 30_000)
        await watched.poll()
        await read(redis, 3)
    assert watched.seen == ["ok"]


async def test_a_cap_that_the_lag_runs_into(server: RedisServer, redis: Redis, watched: Watched, add: Add) -> None:
    """Of a stream of others the cap is only seen: the length stays while entries go."""
    if server.kind.version < (7, 0, 0):
        pytest.skip("no rate of writes on Redis 6.2, which does not count what was added")
    await add(300)
    await redis.xgroup_create(KEY, GROUP, "$")

    async def write() -> None:
        await add(10, maxlen=300)

    group = await watched.until("losing", write)
    assert group.lost_unread == 0, "foreseen, not found"
    assert (group.reason or "").endswith(("by the cap on the length", "by the cap on the age"))


async def test_a_group_that_is_set_back(redis: Redis, watched: Watched, add: Add) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    await add(400)
    await read(redis, 400)
    await watched.poll()
    await redis.xgroup_setid(KEY, GROUP, "0")
    group = await watched.until("rewound", lambda: read(redis, 2))
    assert watched.seen == ["ok", "rewound"]
    assert (group.reason or "").startswith("the group went back ")
    await watched.until("ok", lambda: read(redis, 40))
    assert watched.seen == ["ok", "rewound", "ok"]
