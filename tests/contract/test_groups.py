"""Consumer groups: created with a known lag, read without stranding, settled only by the app."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.domain.entry_id import EntryId
from rlb.errors import GroupNotFoundError, InvalidIdError, StreamNotFoundError, WrongTypeError
from tests.contract.delivered import LONG_S, pending, tokens
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY


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
