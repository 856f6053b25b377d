"""Live tails: from any point, without holes that are not told, to the end of the generation or of the stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.bridge.tail import End
from rlb.domain.entry import Gap
from rlb.errors import InvalidIdError, StreamGoneError, StreamNotFoundError
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import stored, tokens
from tests.support.tokens import KEY, token_of

NUMBERS = [str(number) for number in range(10)]


async def test_from_the_start_to_the_end(core: RunningCore) -> None:
    """History first, then what is written meanwhile, then the end of the generation, which ends the tail."""
    connection = core.connection()
    for number in NUMBERS[:5]:
        connection.send(number)
    await connection.answers()
    follower = await core.follow("0")
    await follower.until(lambda follower: len(follower.entries) == 5)
    for number in NUMBERS[5:]:
        connection.send(number, complete="stop" if number == "9" else None)
    events = await follower.ended()
    assert [token_of(entry) for entry in follower.entries] == NUMBERS
    assert follower.sequences == list(range(1, 11))
    assert isinstance(events[-1], End)
    assert len(events) == 11


async def test_each_entry_as_it_is_stored(core: RunningCore, redis: Redis) -> None:
    """History and live entries alike carry the id and the very bytes that stand in Redis."""
    await core.generate(3)
    follower = await core.follow("0")
    await core.generate(3)
    await follower.until(lambda follower: len(follower.entries) == 6)
    rows: Any = await redis.xrange(KEY)
    assert [(str(entry.id).encode(), entry.data) for entry in follower.entries] == [
        (entry_id, fields[b"data"]) for entry_id, fields in rows
    ]
    assert all(entry.is_numbered for entry in follower.entries)


async def test_from_now_on(core: RunningCore) -> None:
    """`$` begins behind what is there."""
    await core.generate(5)
    follower = await core.follow("$")
    await core.generate(3, complete=True)
    await follower.ended()
    assert follower.sequences == [6, 7, 8]


async def test_resuming_anywhere_loses_and_repeats_nothing(core: RunningCore) -> None:
    """A tail that resumes behind any entry goes on with the very next one."""
    answers = await core.generate(10, complete=True)
    for position in range(9):
        follower = await core.follow(str(answers[position].entry_id))
        await follower.ended()
        assert follower.sequences == list(range(position + 2, 11))


async def test_a_finished_generation_is_told_to_who_resumes_at_its_end(core: RunningCore) -> None:
    """Behind the last message there is nothing to come; behind any other, or once more has followed, there is."""
    answers = await core.generate(3, complete=True)
    last, before = str(answers[-1].entry_id), str(answers[-2].entry_id)
    assert await (await core.follow(last)).tail.is_finished()
    assert not await (await core.follow(before)).tail.is_finished()
    await core.generate(1)
    assert not await (await core.follow(last)).tail.is_finished()


async def test_the_next_generation_is_another_tail(core: RunningCore) -> None:
    """A tail ends with its generation; resumed behind it, it goes on with the next one."""
    await core.generate(3, complete=True)
    await core.generate(3, complete=True)
    follower = await core.follow("0")
    await follower.ended()
    assert follower.sequences == [1, 2, 3]
    follower = await core.follow(str(follower.tail.position))
    await follower.ended()
    assert follower.sequences == [4, 5, 6]


@pytest.mark.parametrize("start", ["0", "$"])
async def test_a_stream_that_never_was(start: str, core: RunningCore) -> None:
    """It is told at once, or after the time that one is ready to wait."""
    with pytest.raises(StreamNotFoundError):
        await core.follow(start)
    with pytest.raises(StreamNotFoundError):
        await core.follow(start, wait_s=0.2)
    assert core.core.reader.channels == 0


@pytest.mark.parametrize("start", ["0", "$"])
async def test_waiting_for_a_stream_to_begin(start: str, core: RunningCore) -> None:
    """A subscriber that is early gets everything from the first entry on."""
    opening = asyncio.create_task(core.follow(start, wait_s=60))
    await asyncio.sleep(0.05)
    await core.generate(3, complete=True)
    follower = await opening
    await follower.ended()
    assert follower.sequences == [1, 2, 3]


async def test_a_stream_that_is_gone(core: RunningCore, redis: Redis) -> None:
    """Deleted or expired is told apart from never existed: by the index, or because the subscriber has seen it."""
    (answer,) = await core.generate(1)
    await eventually(lambda: redis.zscore("llm:streams", KEY))
    await redis.delete(KEY)
    for start in ("0", "$", str(answer.entry_id)):
        with pytest.raises(StreamGoneError):
            await core.follow(start)
    await redis.delete("llm:streams")
    with pytest.raises(StreamGoneError):
        await core.follow(str(answer.entry_id))


@pytest.mark.parametrize("start", ["", "-1", "-", "+", "1", "abc", "0-0-0", "1732276800000-"])
async def test_a_malformed_id_is_refused(start: str, core: RunningCore) -> None:
    """There is no falling back to the start: nobody is sent everything again by mistake."""
    await core.generate(3)
    with pytest.raises(InvalidIdError):
        await core.follow(start)


async def test_a_stream_that_another_sidecar_takes_over(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """While two sidecars take turns in writing, a subscriber of either sees no hole, no repeat, no wrong order."""
    quick = {"block_ms": 100, "feed_idle_ms": 20}
    cores = [await start_core(server.url, tail=quick).ready() for _ in range(2)]
    await cores[0].write("first")
    followers = [await core.follow("0") for core in cores]
    connections = [core.connection(fences=False) for core in cores]
    for number in range(1500):
        turn = number // 100 % 3
        for name, connection in enumerate(connections):
            if turn in (name, 2):
                connection.send(f"{name}:{number}")
        if number % 25 == 0:
            await asyncio.sleep(0.003)
    for connection in connections:
        await connection.answers()
    connections[1].send("last", complete="stop")
    await connections[1].answers()
    entries = await stored(redis)
    for follower in followers:
        await follower.ended()
        assert [entry.id for entry in follower.entries] == [entry.id for entry in entries]
        assert [token_of(entry) for entry in follower.entries] == tokens(entries)
        assert not any(isinstance(event, Gap) for event in follower.events)


async def test_an_empty_stream_can_be_followed(core: RunningCore) -> None:
    """A stream that was created and not written yet is there: its tail waits for the first entry."""
    await core.core.streams.create(core.stream(), None)
    follower = await core.follow("0")
    await core.generate(3, complete=True)
    await follower.ended()
    assert follower.sequences == [1, 2, 3]


async def test_a_stream_that_is_written_in_bursts_is_never_gone(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """Looking whether a quiet stream is still there never ends a tail of one that has just been written again."""
    core = await start_core(server.url, tail={"block_ms": 10, "feed_idle_ms": 1}).ready()
    await core.generate(1)
    follower = await core.follow("0")
    connection = core.connection()
    for _ in range(40):
        for number in range(20):
            connection.send(str(number))
            await asyncio.sleep(0)
        await asyncio.sleep(0.012)
    connection.send("last", complete="stop")
    events = await follower.ended()
    assert follower.sequences == list(range(1, 803))
    assert isinstance(events[-1], End)
