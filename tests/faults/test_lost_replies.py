"""Replies that never come: what was sent is found out, and nothing is written twice or left out."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from tests.conftest import MakeFaultProxy, OwnServer
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.cores import StartCore
from tests.support.stored import assert_answers_true, assert_gap_free, stored, tokens


@pytest.mark.parametrize("lost", [b"EVALSHA", b"XADD"])
async def test_a_lost_reply_is_no_lost_message(
    lost: bytes, valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """The command arrives, its reply does not: the message stands once, and is answered with the entry that it has."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url).ready()
    await core.write("warm", session="other")  # the server knows the script: the claim below is one EVALSHA
    connection = core.connection()
    if lost == b"XADD":
        connection.send("first")
        await connection.answers()
    struck = proxy.timeout_replies(carrying=lost)
    for number in range(20):
        connection.send(str(number))
    tickets = await connection.answers()
    entries = await stored(redis)
    assert struck.is_set()
    assert_gap_free(entries)
    assert_answers_true(tickets, entries)
    assert [ticket.duplicate for ticket in tickets] == [False] * len(tickets)
    assert tokens(entries) == [*(["first"] if lost == b"XADD" else []), *map(str, range(20))]


async def test_a_lost_renewal(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """A renewal whose reply is lost, with tokens waiting behind it, leaves neither a hole nor a second copy."""
    proxy = await fault_proxy(valkey)
    core = await start_core(proxy.url, stream={"renew_ms": 100}).ready()
    connection = core.connection()
    connection.send("a")
    await connection.answers()
    await asyncio.sleep(0.15)
    struck = proxy.timeout_replies(carrying=b"EVALSHA")
    for token in "bcdef":
        connection.send(token)
    tickets = await connection.answers()
    assert struck.is_set()
    entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(tickets, entries)
    assert tokens(entries) == list("abcdef")


async def test_commands_cut_in_the_middle(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """Connections that break after any number of bytes, in slices of any size: the generation is whole."""
    proxy = await fault_proxy(valkey)
    proxy.slicer(97)
    core = await start_core(proxy.url, redis={"backoff_max_s": 0.05}).ready()
    connection = core.connection()
    for cut in range(1, 40):
        struck = proxy.limit_data(cut * 53, carrying=b"XADD")
        for number in range(5):
            connection.send(f"{cut}:{number}")
        await connection.answers()
        assert struck.is_set() or cut > 20  # five appends are about 1,500 bytes
    entries = await stored(redis)
    assert_gap_free(entries)
    assert tokens(entries) == [f"{cut}:{number}" for cut in range(1, 40) for number in range(5)]


async def test_a_hung_server_wakes_up_late(own_server: OwnServer, start_core: StartCore) -> None:
    """Redis stops for longer than the reply timeout; what it then finds in old sockets is not written again."""
    server = own_server(VALKEY_9)
    core = await start_core(
        server.url, redis={"reply_timeout_s": 0.4, "connect_timeout_s": 0.5}, append={"deadline_ms": 20_000}
    ).ready()
    connection = core.connection()
    for number in range(10):
        connection.send(str(number))
    await connection.answers()
    server.pause()
    for number in range(10, 200):
        connection.send(str(number))
    await asyncio.sleep(1.5)
    server.resume()
    tickets = await connection.answers()
    async with server.client() as redis:
        await redis.ping()
        entries = await stored(redis)
    assert_gap_free(entries)
    assert_answers_true(tickets, entries)
    assert tokens(entries) == [str(number) for number in range(200)]
