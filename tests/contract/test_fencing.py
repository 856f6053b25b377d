"""Fencing: one writer at a time, by Redis's own order of ids; a writer that was overtaken never gets in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from rlb.errors import FencedError
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import assert_answers_true, assert_gap_free, stored, tokens
from tests.support.tokens import KEY

Two = tuple[RunningCore, RunningCore]


@pytest.fixture
async def two(start_core: StartCore, server: RedisServer) -> Two:
    """Two sidecars on one Redis."""
    return await start_core(server.url).ready(), await start_core(server.url).ready()


async def take_over_by_generation(core: RunningCore) -> None:
    connection = core.connection()
    connection.send("other")
    await connection.answers()


async def take_over_by_shared(core: RunningCore) -> None:
    connection = core.connection(fences=False)
    connection.send("other")
    await connection.answers()


async def take_over_by_unary(core: RunningCore) -> None:
    await core.write("other")


@pytest.mark.parametrize(
    "take_over",
    [take_over_by_generation, take_over_by_shared, take_over_by_unary],
    ids=["generation", "shared", "unary"],
)
async def test_a_generation_that_another_sidecar_took_over_is_fenced(
    take_over: Callable[[RunningCore], Awaitable[None]], two: Two, redis: Redis
) -> None:
    """Its next tokens are refused, none of them gets into the stream, and it stays refused."""
    one, other = two
    connection = one.connection()
    connection.send("0")
    await connection.answers()
    await take_over(other)
    connection.send("1")
    connection.send("2")
    await connection.answers()
    connection.send("3", complete="stop")
    answers = await connection.answers()
    assert [type(ticket.error) for ticket in answers] == [type(None)] + [FencedError] * 3
    assert KEY in str(answers[1].error)
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == ["0", "other"]


async def test_tokens_on_their_way_are_fenced_too(two: Two, redis: Redis) -> None:
    """Of a pipeline that is overtaken, what landed is acknowledged and the rest refused: a clean cut."""
    one, other = two
    connection, other_connection = one.connection(), other.connection()
    number = 0
    # At full speed until the other one has taken over, and some more.
    while number < 1000 or not other_connection.answered:
        for _ in range(100):
            connection.send(str(number))
            number += 1
        if number == 500:
            await connection.unanswered_at_most(100)
            other_connection.send("other")
        await asyncio.sleep(0.0005)
        await connection.unanswered_at_most(2000)
    for _ in range(200):
        connection.send(str(number))
        number += 1
    answers = await connection.answers()
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(answers, entries)
    landed = sum(ticket.error is None for ticket in answers)
    assert 400 <= landed < number
    assert all(isinstance(ticket.error, FencedError) for ticket in answers[landed:])
    assert tokens(entries) == [*(str(number) for number in range(landed)), "other"]


async def test_open_begins_anew(two: Two, redis: Redis) -> None:
    """A fenced producer that says `open` takes the stream back, and fences the one that had it."""
    one, other = two
    first, second = one.connection(), other.connection()
    first.send("0")
    await first.answers()
    second.send("1")
    await second.answers()
    first.send("refused")
    await first.answers()
    first.send("2", opens=True)
    first.send("3")
    await first.answers()
    second.send("refused")
    await second.answers()
    assert [type(ticket.error) for ticket in first.sent] == [type(None), FencedError, type(None), type(None)]
    assert [type(ticket.error) for ticket in second.sent] == [type(None), FencedError]
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == ["0", "1", "2", "3"]


async def test_a_refused_generation_does_not_refuse_the_next_one_behind_it(two: Two, redis: Redis) -> None:
    """In one pipeline, what `open` begins is written although the generation before it is fenced."""
    one, other = two
    connection = one.connection()
    connection.send("0")
    await connection.answers()
    await take_over_by_unary(other)
    for text, opens in (("1", False), ("2", False), ("3", True), ("4", False)):
        connection.send(text, opens=opens)
    answers = await connection.answers()
    assert [ticket.error is None for ticket in answers] == [True, False, False, True, True]
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == ["0", "other", "3", "4"]


async def test_a_completed_generation_is_not_fenced_but_the_next_one_begins(two: Two, redis: Redis) -> None:
    """After the end of a generation the stream is free: each sidecar's next one simply begins."""
    one, other = two
    connections = one.connection(), other.connection()
    for number in range(6):
        connection = connections[number % 2]
        connection.send(f"{number}a")
        connection.send(f"{number}b", complete="stop")
        assert all(ticket.error is None for ticket in await connection.answers())
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == [f"{number}{half}" for number in range(6) for half in "ab"]


async def test_unary_writes_claim_again_by_themselves(two: Two, redis: Redis) -> None:
    """Messages on their own are never fenced, however the sidecars take turns."""
    one, other = two
    for number in range(20):
        ticket = await (one, other)[number % 2].write(str(number))
        assert not ticket.duplicate
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_same(tokens(entries), [str(number) for number in range(20)])


async def test_shared_producers_are_never_fenced(two: Two, redis: Redis) -> None:
    """Producers that share a stream write at full speed from two sidecars: nothing lost, each in its order."""
    connections = [core.connection(fences=False) for core in two]
    for number in range(1000):
        for name, connection in enumerate(connections):
            connection.send(f"{name}:{number}")
        if number % 20 == 0:
            await asyncio.sleep(0.001)
    answers = [ticket for connection in connections for ticket in await connection.answers()]
    assert all(ticket.error is None for ticket in answers)
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(answers, entries)
    for name in range(2):
        mine = [token for token in tokens(entries) if token.startswith(f"{name}:")]
        assert_same(mine, [f"{name}:{number}" for number in range(1000)])


async def test_generations_of_one_sidecar_fence_each_other(core: RunningCore, redis: Redis) -> None:
    """A second connection that begins a generation on the same stream ends the first one's, in the same sidecar."""
    first, second = core.connection(), core.connection()
    first.send("0")
    second.send("1")
    first.send("refused")
    second.send("2")
    await first.answers()
    await second.answers()
    assert [type(ticket.error) for ticket in first.sent] == [type(None), FencedError]
    assert tokens(await stored(redis)) == ["0", "1", "2"]


async def test_a_connection_that_ends_lets_the_stream_go(core: RunningCore, redis: Redis) -> None:
    """What a connection sent before it broke is still written; the next one begins without a word about it."""
    first, second = core.connection(), core.connection()
    for number in range(10):
        first.send(str(number))
    core.core.appender.release(first.producer)
    second.send("next")
    assert all(ticket.error is None for ticket in [*await first.answers(), *await second.answers()])
    assert tokens(await stored(redis)) == [*map(str, range(10)), "next"]


async def test_fencing_is_per_stream(two: Two, redis: Redis) -> None:
    """A connection that loses one of its streams keeps the others."""
    one, other = two
    connection = one.connection()
    for session in ("a", "b"):
        connection.send("0", session=session)
    await connection.answers()
    await other.write("other", session="a")
    for session in ("a", "b"):
        connection.send("1", session=session)
    answers = await connection.answers()
    assert [type(ticket.error) for ticket in answers[2:]] == [FencedError, type(None)]
