"""Streams that a foreign producer writes as well: ours keep their order, and numbers that only grow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.servers.process import RedisServer
from tests.support.assertions import assert_same
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import assert_answers_true, redis_ms, stored, tokens
from tests.support.tokens import KEY

HOUR_MS = 3_600_000


async def guide_writes(redis: Redis, sequence: int | None = None) -> None:
    """Append as the guide's producer does: an id of the server's, and a sequence from the length."""
    counted = sequence if sequence is not None else await redis.xlen(KEY) + 1
    message = {"id": f"guide-{counted}", "token": "foreign", "metadata": {"sequence": counted, "isComplete": False}}
    await redis.xadd(KEY, {"data": json.dumps(message)})


async def test_a_foreign_writer_in_between(core: RunningCore, redis: Redis) -> None:
    """Among entries that a foreign producer adds with `XADD *`, ours keep order, and numbers that only grow."""
    connection = core.connection(fences=False)
    for number in range(30):
        connection.send(str(number))
        if number % 3 == 0:
            await connection.answers()
            await guide_writes(redis)
    tickets = await connection.answers()
    entries = await stored(redis)
    ours = [entry for entry in entries if entry.token != "foreign"]
    assert_answers_true(tickets, entries)
    assert_same(tokens(ours), [str(number) for number in range(30)])
    assert all(entry.id.seq == entry.sequence for entry in ours)
    sequences = [entry.sequence for entry in ours]
    assert sequences == sorted(set(sequences))
    assert len(entries) == 30 + 10


async def test_the_sequence_goes_on_behind_a_foreign_writers(core: RunningCore, redis: Redis) -> None:
    """A foreign producer that is ahead in its own count is not followed by a smaller number."""
    await guide_writes(redis, sequence=41)
    await core.write("ours")
    assert (await stored(redis))[-1].sequence == 42


@pytest.mark.parametrize(
    "data",
    ["no json", '{"metadata":{"sequence":"x"}}', '{"metadata":[]}', "[]", '{"metadata":{"sequence":1e308}}', "null"],
)
async def test_foreign_entries_of_any_form(data: str, core: RunningCore, redis: Redis) -> None:
    """Whatever a foreign writer has put last, the stream can be written behind it."""
    await redis.xadd(KEY, {"data": data})
    await redis.xadd(KEY, {"other": "field"})
    await redis.xadd(KEY, {"data": data})
    tickets = await core.generate(3)
    rows: Any = await redis.xrange(KEY)
    assert [entry_id.decode() for entry_id, _ in rows[3:]] == [str(ticket.entry_id) for ticket in tickets]


async def test_a_stream_with_ids_from_the_future(core: RunningCore, redis: Redis) -> None:
    """Where the last id is ahead of the time (a clock that was set back), ids go on behind it."""
    ahead_ms = await redis_ms(redis) + HOUR_MS
    await redis.xadd(KEY, {"data": "{}"}, id=f"{ahead_ms}-7")
    ticket = await core.write("a")
    assert ticket.entry_id is not None
    assert ticket.entry_id == (ahead_ms + 1, 8)


async def test_a_foreign_writer_that_never_rests(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Full pipelines keep their order and lose nothing while a foreign producer writes as fast as it can."""
    core = await start_core(server.url, stream={"max_length": 0}).ready()
    connection = core.connection(fences=False)
    is_over = asyncio.Event()
    between = 0

    async def never_rest() -> None:
        nonlocal between
        while not is_over.is_set():
            await guide_writes(redis)
            between += 1

    foreign = asyncio.create_task(never_rest())
    while len(connection.sent) < 500 or between <= 10:
        for _ in range(20):
            connection.send(str(len(connection.sent)))
        await asyncio.sleep(0.002)
        await connection.unanswered_at_most(500)
    tickets = await connection.answers()
    is_over.set()
    await foreign
    entries = await stored(redis)
    ours = [entry for entry in entries if entry.token != "foreign"]
    assert len(entries) == len(ours) + between
    assert_answers_true(tickets, entries)
    assert_same(tokens(ours), [str(number) for number in range(len(tickets))])
    sequences = [entry.sequence for entry in ours]
    assert sequences == sorted(set(sequences))
    assert sequences == [entry.id.seq for entry in ours]
