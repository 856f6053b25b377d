"""What is bounded stays bounded, and what one stream holds does not harm the others."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery
from rlb.errors import OverloadedError, WrongTypeError
from tests.conftest import MakeFaultProxy
from tests.contract.delivered import leave_alone
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY, draft


@pytest.fixture
async def core(valkey: RedisServer, start_core: StartCore) -> RunningCore:
    """One core on Valkey: the bounds are rlb's own, whatever the server."""
    return await start_core(valkey.url, tail={"block_ms": 100, "feed_idle_ms": 50}).ready()


async def test_a_full_table_of_writers_refuses_and_the_loop_turns(core: RunningCore) -> None:
    """One stream too many waits for room, is refused after the deadline, and is taken once another has gone."""
    appender = core.core.appender
    appender.bounds = dataclasses.replace(appender.bounds, max_writers=3)
    connection = core.connection()
    for session in ("a", "b", "c"):
        connection.send("x", session=session)
    await connection.answers()
    turns = asyncio.create_task(asyncio.sleep(0.1))
    core.give_up_after(0.3)
    with pytest.raises(OverloadedError, match="3 streams"):
        await appender.append("d", "m", draft("x", session="d"))
    assert turns.done()
    core.give_up_after(PATIENCE_S)
    connection.send("end", session="a", complete="stop")
    await connection.answers()
    await asyncio.sleep(1.1)
    assert (await appender.append("d", "m", draft("x", session="d"))).entry_id is not None


async def test_a_repeated_message_id_is_counted_while_it_waits(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """The same message sent again and again, with Redis away, fills the buffer like any other."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, append={"stream_buffer_bytes": 1_200_000, "deadline_ms": 30_000}).ready()
    proxy.freeze()
    connection = core.connection()
    while core.core.appender.buffered_bytes < 1_200_000:
        connection.send("x" * 10_000, message_id="again")
    with pytest.raises(OverloadedError):
        connection.send("x" * 10_000, message_id="again")
    proxy.thaw()
    first, *repeats = await connection.answers()
    assert not first.duplicate
    assert {(ticket.duplicate, ticket.entry_id) for ticket in repeats} == {(True, first.entry_id)}
    assert core.core.appender.buffered_bytes == 0


async def test_ids_from_the_future_hide_no_other_stream(core: RunningCore, redis: Redis) -> None:
    """A stream whose ids are ahead of the time neither hides new streams nor pushes old ones out of the index."""
    await redis.xadd("llm:stream:future:m", {"data": '{"token":"far"}'}, id="9999999999999-1")
    await core.write("old", session="old", model="m")
    await core.write("x", session="future", model="m")
    receiver = core.subscribe("g", "c", model="m")
    await receiver.until(lambda each: len(each.deliveries) == 3)
    await core.write("new", session="new", model="m")
    await receiver.until(lambda each: "new" in each.tokens)
    assert await redis.zscore("llm:streams", "llm:stream:old:m") is not None


async def test_a_dead_consumers_backlog_is_claimed_at_once(
    valkey: RedisServer, redis: Redis, start_core: StartCore
) -> None:
    """A thousand entries that a consumer has left behind are claimed in one go, not a page an interval."""
    core = await start_core(valkey.url, groups={"claim_idle_ms": 60_000}, tail={"block_ms": 100}).ready()
    await core.generate(1000)
    await core.core.groups.create(core.stream(), "g")
    left: list[Delivery] = []
    while len(left) < 1000:
        left += await core.read("g", "dead", count=500)
    await leave_alone(redis, "dead", left, 60_000)
    receiver = core.subscribe("g", "alive")
    # An interval is half a minute.
    await receiver.until(lambda each: len(each.deliveries) == 1000)


async def test_pages_follow_the_size_of_the_entries(valkey: RedisServer, start_core: StartCore) -> None:
    """Large entries are fetched few at a time, small ones many."""
    core = await start_core(valkey.url, tail={"block_ms": 100, "feed_idle_ms": 50}).ready()
    for number in range(40):
        await core.write("x" * 100_000, session="large", model=str(number % 1))
    follower = await core.follow(session="large", model="0")
    await follower.until(lambda each: len(each.entries) == 40)
    assert follower.tail.page_count <= 2
    await core.generate(600)
    follower = await core.follow()
    await follower.until(lambda each: len(each.entries) == 600)
    assert follower.tail.page_count == 500


async def test_only_streams_are_deleted(core: RunningCore, redis: Redis) -> None:
    """A key of another type stays, and the answer says what it is not."""
    await redis.set(KEY, "precious")
    with pytest.raises(WrongTypeError):
        await core.core.streams.delete(core.stream())
    assert await redis.get(KEY) == b"precious"


async def test_nothing_stays_for_ever_that_nobody_writes_to(core: RunningCore, redis: Redis) -> None:
    """Streams that are made and never written to, or deleted in mid-generation and made anew, expire."""
    await core.core.groups.create(core.stream("made"), "g")
    assert await redis.pttl(core.stream("made").key) > 0
    connection = core.connection()
    connection.send("a")
    await connection.answers()
    await redis.delete(KEY)
    connection.send("b", complete="stop")
    await connection.answers()
    await eventually(lambda: redis.exists(KEY))
    assert await redis.pttl(KEY) > 0
