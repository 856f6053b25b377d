"""Dead letters: what becomes one, how they are listed, replayed and dropped."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.domain.entry_id import EntryId
from rlb.errors import GroupNotFoundError, WrongTypeError
from tests.contract.delivered import BRIEF, LONG_S, pending, tokens
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY, token_of


async def letters_of(core: RunningCore, group: str = "g") -> list[tuple[str, int, str]]:
    page = await core.core.dead_letters.page(group, EntryId(0, 0), 100)
    return [(letter.consumer, letter.deliveries, letter.reason) for letter in page]


async def test_a_poison_entry_becomes_a_dead_letter(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Delivered as often as allowed and never acknowledged, it is set aside, and the entries behind it go on."""
    core = await start_core(server.url, groups=BRIEF).ready()
    await core.generate(2)
    await core.core.groups.create(core.stream(), "g")
    counts: list[int] = []
    until_s = time.monotonic() + PATIENCE_S
    while await pending(redis) or not counts:
        for delivery in await core.read("g", "c", block_s=0.1):
            if token_of(delivery.entry) == "1":
                await core.acknowledge("g", [delivery])
            else:
                counts.append(delivery.count)
        assert time.monotonic() < until_s
    assert counts == [1, 2, 3]
    assert await letters_of(core) == [("c", 3, "delivered too often without being acknowledged")]
    (letter,) = await core.core.dead_letters.page("g", EntryId(0, 0), 100)
    rows: Any = await redis.xrange(KEY, count=1)
    (entry,) = rows
    assert (letter.stream, str(letter.entry_id).encode()) == (KEY, entry[0])
    assert letter.message == entry[1][b"data"]


async def test_a_refused_entry_becomes_a_dead_letter_with_its_reason(
    start_core: StartCore, server: RedisServer
) -> None:
    """The last reason that the app gave is kept with the letter."""
    core = await start_core(server.url, groups={"max_deliveries": 2, "claim_idle_ms": 60_000}).ready()
    await core.generate(1)
    await core.core.groups.create(core.stream(), "g")
    for number in range(2):
        (delivery,) = await core.read("g", "c")
        await core.core.groups.refuse(core.stream(), "g", [delivery.entry.id], f"reason {number}")
    assert await core.read("g", "c") == []
    assert await letters_of(core) == [("c", 2, "reason 1")]
    assert core.core.groups.rules.reasons == {}


async def test_a_letter_is_copied_before_it_is_acknowledged(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """Where the copy cannot be made, the entry stays pending, and is set aside once it can."""
    core = await start_core(server.url, groups={"max_deliveries": 1, "claim_idle_ms": 100}).ready()
    await core.generate(1)
    await core.core.groups.create(core.stream(), "g")
    await core.read("g", "c")
    await redis.set("llm:dlq:g", "in the way")
    await asyncio.sleep(0.15)
    with pytest.raises(WrongTypeError):
        await core.read("g", "c")
    assert await pending(redis) == 1
    await redis.delete("llm:dlq:g")
    await asyncio.sleep(0.15)
    assert await core.read("g", "c") == []
    assert await pending(redis) == 0
    assert len(await letters_of(core)) == 1


async def bury(core: RunningCore, count: int) -> list[EntryId]:
    """Make dead letters of `count` new entries; gives the letters' ids."""
    await core.generate(count)
    await core.core.groups.create(core.stream(), "g")
    deliveries = await core.read("g", "c", count=count)
    await core.core.groups.refuse(core.stream(), "g", [delivery.entry.id for delivery in deliveries], "broken")
    assert await core.read("g", "c") == []
    return [letter.id for letter in await core.core.dead_letters.page("g", EntryId(0, 0), 1000)]


ONE_DELIVERY = {"max_deliveries": 1, "claim_idle_ms": 200}


async def test_letters_are_listed_in_pages(start_core: StartCore, server: RedisServer) -> None:
    """Oldest first, behind any letter, as many as asked for."""
    core = await start_core(server.url, groups=ONE_DELIVERY).ready()
    ids = await bury(core, 5)
    letters = core.core.dead_letters
    first = await letters.page("g", EntryId(0, 0), 3)
    rest = await letters.page("g", first[-1].id, 3)
    assert [letter.id for letter in first + rest] == ids
    assert await letters.page("nobody", EntryId(0, 0), 3) == []


async def test_a_replayed_letter_is_delivered_again(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """It comes back to the group, counted anew, and is no letter any more."""
    core = await start_core(server.url, groups=ONE_DELIVERY).ready()
    ids = await bury(core, 3)
    assert [letter.id for letter in await core.core.dead_letters.replay("g", ids[:2])] == ids[:2]
    again = await core.read("g", "other", block_s=LONG_S)
    assert tokens(again) == ["0", "1"]
    assert [delivery.count for delivery in again] == [1, 1]
    assert len(await letters_of(core)) == 1
    assert await core.acknowledge("g", again) == 2
    assert await pending(redis) == 0


async def test_a_letter_whose_entry_is_gone_stays(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """What the stream no longer holds cannot come back to the group: the letter is its last copy, and is kept."""
    core = await start_core(server.url, groups=ONE_DELIVERY).ready()
    ids = await bury(core, 3)
    await redis.xtrim(KEY, maxlen=1, approximate=False)
    assert [letter.id for letter in await core.core.dead_letters.replay("g", ids)] == ids[2:]
    letters = await core.core.dead_letters.page("g", EntryId(0, 0), 10)
    assert [letter.id for letter in letters] == ids[:2]
    assert await pending(redis) == 1


async def test_letters_without_a_group_stay(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """A replay to a group that is gone is refused, and loses nothing."""
    core = await start_core(server.url, groups=ONE_DELIVERY).ready()
    ids = await bury(core, 2)
    await redis.xgroup_destroy(KEY, "g")
    with pytest.raises(GroupNotFoundError):
        await core.core.dead_letters.replay("g", ids)
    assert len(await letters_of(core)) == 2


async def test_dropped_letters_are_gone(start_core: StartCore, server: RedisServer) -> None:
    """Dropping counts those that there were; none and unknown ones are no error."""
    core = await start_core(server.url, groups=ONE_DELIVERY).ready()
    ids = await bury(core, 3)
    letters = core.core.dead_letters
    assert await letters.drop("g", [*ids[:2], EntryId(1, 1)]) == 2
    assert await letters.drop("g", []) == 0
    async with asyncio.timeout(5):
        assert await letters.replay("g", []) == []
        assert await core.core.groups.refuse(core.stream(), "g", [], "none") == 0
    assert len(await letters_of(core)) == 1


async def test_letters_are_bounded(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """A group that refuses everything keeps about as many letters as configured."""
    core = await start_core(server.url, groups=ONE_DELIVERY | {"dead_letter_max_length": 100}).ready()
    await bury(core, 400)
    assert 100 <= await redis.xlen("llm:dlq:g") < 250
