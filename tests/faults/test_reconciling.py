"""What a writer concludes when a connection comes back: whose entries stand there, and what is still to be written."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from rlb.domain.entry import Gap
from rlb.errors import ApiError, FencedError, RedisOutOfMemoryError, RedisUnavailableError
from tests.conftest import MakeFaultProxy, OwnServer
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, assert_same, eventually
from tests.support.cores import StartCore
from tests.support.stored import assert_answers_true, assert_gap_free, stored, tokens
from tests.support.tokens import KEY, token_of

NO_RENEWAL = {"renew_ms": 3_600_000}
"""Of a claim: every token behind it is a plain append, however long that takes."""


async def test_a_deadline_that_passes_while_a_claim_is_on_its_way(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Messages behind the claim are refused in time; its late reply is taken for its own message and no other."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, append={"deadline_ms": 300}, redis={"reply_timeout_s": PATIENCE_S}).ready()
    proxy.freeze()
    generation, other = core.connection(), core.connection(fences=False)
    for number in range(3):
        generation.send(str(number))
    await generation.unanswered_at_most(1)
    assert [type(ticket.error) for ticket in generation.sent] == [type(None)] + [RedisUnavailableError] * 2
    core.give_up_after(PATIENCE_S)
    other.send("other")
    proxy.thaw()
    answers = [*await generation.answers(), *await other.answers()]
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(answers, entries)
    assert tokens(entries) == ["0", "other"]


async def test_a_lost_claim_on_a_stream_with_a_history(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """A generation whose opening claim lost its reply is not taken for overtaken by what stood there before it."""
    writer = await start_core(valkey.url).ready()
    await writer.generate(10, complete=True)
    await writer.close()
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url).ready()
    await core.write("warm", session="other")
    struck = proxy.timeout_replies(carrying=b"EVALSHA")
    connection = core.connection()
    for number in range(10, 20):
        connection.send(str(number))
    answers = await connection.answers()
    assert struck.is_set()
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(answers, entries)
    assert tokens(entries) == [str(number) for number in range(20)]


async def test_a_lost_claim_that_another_writer_followed(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Somebody who wrote behind the lost claim has taken the stream over: the generation is fenced, without a hole."""
    writer = await start_core(valkey.url).ready()
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url).ready()
    await core.write("warm", session="other")
    struck = proxy.timeout_replies(carrying=b"EVALSHA")
    connection = core.connection()
    connection.send("0")
    connection.send("1")
    await struck.wait()
    await proxy.down()
    await writer.write("other")
    await proxy.up()
    answers = await connection.answers()
    assert [type(ticket.error) for ticket in answers] == [type(None), FencedError]
    assert tokens(await stored(redis)) == ["0", "other"]


async def test_a_message_that_was_given_up_is_no_other_writer(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """A message that landed unseen and was refused by its deadline does not fence the generation beside it."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url).ready()
    connection = core.connection()
    connection.send("0")
    await connection.answers()
    struck = proxy.timeout_replies(carrying=b"unary")
    core.give_up_after(0.5)
    unary = asyncio.create_task(core.write("unary"))
    await struck.wait()
    await proxy.down()
    core.give_up_after(PATIENCE_S)
    connection.send("1")
    with pytest.raises(RedisUnavailableError, match="may have landed"):
        await unary
    await proxy.up()
    connection.send("2")
    answers = await connection.answers()
    assert [ticket.error for ticket in answers] == [None] * 3
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == ["0", "unary", "1", "2"]


@pytest.mark.parametrize("max_length", [50, 300])
async def test_lost_replies_on_a_stream_that_is_trimmed_meanwhile(
    max_length: int, valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """More is on its way than the stream keeps: what landed and was trimmed again is not written a second time."""
    proxy = await fault_proxy(valkey)
    bounds = {"max_length": max_length}
    core = await start_core(proxy.url, stream=bounds).ready()
    watcher = await start_core(valkey.url, stream=bounds, tail={"block_ms": 100}).ready()
    connection = core.connection()
    connection.send("0")
    await connection.answers()
    follower = await watcher.follow("0")
    proxy.latency(0.05)
    struck = proxy.timeout_replies(0.2, carrying=b"XADD")
    for number in range(1, 3000):
        connection.send(str(number))
    proxy.latency(0)
    answers = await connection.answers(30)
    assert struck.is_set()
    assert [ticket.error for ticket in answers if ticket.error] == []
    entries = await stored(redis)
    assert_same(tokens(entries), [str(number) for number in range(3000 - len(entries), 3000)])
    assert_gap_free(entries, first=3001 - len(entries))
    await follower.until(lambda follower: follower.sequences[-1:] == [3000])
    seen = [int(token_of(entry)) for entry in follower.entries]
    assert seen == sorted(set(seen)), "a reader saw a token twice or out of order"
    assert_same(follower.sequences, [number + 1 for number in seen])


@pytest.mark.parametrize("fences", [True, False], ids=["exclusive", "shared"])
async def test_a_refused_token_is_not_written_behind_one_that_landed_unseen(
    fences: bool, own_server: OwnServer, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Refused for want of memory, then overtaken by a token whose reply is lost: the text ends there, in order."""
    server = own_server(config=("maxmemory 0", "maxmemory-policy noeviction"))
    proxy = await fault_proxy(server)
    core = await start_core(proxy.url, stream=NO_RENEWAL).ready()
    connection = core.connection(fences=fences)
    connection.send("0")
    await connection.answers()
    server.command("CONFIG", "SET", "maxmemory", "1")
    refusal = proxy.hold_replies(carrying=b"refused")
    connection.send("refused")
    await refusal.wait()
    server.command("CONFIG", "SET", "maxmemory", "0")
    struck = proxy.timeout_replies(carrying=b"overtakes")
    connection.send("overtakes")
    await eventually(lambda: server.command("XLEN", KEY) == 2)
    proxy.thaw()
    await struck.wait()
    connection.send("behind")
    answers = await connection.answers()
    async with server.client() as redis:
        entries = await stored(redis)
    assert_answers_true(answers, entries)
    assert [token for token in tokens(entries) if token != "behind"] == ["0", "overtakes"]
    assert isinstance(answers[1].error, RedisOutOfMemoryError)


async def test_a_claim_that_a_hung_server_finds_late(own_server: OwnServer, start_core: StartCore) -> None:
    """A claim in an old socket, carried out after its repetition, does not write the message again."""
    server = own_server()
    core = await start_core(
        server.url, redis={"reply_timeout_s": 0.3, "connect_timeout_s": 0.3}, append={"deadline_ms": 20_000}
    ).ready()
    await core.write("warm", session="other")
    server.pause()
    connections = [core.connection(fences=number % 2 == 0) for number in range(20)]
    for number, connection in enumerate(connections):
        connection.send("a", session=f"s-{number}")
        connection.send("b", session=f"s-{number}")
    await asyncio.sleep(1.2)
    server.resume()
    for connection in connections:
        assert [ticket.error for ticket in await connection.answers()] == [None, None]
    async with server.client() as redis:
        for number in range(20):
            entries = await stored(redis, core.stream(f"s-{number}").key)
            assert_gap_free(entries)
            assert tokens(entries) == ["a", "b"]


async def test_a_server_that_comes_back_empty(own_server: OwnServer, start_core: StartCore) -> None:
    """Redis restarts without its data in mid-generation: what is written then goes on in order, numbered on."""
    server = own_server()
    core = await start_core(server.url, append={"deadline_ms": 20_000}).ready()
    connection = core.connection()
    for number in range(10):
        connection.send(str(number))
    await connection.answers()
    server.kill()
    for number in range(10, 20):
        connection.send(str(number))
    server.start()
    answers = await connection.answers()
    assert [ticket.error for ticket in answers] == [None] * 20
    async with server.client() as redis:
        entries = await stored(redis)
    assert_gap_free(entries, first=11)
    assert tokens(entries) == [str(number) for number in range(10, 20)]


async def test_repeats_while_redis_is_away_cost_bounded_memory(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """An app that sends the same message again and again fills the buffer like any other, and gets one entry."""
    proxy = await fault_proxy(valkey)
    bounds = {"stream_buffer_bytes": 1_100_000, "deadline_ms": 20_000}
    core = await start_core(proxy.url, append=bounds).ready()
    proxy.freeze()
    connection = core.connection(fences=False)
    refused = 0
    for _ in range(2000):
        try:
            connection.send("x" * 1000, message_id="id-1")
        except ApiError:
            refused += 1
    assert core.core.appender.buffered_bytes <= 1_100_000 + 4000
    assert refused > 1000
    proxy.thaw()
    answers = await connection.answers()
    assert len({ticket.entry_id for ticket in answers}) == 1
    assert core.core.appender.buffered_bytes == 0


async def test_a_refused_token_that_is_overtaken_is_a_gap(
    own_server: OwnServer, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Memory comes back between two tokens of one pipeline: the text ends at the refused one, and readers are told."""
    server = own_server(config=("maxmemory 0", "maxmemory-policy noeviction"))
    proxy = await fault_proxy(server)
    core = await start_core(proxy.url, stream=NO_RENEWAL, tail={"block_ms": 100, "feed_idle_ms": 20}).ready()
    connection = core.connection()
    connection.send("0")
    await connection.answers()
    follower = await core.follow("0")
    server.command("CONFIG", "SET", "maxmemory", "1")
    refusal = proxy.hold_replies(carrying=b"refused")
    connection.send("refused")
    await refusal.wait()
    server.command("CONFIG", "SET", "maxmemory", "0")
    connection.send("overtakes")
    await eventually(lambda: server.command("XLEN", KEY) == 2)
    proxy.thaw()
    answers = await connection.answers()
    connection.send("behind")
    await connection.answers()
    assert [type(ticket.error) for ticket in answers] == [
        type(None),
        RedisOutOfMemoryError,
        type(None),
        RedisOutOfMemoryError,
    ]
    connection.send("anew", opens=True)
    await connection.answers()
    await follower.until(lambda follower: len(follower.entries) == 3)
    assert [token_of(entry) for entry in follower.entries] == ["0", "overtakes", "anew"]
    assert follower.sequences == [1, 3, 4]
    (gap,) = [event for event in follower.events if isinstance(event, Gap)]
    assert gap.missing == 1
