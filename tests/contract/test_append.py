"""The append path: ids, sequences, renewal, bounds and answers, the same on every server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.errors import DrainingError, InvalidMessageError, WrongTypeError
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.stored import assert_answers_true, assert_gap_free, redis_ms, stored, tokens
from tests.support.tokens import KEY, M, draft


async def command_count(redis: Redis, name: str) -> int:
    stats: dict[str, Any] = await redis.info("commandstats")
    found = stats.get(f"cmdstat_{name}")
    return int(found["calls"]) if found else 0


async def test_the_first_append_claims_the_stream(core: RunningCore, redis: Redis) -> None:
    """The first entry is number 1, its id is just before the Redis time and that number, and the answer says so."""
    before_ms = await redis_ms(redis)
    ticket = await core.write("a", message_id="id-1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    (entry,) = await stored(redis)
    assert ticket.entry_id == entry.id
    assert entry.id.seq == entry.sequence == 1
    assert before_ms - 1 <= entry.id.ms < await redis_ms(redis)
    assert entry.message["id"] == "id-1"
    assert list(entry.fields) == [b"data", b"traceparent"]
    assert not ticket.duplicate


async def test_tokens_behind_the_claim_are_plain_appends(core: RunningCore, redis: Redis) -> None:
    """A generation costs one script; every further token is one XADD with the next id of the same claim."""
    await redis.config_resetstat()
    tickets = await core.generate(100, complete=True)
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(tickets, entries)
    assert_same(tokens(entries), [str(number) for number in range(100)])
    assert len({entry.id.ms for entry in entries}) == 1
    assert entries[-1].message["payload"]["finishReason"] == "stop"
    assert [entry.message["metadata"]["isComplete"] for entry in entries] == [False] * 99 + [True]
    # Once by digest, once more with the text that the server did not know.
    assert await command_count(redis, "evalsha") == 1
    assert await command_count(redis, "eval") == 1
    assert await command_count(redis, "xadd") == 100


async def test_a_second_generation_continues_the_sequence(core: RunningCore, redis: Redis) -> None:
    """Sequences count the stream's messages, not those of one generation."""
    await core.generate(3, complete=True)
    await core.generate(3, complete=True)
    assert_gap_free(await stored(redis))


async def test_ids_stay_within_a_second_of_the_time(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """While a stream is written its claim is renewed, so that the time in the ids is true, with no gap at a renewal."""
    renew_s = 0.1
    core = await start_core(server.url, stream={"renew_ms": round(renew_s * 1000)}).ready()
    connection = core.connection()
    loop = asyncio.get_running_loop()
    claims: list[tuple[int, float, float]] = []  # the ms of its ids; when it was asked for, and known at the latest
    written_ms = await redis_ms(redis)
    while len(claims) < 5:
        before_ms, asked_s = written_ms, loop.time()
        connection.send(str(len(connection.sent)))
        (*_, ticket) = await connection.answers()
        known_s, written_ms = loop.time(), await redis_ms(redis)
        assert ticket.entry_id is not None
        claim_ms = ticket.entry_id.ms
        assert claim_ms <= written_ms
        if claims and claim_ms == claims[-1][0]:
            assert asked_s - claims[-1][2] <= renew_s, "a claim that is over was not renewed"
            continue
        assert claim_ms >= before_ms - 1, "the claim is not of this moment"
        assert not claims or known_s - claims[-1][1] > renew_s, "a claim was renewed that was not over"
        claims.append((claim_ms, asked_s, known_s))
    assert_gap_free(await stored(redis))


async def test_a_full_pipeline_is_renewed_without_a_gap(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """A renewal among many tokens that are still on their way keeps order and numbering."""
    core = await start_core(server.url, stream={"renew_ms": 5}).ready()
    connection = core.connection()
    claims: set[int] = set()
    while len(connection.sent) < 2000 or len(claims) <= 3:
        for _ in range(50):
            connection.send(str(len(connection.sent)))
        await asyncio.sleep(0.002)
        await connection.unanswered_at_most(500)
        claims |= {ticket.entry_id.ms for ticket in connection.answered[-50:] if ticket.entry_id is not None}
    tickets = await connection.answers()
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(tickets, entries)
    assert_same(tokens(entries), [str(number) for number in range(len(tickets))])


@pytest.mark.parametrize("restarts", [False, True], ids=["same sidecar", "restarted sidecar"])
async def test_the_sequence_continues_after_a_trim(
    restarts: bool, start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """Trimming, even to nothing, does not make the sequence begin anew."""
    core = await start_core(server.url).ready()
    await core.generate(10)
    await redis.xtrim(KEY, maxlen=0, approximate=False)
    if restarts:
        await core.close()
        core = await start_core(server.url).ready()
    await core.generate(3)
    assert_gap_free(await stored(redis), first=11)


async def test_the_sequence_continues_after_a_restart(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """A sidecar that knows nothing of a stream goes on where the stream stands."""
    for _ in range(3):
        core = await start_core(server.url).ready()
        await core.generate(5)
        await core.close()
    entries = await stored(redis)
    assert_gap_free(entries)
    assert len(entries) == 15


@pytest.mark.parametrize("gone_by", ["delete", "expire"])
async def test_the_sequence_continues_when_the_key_goes(gone_by: str, core: RunningCore, redis: Redis) -> None:
    """Deleted or expired between or under writes, the stream begins anew, but the numbers do not go back."""
    connection = core.connection()
    for number in range(6):
        if number == 3:
            await (redis.delete(KEY) if gone_by == "delete" else redis.pexpire(KEY, 1))
            await eventually(lambda: _is_gone(redis))
        connection.send(str(number))
        await connection.answers()
    assert_gap_free(await stored(redis), first=4)
    # The same when the sidecar has to claim the key that is gone.
    await redis.delete(KEY)
    await core.generate(2)
    assert_gap_free(await stored(redis), first=7)


async def _is_gone(redis: Redis) -> bool:
    return not await redis.exists(KEY)


async def test_a_key_of_another_type_is_refused_at_once(core: RunningCore, redis: Redis) -> None:
    """A key that holds no stream is told as such, is left alone, and can be written once it is out of the way."""
    await redis.set(KEY, "mine")
    with pytest.raises(WrongTypeError):
        await core.write("a")
    connection = core.connection()
    for text in ("0", "1", "2"):
        connection.send(text)
    assert [type(ticket.error) for ticket in await connection.answers()] == [WrongTypeError] * 3
    assert await redis.get(KEY) == b"mine"
    await redis.delete(KEY)
    await core.write("b")
    assert tokens(await stored(redis)) == ["b"]


async def test_the_index_knows_the_stream(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Each claim notes the stream's last activity in the index."""
    core = await start_core(server.url, stream={"renew_ms": 20}).ready()
    first = await core.write("a")
    await eventually(lambda: redis.zscore("llm:streams", KEY))
    assert first.entry_id is not None
    assert await redis.zscore("llm:streams", KEY) == first.entry_id.ms
    await asyncio.sleep(0.05)
    second = await core.write("b")
    assert second.entry_id is not None
    written_ms = second.entry_id.ms
    assert written_ms > first.entry_id.ms
    await eventually(lambda: _score_is(redis, written_ms))


async def _score_is(redis: Redis, ms: int) -> bool:
    return bool(await redis.zscore("llm:streams", KEY) == ms)


async def test_nothing_else_is_written(core: RunningCore, redis: Redis) -> None:
    """A produced token leaves two keys behind: the stream and the index."""
    await core.generate(3, complete=True)
    await eventually(lambda: redis.exists("llm:streams"))
    assert set(await redis.keys()) == {KEY.encode(), b"llm:streams"}


async def test_many_streams_at_once(core: RunningCore, redis: Redis) -> None:
    """Streams do not get into each other's way: each keeps its own order and numbering."""
    connection = core.connection()
    for number in range(20):
        for session in range(30):
            connection.send(str(number), session=f"s-{session}")
    await connection.answers()
    for session in range(30):
        entries = await stored(redis, f"llm:stream:s-{session}:{M}")
        assert_gap_free(entries)
        assert_same(tokens(entries), [str(number) for number in range(20)])


async def test_two_connections_share_a_stream_of_one_sidecar(core: RunningCore, redis: Redis) -> None:
    """Shared producers of one sidecar write in between each other, each in its own order."""
    one, two = core.connection(fences=False), core.connection(fences=False)
    for number in range(100):
        one.send(f"one {number}")
        two.send(f"two {number}")
    await one.answers()
    await two.answers()
    entries = await stored(redis)
    assert_gap_free(entries)
    for name in ("one", "two"):
        assert [token for token in tokens(entries) if token.startswith(name)] == [f"{name} {n}" for n in range(100)]


async def test_a_bad_id_is_refused_before_anything_is_sent(core: RunningCore, redis: Redis) -> None:
    """An id that breaks its rule makes no key and costs no memory."""
    with pytest.raises(InvalidMessageError):
        await core.write("a", session="a:b")
    assert core.core.appender.buffered_bytes == 0
    assert await redis.dbsize() == 0


async def test_a_drain_writes_what_was_taken_and_takes_no_more(core: RunningCore, redis: Redis) -> None:
    """Draining returns once every accepted message stands in Redis; later ones are refused."""
    connection = core.connection()
    for number in range(500):
        connection.send(str(number))
    assert await core.core.appender.drain(10) == 0
    assert len(await stored(redis)) == 500
    assert core.core.appender.buffered_bytes == 0
    with pytest.raises(DrainingError):
        core.core.appender.submit("s", "m", draft("late"), lambda _: None)
