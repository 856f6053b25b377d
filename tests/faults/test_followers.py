"""Readers whose connections break: tails without a hole or a repeat, subscriptions that deliver everything."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery
from rlb.bridge.tail import End, Gone
from rlb.domain.entry import Gap
from rlb.errors import ApiError
from tests.conftest import MakeFaultProxy, OwnServer
from tests.servers.process import RedisServer
from tests.servers.proxy import FaultProxy
from tests.support.assertions import assert_same, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import stored, tokens
from tests.support.tokens import KEY, token_of

QUICK = {"block_ms": 100, "feed_idle_ms": 20}
SOON = {"backoff_max_s": 0.05}
TOKENS = 4000
CUTS = 30


async def cut_now_and_then(proxy: FaultProxy, is_over: asyncio.Event, chance: random.Random) -> None:
    """Cut some connections, some of them between a request and its reply."""
    while not is_over.is_set() and proxy.cut_count < CUTS:
        await asyncio.sleep(chance.uniform(0.01, 0.06))
        if chance.random() < 0.5:
            proxy.reset_peer()
        else:
            proxy.timeout_replies(carrying=chance.choice((b"XREAD", b"XRANGE", b"XADD", b"XINFO", b"")))


@pytest.mark.parametrize("writes_here", [True, False], ids=["written here", "written elsewhere"])
async def test_tails_through_cut_connections(
    writes_here: bool, valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Whatever breaks on the way, a tail passes on every entry once, in order; or it ends, and goes on where it was."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, tail=QUICK, append={"deadline_ms": 20_000}, redis=SOON).ready()
    writer = core if writes_here else await start_core(valkey.url).ready()
    await writer.write("first")
    is_over = asyncio.Event()
    cutting = asyncio.create_task(cut_now_and_then(proxy, is_over, random.Random(5)))
    following = asyncio.create_task(follow_to_the_end(core))
    connection = writer.connection(fences=False)
    for number in range(TOKENS):
        connection.send(str(number), complete="stop" if number == TOKENS - 1 else None)
        if number % 20 == 0:
            await asyncio.sleep(0.005)
    await connection.answers(30)
    async with asyncio.timeout(20):
        seen, resumed = await following
    is_over.set()
    await cutting
    assert_same(seen, tokens(await stored(redis)))
    assert_same(seen, ["first", *map(str, range(TOKENS))])
    assert proxy.cut_count >= 10
    print(f"{len(seen)} entries through {proxy.cut_count} cuts, resumed {resumed} times: 0 missing, 0 twice")  # noqa: T201


async def follow_to_the_end(core: RunningCore) -> tuple[list[str], int]:
    """The tokens of a tail; one that an error ends is resumed behind its position, as a client does."""
    seen: list[str] = []
    position, resumed = "0", 0
    while True:
        try:
            follower = await core.follow(position)
        except ApiError:
            await asyncio.sleep(0.01)
            continue
        await eventually(lambda follower=follower: follower.has_ended, 30)  # type: ignore[misc]
        seen += [token_of(entry) for entry in follower.entries]
        assert not any(isinstance(event, Gap | Gone) for event in follower.events)
        if follower.failure is None and isinstance(follower.events[-1], End):
            return seen, resumed
        assert isinstance(follower.failure, ApiError), follower.failure
        position = str(follower.tail.position) if seen else "0"
        resumed += 1
        await follower.close()


async def test_a_subscription_through_cut_connections(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Every entry of every stream is delivered and acknowledged, although nothing stays connected for long."""
    proxy = await fault_proxy(valkey)
    # So long that nothing comes back by being claimed.
    core = await start_core(proxy.url, tail=QUICK, groups={"claim_idle_ms": 3_600_000}, redis=SOON).ready()
    writer = await start_core(valkey.url).ready()
    is_over = asyncio.Event()
    receiver = core.subscribe("g", "c", acks=False)
    cutting = asyncio.create_task(cut_now_and_then(proxy, is_over, random.Random(9)))
    acknowledging = asyncio.create_task(acknowledge_all(core, receiver.deliveries, is_over))
    connection = writer.connection()
    sessions = [f"s-{number}" for number in range(5)]
    for number in range(200):
        for session in sessions:
            connection.send(f"{session}:{number}", session=session)
        await asyncio.sleep(0.005)
    await connection.answers()
    expected = {f"{session}:{number}" for session in sessions for number in range(200)}
    await receiver.until(lambda receiver: expected <= set(receiver.tokens), 30)
    is_over.set()
    await asyncio.gather(cutting, acknowledging)
    for session in sessions:
        key = core.stream(session).key
        assert (await redis.xpending(key, "g"))["pending"] == 0
        mine = [token for token in dict.fromkeys(receiver.tokens) if token.startswith(f"{session}:")]
        assert_same(mine, [f"{session}:{number}" for number in range(200)])
    repeated = len(receiver.tokens) - len(expected)
    print(f"{len(expected)} deliveries through {proxy.cut_count} cuts: 0 stranded, {repeated} repeated")  # noqa: T201


async def acknowledge_all(core: RunningCore, deliveries: list[Delivery], is_over: asyncio.Event) -> None:
    """Acknowledge what comes in, again and again until Redis has said so."""
    done = 0
    while done < len(deliveries) or not is_over.is_set():
        for delivery in deliveries[done:]:
            try:
                await core.acknowledge("g", [delivery])
            except ApiError:
                break
            done += 1
        await asyncio.sleep(0.005)


async def test_a_replay_whose_second_half_is_lost(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """A consumer that comes back gets its pending entries although the reply that counts them is lost."""
    writer = await start_core(valkey.url).ready()
    await writer.generate(20)
    await writer.core.groups.create(writer.stream(), "g")
    assert len(await writer.read("g", "c", count=15)) == 15
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, groups={"claim_idle_ms": 3_600_000}).ready()
    struck = proxy.timeout_replies(carrying=b"XPENDING")
    found: list[str] = []
    for _ in range(20):
        try:
            found += [token_of(delivery.entry) for delivery in await core.read("g", "c", count=10)]
        except ApiError:
            assert not found
    assert struck.is_set()
    assert_same(found, [str(number) for number in range(20)])


async def test_a_claim_whose_reply_is_lost(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Entries of a dead consumer that were claimed unseen come after the next idle time at the latest."""
    writer = await start_core(valkey.url).ready()
    await writer.generate(5)
    await writer.core.groups.create(writer.stream(), "g")
    assert len(await writer.read("g", "dead")) == 5
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, groups={"claim_idle_ms": 200, "max_deliveries": 10}).ready()
    await asyncio.sleep(0.25)
    struck = proxy.timeout_replies(carrying=b"XCLAIM")
    found: set[str] = set()

    async def all_found() -> bool:
        with suppress(ApiError):
            found.update(token_of(delivery.entry) for delivery in await core.read("g", "c", block_s=0.1))
        return len(found) == 5

    await eventually(all_found)
    assert struck.is_set()


async def test_looking_for_the_key_that_is_no_stream_fails_too(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """A read is refused for one key's type, and the look at the types is cut off: the other tails live on."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, tail=QUICK).ready()
    writer = await start_core(valkey.url).ready()
    await writer.write("a", session="s-1")
    await writer.write("a", session="s-2")
    one, two = await core.follow("0", session="s-1"), await core.follow("0", session="s-2")
    await one.until(lambda follower: len(follower.entries) == 1)
    await two.until(lambda follower: len(follower.entries) == 1)
    struck = proxy.timeout_replies(carrying=b"$4\r\nTYPE")
    async with redis.pipeline() as pipeline:
        _ = pipeline.delete(core.stream("s-1").key)
        _ = pipeline.set(core.stream("s-1").key, "mine")
        await pipeline.execute()
    await eventually(struck.is_set)
    assert isinstance((await one.ended())[-1], Gone)
    await writer.write("b", session="s-2")
    await two.until(lambda follower: len(follower.entries) == 2)


async def test_a_stream_that_is_renamed_under_its_reader(
    valkey: RedisServer, redis: Redis, start_core: StartCore
) -> None:
    """Gone under its name, it is gone; what comes into its place is another stream."""
    core = await start_core(valkey.url, tail=QUICK).ready()
    await core.generate(3)
    follower = await core.follow("0")
    await core.core.groups.create(core.stream(), "g")
    reading = asyncio.create_task(core.read("g", "c", count=3, block_s=3600))
    assert len(await reading) == 3
    reading = asyncio.create_task(core.read("g", "c", block_s=3600))
    await asyncio.sleep(0.05)
    await redis.rename(KEY, "elsewhere")
    assert isinstance((await follower.ended())[-1], Gone)
    with pytest.raises(ApiError) as refused:
        await reading
    assert refused.value.code in ("group_not_found", "stream_gone")
    await redis.rename("elsewhere", KEY)
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 3)


async def test_everything_is_flushed_under_readers_and_writers(
    valkey: RedisServer, redis: Redis, start_core: StartCore
) -> None:
    """FLUSHALL ends tails, leaves no read waiting for ever, and what is written then is delivered."""
    core = await start_core(valkey.url, tail=QUICK).ready()
    receiver = core.subscribe("g", "c")
    connection = core.connection(fences=False)
    connection.send("before")
    await connection.answers()
    follower = await core.follow("0")
    await receiver.until(lambda receiver: receiver.tokens == ["before"])
    await redis.flushall()
    assert isinstance((await follower.ended())[-1], Gone)
    connection.send("after")
    await connection.answers()
    await receiver.until(lambda receiver: receiver.tokens == ["before", "after"])
    (entry,) = await stored(redis)
    assert (entry.token, entry.sequence) == ("after", 2)


async def test_a_subscription_that_begins_without_redis(own_server: OwnServer, start_core: StartCore) -> None:
    """It waits for Redis by itself, and then delivers what there is and what comes."""
    server = own_server(config=("appendonly yes", "appendfsync always"))
    core = await start_core(server.url).ready()
    await core.generate(3)
    await core.close()
    server.stop()
    core = start_core(server.url, tail=QUICK)
    receiver = core.subscribe("g", "c")
    await asyncio.sleep(0.3)
    server.start()
    await receiver.until(lambda receiver: receiver.tokens == ["0", "1", "2"])
    await core.write("3")
    await receiver.until(lambda receiver: receiver.tokens == ["0", "1", "2", "3"])
