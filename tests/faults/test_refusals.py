"""A Redis that refuses: writes wait, then say why; nothing is half-written, and all goes on when it recovers."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from rlb.bridge import write_health
from rlb.errors import (
    ApiError,
    OverloadedError,
    RedisOutOfMemoryError,
    RedisReadOnlyError,
    RedisUnavailableError,
    WrongTypeError,
)
from tests.conftest import MakeFaultProxy, OwnServer
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S
from tests.support.cores import StartCore
from tests.support.parties import Connection
from tests.support.stored import assert_gap_free, stored, tokens
from tests.support.tokens import KEY

SHORT_S = 0.5
"""The time that a message waits where it is to be refused; others wait as long as the test does."""


def failures(connection: Connection) -> list[type[ApiError]]:
    return [type(ticket.error) for ticket in connection.answered if ticket.error is not None]


async def test_out_of_memory(own_server: OwnServer, start_core: StartCore) -> None:
    """At maxmemory a generation is refused from one token on, to its end; the next one is whole once there is room."""
    server = own_server(VALKEY_9, config=("maxmemory 0", "maxmemory-policy noeviction"))
    # No renewal: each token is refused for itself, and not for the one that it waits behind.
    core = await start_core(server.url, stream={"renew_ms": 3_600_000}).ready()
    connection = core.connection()
    async with server.client() as redis:
        for number in range(5):
            connection.send(str(number))
        await connection.answers()
        await redis.config_set("maxmemory", 1)
        core.give_up_after(SHORT_S)
        for number in range(5, 50):
            connection.send(str(number))
        await connection.answers()
        assert set(failures(connection)) == {RedisOutOfMemoryError}
        assert len(failures(connection)) == 45
        await redis.config_set("maxmemory", 0)
        core.give_up_after(PATIENCE_S)
        connection.send("late")
        await connection.answers()
        assert failures(connection)[-1] is RedisOutOfMemoryError  # of the generation that has lost tokens
        connection.send("anew", opens=True)
        (*_, last) = await connection.answers()
        assert last.error is None
        entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == [*map(str, range(5)), "anew"]


async def test_who_asks_is_told_why_nothing_is_written(
    own_server: OwnServer, start_core: StartCore, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is up all the while; what is wrong is told once to the log, and to health until it is over."""
    caplog.set_level("INFO", "rlb.append")
    server = own_server(VALKEY_9, config=("maxmemory 0", "maxmemory-policy noeviction"))
    core = await start_core(server.url).ready()
    health = core.core.appender.health
    async with server.client() as redis:
        await core.write("before")
        assert health.trouble is None
        await redis.config_set("maxmemory", 1)
        core.give_up_after(SHORT_S)
        for _ in range(2):
            with pytest.raises(RedisOutOfMemoryError):
                await core.write("refused")
        assert health.trouble == "messages are refused, 2 so far: Redis is at maxmemory"
        await redis.config_set("maxmemory", 0)
        core.give_up_after(PATIENCE_S)
        await core.write("after")
    assert health.trouble is None
    said = [(record.message, record.levelname) for record in caplog.records]
    assert said == [("append.refused", "WARNING"), ("append.taken_again", "INFO")]
    assert [record.__dict__.get("code") for record in caplog.records] == ["redis_out_of_memory", None]
    assert caplog.records[1].__dict__["refused_messages"] == 2


async def test_a_refusal_is_forgotten_if_nobody_writes(
    valkey: RedisServer, redis: Redis, start_core: StartCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is none says nothing of the others, and what nobody has tried for long is not known."""
    core = await start_core(valkey.url).ready()
    health = core.core.appender.health
    await redis.set(KEY, "no stream")
    with pytest.raises(WrongTypeError):
        await core.write("refused")
    assert health.trouble is None
    health.refused("redis_read_only", "Redis answered READONLY")
    assert health.trouble is not None
    monkeypatch.setattr(write_health, "REMEMBERED_S", -1.0)
    assert health.trouble is None


async def test_memory_that_comes_and_goes(own_server: OwnServer, start_core: StartCore) -> None:
    """Refused for a while, for less than the deadline: every token is there, once and in order."""
    server = own_server(VALKEY_9, config=("maxmemory 0", "maxmemory-policy noeviction"))
    core = await start_core(server.url, append={"deadline_ms": 30_000}).ready()
    connection = core.connection()
    async with server.client() as redis:
        for number in range(300):
            if number % 30 == 15:
                await redis.config_set("maxmemory", 1 if number % 60 == 15 else 0)
            connection.send(str(number))
            await asyncio.sleep(0.001)
        await redis.config_set("maxmemory", 0)
        await connection.answers()
        entries = await stored(redis)
    assert failures(connection) == []
    assert_gap_free(entries)
    assert tokens(entries) == [str(number) for number in range(300)]


async def test_a_replica_is_read_only(own_server: OwnServer, start_core: StartCore) -> None:
    """A server that becomes a replica refuses writes; made a primary again, it takes them."""
    server, primary = own_server(VALKEY_9), own_server(VALKEY_9, tcp=True)
    core = await start_core(server.url).ready()
    await core.write("before")
    server.command("REPLICAOF", "127.0.0.1", str(primary.port))
    core.give_up_after(SHORT_S)
    with pytest.raises(RedisReadOnlyError):
        await core.write("refused")
    server.command("REPLICAOF", "NO", "ONE")
    core.give_up_after(PATIENCE_S)
    assert (await core.write("after")).entry_id is not None


async def test_the_script_is_forgotten_again_and_again(
    redis: Redis, valkey: RedisServer, start_core: StartCore
) -> None:
    """SCRIPT FLUSH costs a round trip and nothing else."""
    core = await start_core(valkey.url).ready()
    for number in range(30):
        await redis.script_flush()
        await core.write(str(number))
        await core.write("x", session=f"t-{number}")
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == [str(number) for number in range(30)]


async def test_redis_is_down_at_the_start(own_server: OwnServer, start_core: StartCore) -> None:
    """Writes are refused after the deadline, and taken soon after Redis has come up, without a restart."""
    server = own_server(VALKEY_9)
    server.stop()
    core = start_core(server.url)
    core.give_up_after(SHORT_S)
    with pytest.raises(RedisUnavailableError, match="not written in time"):
        await core.write("early")
    server.start()
    core.give_up_after(PATIENCE_S)
    await core.write("in time")
    async with server.client() as redis:
        assert tokens(await stored(redis)) == ["in time"]


def send_until_refused(connection: Connection, session: str) -> int:
    """How many messages of one stream are taken before there is no room."""
    for accepted in range(10_000):
        try:
            connection.send("x" * 1000, session=session)
        except OverloadedError:
            return accepted
    raise AssertionError("nothing bounds what waits")


async def test_a_frozen_redis_fills_the_buffer_and_no_more(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """What waits is bounded in bytes, in all and for one stream; what is over is refused, and all of it comes right."""
    proxy = await fault_proxy(valkey)
    bounds = {"buffer_bytes": 4_000_000, "stream_buffer_bytes": 2_000_000, "deadline_ms": 30_000}
    core = await start_core(proxy.url, append=bounds).ready()
    proxy.freeze()
    connection = core.connection()
    accepted = sum(send_until_refused(connection, session) for session in ("a", "b", "c"))
    appender = core.core.appender
    assert appender.buffered_bytes <= 4_000_000 + 4000
    assert accepted > 1000
    proxy.thaw()
    await connection.answers()
    assert failures(connection) == []
    assert appender.buffered_bytes == 0


async def test_the_key_is_taken_by_something_else(redis: Redis, valkey: RedisServer, start_core: StartCore) -> None:
    """A stream that is deleted goes on with the next number; one that is replaced refuses; one renamed begins anew."""
    core = await start_core(valkey.url).ready()
    connection = core.connection(fences=False)
    connection.send("1")
    await connection.answers()
    await redis.delete(KEY)
    connection.send("2")
    await connection.answers()
    (entry,) = await stored(redis)
    assert (entry.token, entry.sequence) == ("2", 2)
    await redis.rename(KEY, "elsewhere")
    connection.send("3")
    await connection.answers()
    (entry,) = await stored(redis)
    assert (entry.token, entry.sequence) == ("3", 3)
    await redis.delete(KEY)
    await redis.set(KEY, "not a stream")
    ticket = connection.send("4")
    await connection.answers()
    assert ticket.error is not None
    assert ticket.error.code == "wrong_type"
