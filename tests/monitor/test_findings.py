"""What the monitor makes of streams on real servers: lag, losses, rates, ages, memory, bounds."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from tests.monitor.watching import KEY, Watching, add
from tests.servers.process import RedisServer
from tests.support.cores import RunningCore, StartCore, settings_of


async def test_what_went_with_its_stream_is_counted(server: RedisServer, redis: Redis) -> None:
    await add(redis, KEY, 5)
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c", {KEY: ">"}, count=2)
    async with Watching(server.url) as watching:
        await watching.poll()
        await redis.pexpire(KEY, 1)
        await asyncio.sleep(0.05)
        assert await watching.poll() == {}
        assert watching.monitor.totals.groups["m-1", "g"].gone == 3


async def test_a_group_is_told_with_all_that_is_known(server: RedisServer, redis: Redis) -> None:
    await add(redis, KEY, 10)
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c-1", {KEY: ">"}, count=4)
    await redis.xack(KEY, "g", (await redis.xrange(KEY))[0][0])
    await asyncio.sleep(0.05)
    async with Watching(server.url) as watching:
        group = await watching.group()
    assert (group.lag, group.pending, group.status, group.reason) == (6, 3, "ok", None)
    assert group.lag_quality in ("exact", "server")
    for age in (group.lag_seconds, group.oldest_pending_seconds, group.longest_idle_seconds):
        assert age is not None
        assert 0.04 < age < 10
    (consumer,) = group.consumers
    assert (consumer.consumer, consumer.pending, consumer.state) == ("c-1", 3, "active")
    assert group.poison == 0


async def test_rates_are_those_of_the_time_between_polls(server: RedisServer, redis: Redis) -> None:
    """In and out; what was there before the first poll is not counted."""
    await add(redis, KEY, 50)
    await redis.xgroup_create(KEY, "g", "0")
    async with Watching(server.url) as watching:
        await watching.poll()
        await add(redis, KEY, 30)
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=20)
        await asyncio.sleep(0.3)
        stream = (await watching.poll())[KEY]
        (group,) = stream.groups
        totals = watching.monitor.totals
        if stream.entries_added is None:  # Redis 6.2 counts nothing
            assert (stream.write_rate, group.read_rate, group.lost_unread) == (None, None, None)
            return
        assert totals.models["m-1"].entries_added == 30
        assert totals.groups["m-1", "g"].entries_read == 20
        assert stream.write_rate is not None
        assert group.read_rate is not None
        assert 0 < stream.write_rate <= 100
        assert group.read_rate == pytest.approx(stream.write_rate * 20 / 30)


async def test_a_stream_that_is_written_while_it_is_watched_counts_from_its_first_entry(
    valkey: RedisServer, redis: Redis
) -> None:
    """However short it is: it may be written, read and complete between two polls."""
    async with Watching(valkey.url) as watching:
        await watching.poll()
        await asyncio.sleep(0.01)
        await redis.xgroup_create(KEY, "g", "0", mkstream=True)
        await add(redis, KEY, 7)
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=5)
        await redis.zadd("llm:streams", {KEY: 2e15})
        await watching.poll()
        assert watching.monitor.totals.models["m-1"].entries_added == 7
        assert watching.monitor.totals.groups["m-1", "g"].entries_read == 5
        await redis.delete(KEY)
        await add(redis, KEY, 2)
        await watching.poll()
        assert watching.monitor.totals.models["m-1"].entries_added == 9


async def test_what_is_trimmed_unread_is_lost(server: RedisServer, redis: Redis) -> None:
    """At once `losing`, in the totals, and on no other group's account."""
    await add(redis, KEY, 10)
    await redis.xgroup_create(KEY, "g", "0")
    async with Watching(server.url) as watching:
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=3)
        before = await watching.group()
        await redis.xtrim(KEY, maxlen=2, approximate=False)
        group = await watching.group()
        assert group.lag == 2
        if before.lost_unread is None:
            assert group.lost_unread is None
            return
        assert (before.lost_unread, group.lost_unread) == (0, 5)
        assert group.status == "losing"
        assert group.reason == "5 entries were removed unread in the last 60 s"
        assert watching.monitor.totals.groups["m-1", "g"].lost == 5
        assert watching.monitor.census.lost == 5
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=10)
        again = await watching.group()
        assert (again.lag, again.lost_unread) == (0, 5)


async def test_what_goes_with_its_stream_is_trimmed(valkey: RedisServer, redis: Redis) -> None:
    """The entries of a stream that expires or is deleted are gone like any that were trimmed."""
    await add(redis, KEY, 10)
    async with Watching(valkey.url) as watching:
        await watching.poll()
        await redis.delete(KEY)
        await watching.poll()
        assert watching.monitor.totals.models["m-1"].trimmed == 10


async def test_ids_that_are_no_times_have_no_age(valkey: RedisServer, redis: Redis) -> None:
    """Of a stream whose writer chooses ids such as 1-0, the lag is known, and how old it is is not."""
    for number in range(1, 4):
        await redis.xadd(KEY, {"data": "{}"}, f"{number}-0")
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c", {KEY: ">"}, count=1)
    async with Watching(valkey.url) as watching:
        group = await watching.group()
        assert (group.lag, group.lag_seconds, group.oldest_pending_seconds) == (2, None, None)
        census = watching.monitor.census
        counted = census.groups["m-1", "g"]
        assert (counted.lag, counted.lag_age_s, counted.pending_age_s) == (2, None, None)
        assert census.models["m-1"].retention_age_s is None


async def test_bounds_that_are_no_numbers_are_passed_over(valkey: RedisServer, redis: Redis) -> None:
    """Somebody else's fingers in one stream's settings end the polls of no other."""
    await add(redis, KEY)
    await redis.hset("llm:stream-config:{" + KEY + "}", mapping={"maxLength": "many", "retentionMs": "5000"})  # type: ignore[misc]
    async with Watching(valkey.url) as watching:
        info = (await watching.poll())[KEY]
        assert info.retention_ms == 5000
        assert info.max_length == settings_of(valkey.url).stream.max_length


async def test_entries_that_were_delivered_too_often_are_poison(valkey: RedisServer, redis: Redis) -> None:
    await add(redis, KEY, 3)
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c", {KEY: ">"})
    ((first, *_),) = [[row["message_id"] for row in await redis.xpending_range(KEY, "g", "-", "+", 10)]]
    for _ in range(4):
        await redis.xclaim(KEY, "g", "c", 0, [first])
    async with Watching(valkey.url) as watching:
        assert (await watching.group()).poison == 1


async def test_bounds_of_the_stream_itself_come_first(valkey: RedisServer, start_core: StartCore) -> None:
    core = await start_core(valkey.url, monitor={"scope": "own"}).ready()
    await core.write("a")
    await core.write("b", session="s-2")
    await core.topology.main.call(b"HSET", core.core.keys.config(core.stream().key), b"maxLength", 5)
    await core.monitor.poll()
    infos = {info.session_id: info for info in map(core.monitor.told, core.monitor.worst(10))}
    assert infos[core.stream().session_id].max_length == 5
    assert infos["s-2"].max_length == 10_000
    assert infos["s-2"].retention_ms == 3_600_000


async def test_the_memory_of_streams_is_measured_in_turn(valkey: RedisServer, redis: Redis) -> None:
    for number in range(30):
        await add(redis, f"llm:stream:s-{number}:m-1")
    async with Watching(valkey.url) as watching:
        known = [sum(info.bytes is not None for info in (await watching.poll()).values()) for _ in range(2)]
        assert known[0] == 20
        assert known[1] == 30
        memory = watching.monitor.census.models["m-1"].memory_bytes
        assert memory is not None
        assert memory > 30 * 100


async def test_memory_grows_with_its_stream_until_it_is_measured_again(valkey: RedisServer, redis: Redis) -> None:
    """With more streams than are measured at a time, what was measured of one is of when it was shorter."""
    keys = [f"llm:stream:s-{number:02}:m-1" for number in range(41)]
    for key in keys:
        await add(redis, key, 10)
    async with Watching(valkey.url) as watching:
        measured = {key: info.bytes for key, info in (await watching.poll()).items() if info.bytes is not None}
        key, first = next(iter(measured.items()))
        await add(redis, key, 990)
        assert (await watching.poll())[key].bytes == round(first * 1000 / 10)


async def test_the_worst_lags_are_named_if_asked_to(valkey: RedisServer, redis: Redis) -> None:
    for number in range(1, 6):
        key = f"llm:stream:s-{number}:m-1"
        await add(redis, key, number)
        await redis.xgroup_create(key, "g", "0")
    async with Watching(valkey.url, top_streams=2, top_names="key") as watching:
        await watching.poll()
        top = watching.monitor.census.top_streams
        assert [(each.stream, each.lag) for each in top] == [("llm:stream:s-5:m-1", 5), ("llm:stream:s-4:m-1", 4)]


async def test_a_look_at_one_stream_is_of_this_moment(core: RunningCore) -> None:
    """Also of one that is not watched; of none, there is nothing to tell."""
    assert await core.monitor.look_at("llm:stream:none:m") is None
    await core.write("a")
    info = await core.monitor.look_at(core.stream().key)
    assert info is not None
    assert (info.length, info.write_rate) == (1, None)
    await core.write("b")
    assert [info.length for info in await core.monitor.look([core.stream().key, "llm:stream:none:m"])] == [2]
    assert core.monitor.totals.models == {}
