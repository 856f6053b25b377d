"""Tails of streams that were trimmed, deleted, made anew or written by others: no hole that is not told."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from rlb.bridge.tail import Gone
from rlb.domain.entry import Entry, Gap
from rlb.domain.entry_id import ZERO, EntryId
from rlb.errors import WrongTypeError
from tests.servers.process import RedisServer
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY

NUMBERS = [str(number) for number in range(10)]


async def test_trimmed_past_the_resume_point(core: RunningCore, redis: Redis) -> None:
    """What was trimmed behind the resume point is told as a gap, with how much it was."""
    answers = await core.generate(10)
    await redis.xtrim(KEY, maxlen=3, approximate=False)
    seen = answers[2].entry_id
    assert seen is not None
    follower = await core.follow(str(seen))
    await follower.until(lambda follower: len(follower.entries) == 3)
    first = follower.entries[0]
    assert follower.events[0] == Gap(seen, first.id, 4)
    assert follower.sequences == [8, 9, 10]


async def test_trimmed_up_to_the_resume_point(core: RunningCore, redis: Redis) -> None:
    """If only what was seen has been trimmed, there is no gap."""
    answers = await core.generate(10)
    await redis.xtrim(KEY, maxlen=3, approximate=False)
    follower = await core.follow(str(answers[6].entry_id))
    await follower.until(lambda follower: len(follower.events) == 3)
    assert follower.sequences == [8, 9, 10]


async def test_a_deleted_entry_is_a_gap(core: RunningCore, redis: Redis) -> None:
    """An entry that was deleted from the middle is told where it is missing."""
    answers = await core.generate(5)
    await redis.xdel(KEY, str(answers[2].entry_id))
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 4)
    assert [type(event) for event in follower.events] == [Entry, Entry, Gap, Entry, Entry]
    assert isinstance(follower.events[2], Gap)
    assert follower.events[2].missing == 1


async def test_a_gap_from_the_start(core: RunningCore, redis: Redis) -> None:
    """Who reads from the start of a trimmed stream is told how much there was before."""
    await core.generate(10)
    await redis.xtrim(KEY, maxlen=3, approximate=False)
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 3)
    assert isinstance(follower.events[0], Gap)
    assert (follower.events[0].after, follower.events[0].missing) == (ZERO, 7)


async def test_a_gap_among_foreign_entries(core: RunningCore, redis: Redis) -> None:
    """Ids of other writers do not count: that the place is gone is told, how much is missing is not known."""
    for number in range(1, 11):
        await redis.xadd(KEY, {"data": "{}"}, id=f"{number}-0")
    await redis.xtrim(KEY, maxlen=3, approximate=False)
    follower = await core.follow("5-0")
    await follower.until(lambda follower: len(follower.entries) == 3)
    assert follower.events[0] == Gap(EntryId(5, 0), EntryId(8, 0), None)
    follower = await core.follow("8-0")
    await follower.until(lambda follower: len(follower.entries) == 2)
    assert len(follower.events) == 2


async def test_entries_of_any_writer(core: RunningCore, redis: Redis) -> None:
    """A tail passes on what a foreign producer writes, readable or not, and sees its end of a generation."""
    await redis.xadd(KEY, {"data": json.dumps({"token": "1"}, indent=2)})
    follower = await core.follow("0")
    await redis.xadd(KEY, {"data": "no json"})
    await redis.xadd(KEY, {"other": "field"})
    await redis.xadd(KEY, {"data": json.dumps({"token": "4", "metadata": {"isComplete": True}})})
    await follower.ended()
    assert [json.loads(entry.json) for entry in follower.entries[:3]] == [{"token": "1"}, None, None]
    assert b"\n" not in follower.entries[0].json


@pytest.mark.parametrize("gone_by", ["delete", "expire"])
async def test_deleted_while_it_is_followed(gone_by: str, core: RunningCore, redis: Redis) -> None:
    """Everything that was there is passed on, then the tail says that the stream is gone."""
    await core.generate(5)
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 5)
    await (redis.delete(KEY) if gone_by == "delete" else redis.pexpire(KEY, 1))
    events = await follower.ended()
    assert isinstance(events[-1], Gone)
    assert len(events) == 6


async def test_made_anew_with_smaller_ids_while_it_is_followed(core: RunningCore, redis: Redis) -> None:
    """A stream that comes back behind the reader's position (a restored backup) is gone, not silent for ever."""
    await core.generate(5)
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 5)
    async with redis.pipeline() as pipeline:
        _ = pipeline.delete(KEY)
        _ = pipeline.xadd(KEY, {"data": "{}"}, id="5-1")
        await pipeline.execute()
    assert isinstance((await follower.ended())[-1], Gone)


async def test_made_anew_by_its_writer_while_it_is_followed(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """A stream that its writer goes on writing after a delete goes on for the reader too, without a gap."""
    # After a block that was in vain the stream would be found to be gone.
    core = await start_core(server.url, tail={"block_ms": 30_000}).ready()
    connection = core.connection()
    for number in NUMBERS[:5]:
        connection.send(number)
    await connection.answers()
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 5)
    await redis.delete(KEY)
    for number in NUMBERS[5:]:
        connection.send(number, complete="stop" if number == "9" else None)
    await follower.ended()
    assert follower.sequences == list(range(1, 11))


async def test_a_key_of_another_type(core: RunningCore, redis: Redis) -> None:
    """It is refused when the tail is opened, and ends a tail that is open, without harm to the other streams."""
    other = core.stream("s-2")
    await core.generate(2)
    await core.write("a", session="s-2")
    follower, neighbour = await core.follow("0"), await core.follow("0", session="s-2")
    await follower.until(lambda follower: len(follower.entries) == 2)
    async with redis.pipeline() as pipeline:
        _ = pipeline.delete(KEY)
        _ = pipeline.set(KEY, "mine")
        await pipeline.execute()
    assert isinstance((await follower.ended())[-1], Gone)
    with pytest.raises(WrongTypeError):
        await core.follow("0")
    await redis.xadd(other.key, {"data": json.dumps({"token": "b"})})
    await neighbour.until(lambda follower: len(follower.entries) == 2)
