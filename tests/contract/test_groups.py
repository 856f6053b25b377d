"""Consumer groups: created with a known lag, read without stranding, settled only by the app."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Reading
from rlb.domain.entry_id import EntryId
from rlb.errors import GroupNotFoundError, InvalidIdError, StreamNotFoundError, WrongTypeError
from tests.contract.delivered import leave_alone, pending, tokens
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY

LONG_S = 3600.0
"""A read that waits for so long, and ends before the test's patience does, was woken."""


async def lag_of(redis: Redis, group: str) -> int | None:
    found: list[dict[str, Any]] = await redis.xinfo_groups(KEY)
    (lag,) = [each.get("lag") for each in found if each["name"].decode() == group]
    return lag


async def test_creating_is_idempotent(core: RunningCore, redis: Redis) -> None:
    """The second creation changes nothing and says so, even with another start; fifty at once make one group."""
    await core.generate(3)
    assert await core.core.groups.create(core.stream(), "g", "0")
    assert not await core.core.groups.create(core.stream(), "g", "$")
    assert tokens(await core.read("g", "c")) == ["0", "1", "2"]
    made = await asyncio.gather(*(core.core.groups.create(core.stream(), "race") for _ in range(50)))
    assert sum(made) == 1
    assert len(await redis.xinfo_groups(KEY)) == 2


async def test_a_group_may_come_before_its_stream(core: RunningCore, redis: Redis) -> None:
    """Creation makes the stream where there is none, unless told not to."""
    with pytest.raises(StreamNotFoundError):
        await core.core.groups.create(core.stream(), "g", make_stream=False)
    assert not await redis.exists(KEY)
    assert await core.core.groups.create(core.stream(), "g")
    await core.generate(2)
    assert tokens(await core.read("g", "c")) == ["0", "1"]


@pytest.mark.parametrize("start", ["0", "$", "middle", "last", "first"])
async def test_lag_is_known_from_the_start(start: str, core: RunningCore, server: RedisServer, redis: Redis) -> None:
    """Wherever a group begins, the server knows its lag at once and keeps knowing it; Redis 6.2 has no lag at all."""
    answers = await core.generate(10)
    at = {"first": 0, "middle": 4, "last": 9}
    begin = str(answers[at[start]].entry_id) if start in at else start
    behind = {"0": 10, "$": 0, "middle": 5, "last": 0, "first": 9}[start]
    await core.core.groups.create(core.stream(), "g", begin)
    assert await lag_of(redis, "g") == (behind if server.kind.version >= (7, 0, 0) else None)
    await core.generate(2)
    assert await lag_of(redis, "g") == (behind + 2 if server.kind.version >= (7, 0, 0) else None)
    # What the API tells is computed, so that it is right on every version.
    (info,) = (await core.core.streams.info(core.stream())).groups
    assert info.lag == behind + 2
    assert info.lag_quality in ("exact", "server")
    assert len(await core.read("g", "c", count=100)) == behind + 2


async def test_lag_is_known_from_the_start_of_a_trimmed_stream(
    core: RunningCore, server: RedisServer, redis: Redis
) -> None:
    """What was trimmed before the group began is not part of its lag."""
    await core.generate(10)
    await redis.xtrim(KEY, maxlen=4, approximate=False)
    await core.core.groups.create(core.stream(), "g", "0")
    assert await lag_of(redis, "g") == (4 if server.kind.version >= (7, 0, 0) else None)
    (info,) = (await core.core.streams.info(core.stream())).groups
    assert info.lag == 4


async def test_a_malformed_start_is_refused(core: RunningCore) -> None:
    """A group begins at `0`, `$` or a whole entry id."""
    await core.generate(1)
    for start in ("-", "+", ">", "1", "1-", ""):
        with pytest.raises(InvalidIdError):
            await core.core.groups.create(core.stream(), "g", start)


async def test_no_group_and_no_stream_are_told(core: RunningCore, redis: Redis) -> None:
    """Reading, refusing and acknowledging where there is no group, no stream, or no stream at the key."""
    groups, stream = core.core.groups, core.stream()
    for _ in range(2):
        with pytest.raises(GroupNotFoundError):
            await core.read("g", "c")
        with pytest.raises(GroupNotFoundError):
            await core.read("g", "c", block_s=0.2)
        with pytest.raises(GroupNotFoundError):
            await groups.refuse(stream, "g", [EntryId(1, 1)], "reason")
        assert await groups.acknowledge(stream, "g", [EntryId(1, 1)]) == 0
        await core.generate(1)
    await redis.set(core.stream("s-2").key, "mine")
    with pytest.raises(WrongTypeError):
        await core.read("g", "c", session="s-2")
    with pytest.raises(WrongTypeError):
        await groups.create(core.stream("s-2"), "g")


async def test_read_and_acknowledge(core: RunningCore, redis: Redis) -> None:
    """Each entry goes to one consumer once; acknowledged it is settled, and a second ack counts nothing."""
    await core.generate(5)
    await core.core.groups.create(core.stream(), "g")
    first, second = await core.read("g", "one", count=3), await core.read("g", "two", count=3)
    assert (tokens(first), tokens(second)) == (["0", "1", "2"], ["3", "4"])
    assert [delivery.count for delivery in first + second] == [1] * 5
    assert await core.read("g", "one") == []
    assert await pending(redis) == 5
    assert await core.acknowledge("g", first) == 3
    assert await core.acknowledge("g", first) == 0
    assert await pending(redis) == 2


async def test_nothing_is_acknowledged_by_itself(core: RunningCore, redis: Redis) -> None:
    """Reading on does not settle what was read before."""
    await core.generate(5)
    await core.core.groups.create(core.stream(), "g")
    for _ in range(5):
        await core.read("g", "c", count=1)
    assert await core.read("g", "c") == []
    assert await pending(redis) == 5


async def test_a_read_waits_for_the_first_entry(core: RunningCore) -> None:
    """With nothing there, a read waits as long as asked, and returns as soon as something comes."""
    await core.core.groups.create(core.stream(), "g")
    started_s = time.monotonic()
    assert await core.read("g", "c", block_s=0.2) == []
    assert time.monotonic() - started_s >= 0.18
    reading = asyncio.create_task(core.read("g", "c", block_s=LONG_S))
    await asyncio.sleep(0.05)
    await core.write("a")
    assert tokens(await reading) == ["a"]


async def test_a_read_is_woken_by_any_writer(core: RunningCore, redis: Redis) -> None:
    """Entries of other sidecars and foreign producers end the wait too."""
    await core.core.groups.create(core.stream(), "g")
    reading = asyncio.create_task(core.read("g", "c", block_s=LONG_S))
    await asyncio.sleep(0.05)
    await redis.xadd(KEY, {"data": '{"token":"foreign"}'})
    assert tokens(await reading) == ["foreign"]


async def test_a_waiting_read_learns_that_its_group_is_gone(core: RunningCore, redis: Redis) -> None:
    """Deleting the stream or the group under a read that waits ends it with an answer, not with silence."""
    await core.core.groups.create(core.stream(), "g")
    await core.write("a")
    await core.acknowledge("g", await core.read("g", "c"))
    reading = asyncio.create_task(core.read("g", "c", block_s=LONG_S))
    await asyncio.sleep(0.05)
    await redis.delete(KEY)
    with pytest.raises(GroupNotFoundError):
        await reading


async def test_a_consumer_that_comes_back_finds_what_it_left(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """After a restart, a consumer's first read gives it its own pending entries again, oldest first, counted."""
    core = await start_core(server.url).ready()
    await core.generate(5)
    await core.core.groups.create(core.stream(), "g")
    first = await core.read("g", "c", count=3)
    await core.acknowledge("g", first[:1])
    await core.close()
    core = await start_core(server.url).ready()
    again = await core.read("g", "c", count=10)
    assert tokens(again) == ["1", "2", "3", "4"]
    assert [delivery.count for delivery in again] == [2, 2, 1, 1]
    # Other consumers' entries stay theirs.
    assert await core.read("g", "other") == []
    assert await core.acknowledge("g", again) == 4
    assert await pending(redis) == 0


async def test_more_pending_entries_than_one_read_takes(start_core: StartCore, server: RedisServer) -> None:
    """A long list of own pending entries is handed out bit by bit, each once, before anything new."""
    core = await start_core(server.url).ready()
    await core.generate(250)
    await core.core.groups.create(core.stream(), "g")
    assert len(await core.read("g", "c", count=200)) == 200
    await core.close()
    core = await start_core(server.url).ready()
    found: list[str] = []
    while deliveries := await core.read("g", "c", count=30):
        found += tokens(deliveries)
    assert_same(found, [str(number) for number in range(250)])


async def test_pending_entries_that_were_deleted(core: RunningCore, redis: Redis) -> None:
    """What was trimmed while it was pending cannot be delivered again, and does not stay pending for ever."""
    await core.generate(5)
    await core.core.groups.create(core.stream(), "g")
    assert len(await core.read("g", "c")) == 5
    await redis.xtrim(KEY, maxlen=2, approximate=False)
    core.core.groups._readers.clear()  # as after a restart
    assert tokens(await core.read("g", "c")) == ["3", "4"]
    assert await pending(redis) == 2


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
