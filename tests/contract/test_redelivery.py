"""What a consumer was handed and did not acknowledge: it comes again, to whom it should, in order."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from rlb.bridge.delivery import Reading
from tests.contract.delivered import LONG_S, leave_alone, pending, tokens
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY


async def test_a_refused_entry_comes_again_at_once(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """A nack gives it to whoever reads next, counted; an entry that is not pending is not refused."""
    core = await start_core(server.url, groups={"max_deliveries": 3, "claim_idle_ms": 60_000}).ready()
    await core.generate(3)
    await core.core.groups.create(core.stream(), "g")
    first = await core.read("g", "one")
    ids = [delivery.entry.id for delivery in first]
    await core.acknowledge("g", first[2:])
    assert await core.core.groups.refuse(core.stream(), "g", ids, "busy") == 2
    again = await core.read("g", "two")
    assert tokens(again) == ["0", "1"]
    assert [delivery.count for delivery in again] == [2, 2]
    assert await core.read("g", "one") == []
    assert await core.acknowledge("g", again) == 2
    assert await pending(redis) == 0


async def test_a_refusal_wakes_a_waiting_read(start_core: StartCore, server: RedisServer) -> None:
    """A consumer that waits gets what another one refuses, well before the idle time is over."""
    core = await start_core(server.url, groups={"claim_idle_ms": 60_000}).ready()
    await core.core.groups.create(core.stream(), "g")
    await core.write("a")
    (delivery,) = await core.read("g", "one")
    reading = asyncio.create_task(core.read("g", "two", block_s=LONG_S))
    await asyncio.sleep(0.05)
    await core.core.groups.refuse(core.stream(), "g", [delivery.entry.id], "busy")
    assert tokens(await reading) == ["a"]


async def test_entries_of_a_dead_consumer_are_claimed(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """What a consumer took and never acknowledged goes to another one after the idle time, not before."""
    idle_ms = 2500
    core = await start_core(server.url, groups={"claim_idle_ms": idle_ms}).ready()
    await core.generate(5)
    await core.core.groups.create(core.stream(), "g")
    dead = await core.read("g", "dead", count=3)
    alive = await core.read("g", "alive", count=10)
    assert tokens(alive) == ["3", "4"]
    assert await core.acknowledge("g", alive) == 2
    await leave_alone(redis, "dead", dead, idle_ms)
    claimed = await core.read("g", "alive", count=10, block_s=LONG_S)
    assert tokens(claimed) == ["0", "1", "2"]
    assert [delivery.count for delivery in claimed] == [2, 2, 2]
    assert await core.acknowledge("g", claimed) == 3
    assert await pending(redis) == 0


async def test_claiming_is_done_in_portions(start_core: StartCore, server: RedisServer) -> None:
    """A backlog of a dead consumer is taken over as fast as it is read, and no faster than asked for."""
    core = await start_core(server.url, groups={"max_deliveries": 100, "claim_idle_ms": 200}).ready()
    await core.generate(250)
    await core.core.groups.create(core.stream(), "g")
    assert len(await core.read("g", "dead", count=250)) == 250
    await asyncio.sleep(0.3)
    found: list[str] = []
    while len(found) < 250:
        deliveries = await core.read("g", "alive", count=60, block_s=LONG_S)
        assert 0 < len(deliveries) <= 60
        await core.acknowledge("g", deliveries)
        found += tokens(deliveries)
    assert_same(found, [str(number) for number in range(250)])


async def test_a_cancelled_read_gives_back_what_it_took(core: RunningCore, redis: Redis) -> None:
    """Entries of a read that nobody waits for any more are the consumer's next ones, in order."""
    await core.generate(6)
    await core.core.groups.create(core.stream(), "g")
    reading = asyncio.create_task(core.read("g", "c", count=3))
    while not await redis.xpending_range(KEY, "g", "-", "+", 10):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    found = [] if reading.cancelled() else tokens(reading.result())
    found += tokens(await core.read("g", "c", count=10))
    assert found == ["0", "1", "2", "3", "4", "5"]


async def test_a_read_behind_a_cancelled_one_does_not_overtake_it(core: RunningCore) -> None:
    """A consumer that asks again while its cancelled read is on its way gets first what that one took."""
    await core.generate(6)
    await core.core.groups.create(core.stream(), "g")
    reader = core.core.groups.reader(Reading(core.stream(), "g", "c"))
    cancelled = asyncio.create_task(reader.fetch(3))
    while not reader._lock.locked():
        await asyncio.sleep(0)
    cancelled.cancel()
    assert tokens(await core.read("g", "c", count=2)) == ["0", "1"]
    assert tokens(await core.read("g", "c", count=10)) == ["2", "3", "4", "5"]


async def test_what_could_not_be_handed_over_comes_first(core: RunningCore) -> None:
    """Deliveries that are given back are the next ones, before anything new, with their count as it was."""
    await core.generate(4)
    await core.core.groups.create(core.stream(), "g")
    reader = core.core.groups.reader(Reading(core.stream(), "g", "c"))
    taken = await core.read("g", "c", count=2)
    reader.give_back(taken)
    again = await core.read("g", "c", count=3)
    assert tokens(again) == ["0", "1", "2"]
    assert [delivery.count for delivery in again] == [1, 1, 1]
