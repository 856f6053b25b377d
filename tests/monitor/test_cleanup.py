"""Clean-up: what has gone goes, and nothing that anybody still has to do with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from rlb.monitor.build import build_monitor
from rlb.monitor.cleanup import MOST_A_TURN, Cleanup
from rlb.monitor.monitor import Monitor
from rlb.redis_io.scripts import REMOVE_CONSUMER
from rlb.redis_io.topology import Standalone
from tests.servers.process import RedisServer
from tests.support.aged import age
from tests.support.assertions import eventually
from tests.support.cores import settings_of

KEY = "llm:stream:s:m"
GROUP = "readers"
HOUR_S = 3600.0
AFTER_S = 60.0
"""What was here in this test has not gone for so long; what was aged by an hour has."""


class Cleaning:
    """A monitor and its clean-up, both moved by hand."""

    def __init__(self, url: str, after_s: float) -> None:
        settings = settings_of(url, monitor={"scope": "all"})
        self.topology = Standalone(settings.redis, 10.0)
        self.monitor: Monitor = build_monitor(settings, self.topology)
        self.removed: list[str] = []
        self.cleanup = Cleanup(self.topology, self.monitor, after_s, self.removed.append)
        self.topology.start()
        self.monitor.connect()

    async def turn(self) -> int:
        """Poll, and clean up after it."""
        await self.monitor.poll()
        return await self.cleanup.sweep()

    async def close(self) -> None:
        await self.cleanup.close()
        await self.monitor.close()
        await self.topology.close()


class MakeCleaning(Protocol):
    def __call__(self, url: str, after_s: float = AFTER_S) -> Cleaning: ...


@pytest.fixture
async def make_cleaning() -> AsyncIterator[MakeCleaning]:
    """A factory of clean-ups, closed with the test."""
    async with AsyncExitStack() as at_exit:

        def make(url: str, after_s: float = AFTER_S) -> Cleaning:
            cleaning = Cleaning(url, after_s)
            at_exit.push_async_callback(cleaning.close)
            return cleaning

        yield make


async def group_of(redis: Redis, *consumers: str, entries: int = 1) -> None:
    """A stream whose group has these consumers, each of which read and acknowledged something an hour ago."""
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    for consumer in consumers:
        entry_id = await redis.xadd(KEY, {"f": "v"})
        await redis.xreadgroup(GROUP, consumer, {KEY: ">"})
        await redis.xack(KEY, GROUP, entry_id)
    await age(redis, KEY, HOUR_S)
    for _ in range(entries):
        await redis.xadd(KEY, {"f": "v"})


async def consumers(redis: Redis) -> set[str]:
    return {each["name"].decode() for each in await redis.xinfo_consumers(KEY, GROUP)}


async def test_what_has_gone_and_left_nothing_is_removed(
    server: RedisServer, redis: Redis, make_cleaning: MakeCleaning, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rlb.monitor")
    await group_of(redis, "gone", "gone-too")
    cleaning = make_cleaning(server.url)
    assert await cleaning.turn() == 2
    assert await consumers(redis) == set()
    assert cleaning.removed == [GROUP, GROUP]
    told = [record for record in caplog.records if record.message == "consumer.removed"]
    assert [record.__dict__["consumer"] for record in told] == ["gone", "gone-too"]
    assert await cleaning.turn() == 0


async def test_the_stream_can_be_told_of_between_a_removal_and_the_next_poll(
    valkey: RedisServer, redis: Redis, make_cleaning: MakeCleaning
) -> None:
    await group_of(redis, "gone", entries=0)
    await redis.xreadgroup(GROUP, "owes", {KEY: ">"})
    await redis.xadd(KEY, {"f": "v"})
    await redis.xreadgroup(GROUP, "owes", {KEY: ">"})
    await age(redis, KEY, HOUR_S)
    cleaning = make_cleaning(valkey.url)
    assert await cleaning.turn() == 1
    (state,) = cleaning.monitor.states
    (group,) = cleaning.monitor.told(state).groups
    assert [each.consumer for each in group.consumers] == ["owes"]


async def test_what_has_something_pending_stays(server: RedisServer, redis: Redis, make_cleaning: MakeCleaning) -> None:
    await group_of(redis, "gone")
    await redis.xreadgroup(GROUP, "owes", {KEY: ">"})
    await age(redis, KEY, HOUR_S)
    cleaning = make_cleaning(server.url)
    assert await cleaning.turn() == 1
    assert await consumers(redis) == {"owes"}


async def test_what_was_here_lately_stays(server: RedisServer, redis: Redis, make_cleaning: MakeCleaning) -> None:
    await group_of(redis, "lately")
    cleaning = make_cleaning(server.url, after_s=2 * HOUR_S)
    assert await cleaning.turn() == 0
    assert await consumers(redis) == {"lately"}


async def test_what_only_tries_stays_where_the_server_tells(
    server: RedisServer, redis: Redis, make_cleaning: MakeCleaning
) -> None:
    await group_of(redis, "tries", entries=0)
    cleaning = make_cleaning(server.url)
    await redis.xreadgroup(GROUP, "tries", {KEY: ">"})
    # Below 7.2 an attempt without success leaves no trace.
    assert await cleaning.turn() == (1 if server.kind.version < (7, 2, 0) else 0)


async def test_what_has_called_since_the_poll_stays(
    server: RedisServer, redis: Redis, make_cleaning: MakeCleaning
) -> None:
    await group_of(redis, "back", "gone")
    cleaning = make_cleaning(server.url)
    await cleaning.monitor.poll()
    entry = await redis.xreadgroup(GROUP, "back", {KEY: ">"})
    await redis.xack(KEY, GROUP, entry[0][1][0][0])
    assert await cleaning.cleanup.sweep() == 1
    assert await consumers(redis) == {"back"}


async def test_one_that_blocks_while_it_is_removed_gets_its_entry_all_the_same(
    server: RedisServer, redis: Redis, make_cleaning: MakeCleaning
) -> None:
    await group_of(redis, "blocks", entries=0)
    cleaning = make_cleaning(server.url, after_s=0.0)
    async with server.client() as other:
        reading = asyncio.create_task(other.xreadgroup(GROUP, "blocks", {KEY: ">"}, block=10_000))
        await eventually(lambda: any_blocked(redis))
        # Its call has just come, so it has to have gone at once.
        assert await cleaning.turn() == 1
        entry_id = await redis.xadd(KEY, {"f": "v"})
        assert (await reading)[0][1][0][0] == entry_id
    assert [(each["message_id"], each["consumer"]) for each in await pending(redis)] == [(entry_id, b"blocks")]


async def any_blocked(redis: Redis) -> bool:
    return bool((await redis.info("clients"))["blocked_clients"])


async def pending(redis: Redis) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await redis.xpending_range(KEY, GROUP, "-", "+", 100)
    return found


async def test_of_many_some_wait_for_the_next_turn(
    valkey: RedisServer, redis: Redis, make_cleaning: MakeCleaning
) -> None:
    await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
    for number in range(MOST_A_TURN + 7):
        await redis.xgroup_createconsumer(KEY, GROUP, f"c-{number}")
    await age(redis, KEY, HOUR_S)
    cleaning = make_cleaning(valkey.url)
    assert await cleaning.turn() == MOST_A_TURN
    # What was not looked at is still known; no poll is needed for it.
    assert await cleaning.cleanup.sweep() == 7
    assert await consumers(redis) == set()


async def test_a_stream_or_group_that_is_gone_by_then_is_no_fault(
    server: RedisServer, redis: Redis, make_cleaning: MakeCleaning, caplog: pytest.LogCaptureFixture
) -> None:
    await group_of(redis, "gone")
    cleaning = make_cleaning(server.url)
    await cleaning.monitor.poll()
    await redis.xgroup_destroy(KEY, GROUP)
    assert await cleaning.cleanup.sweep() == 0
    await group_of(redis, "gone")
    await cleaning.monitor.poll()
    await redis.delete(KEY)
    assert await cleaning.cleanup.sweep() == 0
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


async def test_it_follows_the_polls_by_itself(valkey: RedisServer, redis: Redis, make_cleaning: MakeCleaning) -> None:
    await group_of(redis, "gone")
    cleaning = make_cleaning(valkey.url)
    cleaning.cleanup.start()
    cleaning.monitor.resume()
    await eventually(lambda: cleaning.removed == [GROUP])
    assert await consumers(redis) == set()


async def turned(turns: int) -> None:
    """Let the loop turn so often: timers of uvloop are too coarse for a race."""
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(4))
async def test_no_entry_is_lost_to_a_consumer_that_comes_back_at_the_wrong_moment(
    server: RedisServer, redis: Redis, seed: int
) -> None:
    """A thousand races, in four parts: one client reads as a consumer while another removes it for having gone."""
    rng = random.Random(seed)
    outcomes: set[tuple[int, int]] = set()
    async with server.client() as reader, server.client() as remover:
        await redis.xgroup_create(KEY, GROUP, "0", mkstream=True)
        for number in range(250):
            consumer = f"c-{number}"
            await redis.xgroup_createconsumer(KEY, GROUP, consumer)
            entry_id = await redis.xadd(KEY, {"f": "v"})

            async def read(consumer: str = consumer, turns: int = rng.randrange(30)) -> None:
                await turned(turns)
                await reader.xreadgroup(GROUP, consumer, {KEY: ">"}, count=1)

            async def remove(consumer: str = consumer, turns: int = rng.randrange(30)) -> int:
                await turned(turns)
                removed: int = await remover.eval(REMOVE_CONSUMER.text, 1, KEY, GROUP, consumer, 0)
                return removed

            _, removed = await asyncio.gather(read(), remove())
            held = await pending(redis)
            assert [(each["message_id"], each["consumer"]) for each in held] == [(entry_id, consumer.encode())]
            outcomes.add((removed, len(held)))
            await redis.xack(KEY, GROUP, entry_id)
    # Both orders have happened, else it was no race.
    assert outcomes == {(-1, 1), (1, 1)}
