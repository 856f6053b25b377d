"""How long a stream gets and how long it lives, the same on every server."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

from rlb.domain.message import StreamConfig
from tests.servers.process import RedisServer
from tests.support.cores import StartCore
from tests.support.stored import assert_gap_free, redis_ms, stored
from tests.support.tokens import KEY

CONFIG_KEY = f"llm:stream-config:{{{KEY}}}"
HOUR_MS = 3_600_000


async def test_a_stream_that_comes_back_while_it_is_written_still_expires(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """A key that was deleted under its writer gets its time to live back with the next renewal."""
    core = await start_core(server.url, stream={"renew_ms": 50}).ready()
    connection = core.connection()
    connection.send("a")
    await connection.answers()
    await redis.delete(KEY)
    await asyncio.sleep(0.1)
    connection.send("b")
    await connection.answers()
    assert 0 < await redis.pttl(KEY) <= HOUR_MS


async def test_the_length_is_bounded(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """MAXLEN is kept approximately: whole nodes of the oldest entries go, the newest stay, the sequence goes on."""
    core = await start_core(server.url, stream={"max_length": 200}).ready()
    await core.generate(1000)
    entries = await stored(redis)
    assert 200 <= len(entries) < 400
    assert_gap_free(entries, first=1001 - len(entries))


async def test_no_bound_keeps_everything(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """0 means without limit, for the length and for the time to live."""
    core = await start_core(server.url, stream={"max_length": 0, "retention_ms": 0}).ready()
    await core.generate(1000)
    assert await redis.xlen(KEY) == 1000
    assert await redis.pttl(KEY) == -1


async def test_retention_bounds_key_and_entries(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Each claim renews the key's time to live, and trims entries that are older than the retention."""
    core = await start_core(server.url, stream={"retention_ms": 60_000, "renew_ms": 50}).ready()
    old_ms = await redis_ms(redis) - 61_000
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(1, 301):
            _ = pipeline.xadd(KEY, {"data": "{}"}, id=f"{old_ms}-{number}")
        await pipeline.execute()
    await redis.pexpire(KEY, 30_000)
    await core.write("a")
    assert 40_000 < await redis.pttl(KEY) <= 60_000
    rows: Any = await redis.xrange(KEY)
    assert len(rows) < 300  # whole nodes, as with the length
    assert rows[-1][0].endswith(b"-301")
    await redis.pexpire(KEY, 30_000)
    await asyncio.sleep(0.06)
    await core.write("b")
    assert 40_000 < await redis.pttl(KEY) <= 60_000


async def test_a_stream_may_have_its_own_bounds(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Bounds given at creation win over the sidecar's, for every sidecar, and live as long as the stream."""
    core = await start_core(server.url, stream={"renew_ms": 50}).ready()
    assert await core.core.streams.create(core.stream(), StreamConfig(max_length=100, retention_ms=60_000))
    await core.generate(1000)
    assert 100 <= await redis.xlen(KEY) < 300
    for key in (KEY, CONFIG_KEY):
        assert 30_000 < await redis.pttl(key) <= 60_000
    # Changed while it is written, they are taken up with the next renewal.
    assert not await core.core.streams.create(core.stream(), StreamConfig(max_length=500, retention_ms=600_000))
    await asyncio.sleep(0.06)
    await core.generate(1000)
    assert 500 <= await redis.xlen(KEY) < 700
    assert 500_000 < await redis.pttl(KEY) <= 600_000
