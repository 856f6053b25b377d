"""A message that comes again is answered with the entry it already has, within the window, whoever wrote it."""

from __future__ import annotations

import json

from redis.asyncio import Redis

from rlb.bridge.ticket import Ticket
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import assert_gap_free, stored, tokens
from tests.support.tokens import KEY

WINDOW = 8


async def test_a_repeat_gets_the_same_entry(core: RunningCore, redis: Redis) -> None:
    """The second answer names the first entry, says that it is a duplicate, and nothing is written."""
    first = await core.write("a", message_id="id-1")
    again = await core.write("a", message_id="id-1")
    assert (again.entry_id, again.duplicate, first.duplicate) == (first.entry_id, True, False)
    assert tokens(await stored(redis)) == ["a"]


async def test_a_repeat_after_a_restart_gets_the_same_entry(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """A new sidecar finds the message in the stream."""
    core = await start_core(server.url).ready()
    first = await core.write("a", message_id="id-1")
    await core.write("b")
    await core.close()
    core = await start_core(server.url).ready()
    again = await core.write("a", message_id="id-1")
    assert (again.entry_id, again.duplicate) == (first.entry_id, True)
    assert tokens(await stored(redis)) == ["a", "b"]


async def test_a_repeat_behind_new_messages_after_a_restart(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """Repeats among new messages of one pipeline are told apart, whichever of them claims."""
    core = await start_core(server.url).ready()
    first = await core.write("a", message_id="id-1")
    await core.close()
    core = await start_core(server.url).ready()
    connection = core.connection()
    connection.send("b", message_id="id-2")
    connection.send("a", message_id="id-1")
    connection.send("c", message_id="id-3")
    answers = await connection.answers()
    assert [ticket.duplicate for ticket in answers] == [False, True, False]
    assert answers[1].entry_id == first.entry_id
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == ["a", "b", "c"]


async def test_a_repeat_while_the_first_is_on_its_way(core: RunningCore, redis: Redis) -> None:
    """Both get the one entry, and neither holds memory afterwards."""
    connection = core.connection(fences=False)
    for _ in range(3):
        connection.send("a", message_id="id-1")
    connection.send("b")
    answers = await connection.answers()
    assert [ticket.duplicate for ticket in answers] == [False, True, True, False]
    assert len({ticket.entry_id for ticket in answers[:3]}) == 1
    assert tokens(await stored(redis)) == ["a", "b"]
    assert core.core.appender.buffered_bytes == 0


async def test_a_repeat_at_another_sidecar(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """An app that fails over to another sidecar may send again: that one finds the message too."""
    one, two = await start_core(server.url).ready(), await start_core(server.url).ready()
    await two.write("0")
    first = await one.write("a", message_id="id-1")
    again = await two.write("a", message_id="id-1")
    assert (again.entry_id, again.duplicate) == (first.entry_id, True)
    # The writer that thought it owned the stream finds out by a refused append.
    await two.write("1")
    await one.write("2", message_id="id-2")
    connection = two.connection(fences=False)
    connection.send("3")
    connection.send("2", message_id="id-2")
    assert [ticket.duplicate for ticket in await connection.answers()] == [False, True]
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == ["0", "a", "1", "2", "3"]


async def write_behind(core: RunningCore, count: int) -> Ticket:
    """A named message with `count` others behind it."""
    first = await core.write("first", message_id="id-1")
    for number in range(count):
        await core.write(str(number), message_id=f"other-{number}")
    return first


async def test_the_window_of_the_same_sidecar(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """The latest `dedupe_entries` named messages are recognised; an older one is written again."""
    core = await start_core(server.url, stream={"dedupe_entries": WINDOW}).ready()
    first = await write_behind(core, WINDOW - 1)
    again = await core.write("first", message_id="id-1")
    assert (again.entry_id, again.duplicate) == (first.entry_id, True)
    await core.write("one more", message_id="one-more")
    again = await core.write("first", message_id="id-1")
    assert not again.duplicate
    assert_ends_with(await stored_tokens(redis), "one more", "first")


async def test_the_window_after_a_restart(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """A new sidecar looks at the latest `dedupe_entries` entries of the stream."""
    core = await start_core(server.url, stream={"dedupe_entries": WINDOW}).ready()
    first = await write_behind(core, WINDOW - 1)
    await core.close()
    core = await start_core(server.url, stream={"dedupe_entries": WINDOW}).ready()
    again = await core.write("first", message_id="id-1")
    assert (again.entry_id, again.duplicate) == (first.entry_id, True)
    await write_behind(core, WINDOW + 1)
    await core.close()
    core = await start_core(server.url, stream={"dedupe_entries": WINDOW}).ready()
    again = await core.write("first", message_id="id-1")
    assert not again.duplicate
    assert_gap_free_but_for_repeats(await stored_sequences(redis))


async def stored_tokens(redis: Redis) -> list[str]:
    return tokens(await stored(redis))


async def stored_sequences(redis: Redis) -> list[int]:
    return [entry.sequence for entry in await stored(redis)]


def assert_ends_with(found: list[str], *expected: str) -> None:
    assert tuple(found[-len(expected) :]) == expected


def assert_gap_free_but_for_repeats(sequences: list[int]) -> None:
    """A message written twice stands twice, with a number of its own each time."""
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_message_of_a_foreign_writer_is_recognised(core: RunningCore, redis: Redis) -> None:
    """The `id` in an entry counts, whoever wrote the entry and however its JSON is laid out."""
    message = {"token": "x", "metadata": {"sequence": 1}, "id": "id-1"}
    entry_id = await redis.xadd(KEY, {"trace": "t", "data": json.dumps(message, indent=2)})
    again = await core.write("x", message_id="id-1")
    assert again.duplicate
    assert str(again.entry_id).encode() == entry_id
    assert await redis.xlen(KEY) == 1


async def test_messages_without_an_id_are_never_taken_for_repeats(core: RunningCore, redis: Redis) -> None:
    """The same text twice is two tokens."""
    answers = [await core.write("ha") for _ in range(3)]
    assert not any(ticket.duplicate for ticket in answers)
    assert tokens(await stored(redis)) == ["ha", "ha", "ha"]


async def test_a_repeated_generation(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """An app that lost its sidecar sends a whole generation again: what stands is told, the rest is written."""
    core = await start_core(server.url).ready()
    connection = core.connection()
    for number in range(60):
        connection.send(str(number), message_id=f"id-{number}")
    first = await connection.answers()
    await core.close()
    core = await start_core(server.url).ready()
    connection = core.connection()
    for number in range(100):
        connection.send(str(number), message_id=f"id-{number}", complete="stop" if number == 99 else None)
    again = await connection.answers()
    assert [ticket.duplicate for ticket in again] == [True] * 60 + [False] * 40
    assert [ticket.entry_id for ticket in again[:60]] == [ticket.entry_id for ticket in first]
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_same(tokens(entries), [str(number) for number in range(100)])
