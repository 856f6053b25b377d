"""Many subscribers and slow ones: they cost Redis little, and do not hold each other back."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.bridge.tail import End, Tail, TailEvent
from rlb.domain.entry import Entry, Gap
from rlb.domain.entry_id import ZERO
from tests.contract.reading import read_count, reader_connections, reads_are_over
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY, token_of

SHORT_QUEUE = {"block_ms": 100, "feed_idle_ms": 50, "queue_bytes": 4096}


class SlowSubscriber:
    """One that has read the first event, and nothing more until it reads the rest."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._batches = tail.batches()
        self.seen: list[TailEvent] = []

    async def first(self) -> None:
        self.seen += await anext(self._batches)

    async def rest(self) -> None:
        while not isinstance(self.seen[-1], End):
            self.seen += await anext(self._batches)

    @property
    def held_bytes(self) -> int:
        return self._tail._inbox._held_bytes

    async def close(self) -> None:
        await self._batches.aclose()
        self._tail.close()


async def slow_subscriber(core: RunningCore) -> SlowSubscriber:
    """Of a stream with one token."""
    await core.generate(1)
    slow = SlowSubscriber(await core.core.tails.open(core.stream(), "0", is_resumed=False))
    await slow.first()
    return slow


async def test_a_slow_subscriber_catches_up_without_loss(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """One that falls behind more than its queue holds costs no more memory, delays nobody, and misses nothing."""
    core = await start_core(server.url, tail=SHORT_QUEUE).ready()
    slow = await slow_subscriber(core)
    quick = await core.follow("0")
    await core.generate(2500, complete=True)
    await quick.ended()
    assert slow.held_bytes <= 4096
    await slow.rest()
    assert [event.id.seq for event in slow.seen if isinstance(event, Entry)] == list(range(1, 2502))
    assert not any(isinstance(event, Gap) for event in slow.seen)
    await slow.close()


async def test_a_slow_subscriber_that_was_trimmed_past_is_told(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """What Redis no longer holds when it catches up is a gap, with how much."""
    core = await start_core(server.url, tail=SHORT_QUEUE).ready()
    slow = await slow_subscriber(core)
    await core.generate(500, complete=True)
    await redis.xtrim(KEY, maxlen=10, approximate=False)
    await slow.rest()
    gaps = [event for event in slow.seen if isinstance(event, Gap)]
    assert sum(gap.missing or 0 for gap in gaps) + sum(isinstance(event, Entry) for event in slow.seen) == 501
    assert gaps
    await slow.close()


@pytest.mark.parametrize("writes_here", [True, False], ids=["written here", "written elsewhere"])
async def test_many_subscribers_cost_redis_one(
    writes_here: bool, start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """200 subscribers of one stream make Redis execute as many reads as one does, on one connection."""
    core = await start_core(server.url, tail={"block_ms": 100, "feed_idle_ms": 50}).ready()
    writer = core if writes_here else await start_core(server.url).ready()
    await writer.generate(1)

    async def reads_with(count: int) -> float:
        """Reads for 40 tokens, one by one, without those that may have waited for as long as they do, in vain."""
        followers = [await core.follow("0") for _ in range(count)]
        connection = writer.connection()
        since_s = time.monotonic()
        await redis.config_resetstat()
        last = ZERO
        for number in range(40):
            connection.send(str(number))
            last = (await connection.answers())[-1].entry_id or ZERO
            async with asyncio.timeout(PATIENCE_S):
                while followers[0].tail.position < last:
                    await asyncio.sleep(0)
        for follower in followers:
            await follower.until(lambda follower: follower.sequences[-1:] == [last.seq])
            assert follower.sequences == list(range(1, last.seq + 1))
        assert await reader_connections(redis) == core.core.reader.connections == 1
        reads = await read_count(redis)
        idle_reads = (time.monotonic() - since_s) / 0.05
        for follower in followers:
            await follower.close()
        return reads - idle_reads

    for_one, for_many = await reads_with(1), await reads_with(200)
    # Fed by the append path, or one read for each token.
    expected = 0 if writes_here else 40
    assert for_one <= expected + 20
    assert for_many <= expected + 20
    assert core.core.reader.channels == 0


async def test_streams_share_connections(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Each blocking connection watches up to the configured number of streams."""
    core = await start_core(server.url, tail={"block_ms": 100, "feed_idle_ms": 50, "streams_per_connection": 4}).ready()
    sessions = [f"s-{number}" for number in range(10)]
    for session in sessions:
        await core.write("a", session=session)
    followers = [await core.follow("0", session=session) for session in sessions]
    await eventually(lambda: _is(reader_connections(redis), 3))
    for session in sessions:
        await redis.xadd(
            core.stream(session).key, {"data": json.dumps({"token": "b", "metadata": {"isComplete": True}})}
        )
    for follower in followers:
        await follower.ended()
        assert [token_of(entry) for entry in follower.entries] == ["a", "b"]


async def _is(found: Any, expected: object) -> bool:
    return bool(await found == expected)


async def test_reading_stops_with_the_last_subscriber(core: RunningCore, redis: Redis) -> None:
    """Nobody follows, nothing is read."""
    await core.generate(1)
    followers = [await core.follow("0") for _ in range(3)]
    for follower in followers:
        await follower.close()
    assert core.core.reader.channels == 0
    await reads_are_over(redis)
    await redis.config_resetstat()
    await asyncio.sleep(0.25)
    assert await read_count(redis) == 0
