"""A link whose connection is lost, or answers nothing: found out in time, told once, and back by itself."""

from __future__ import annotations

import asyncio
import random
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb.errors import RedisUnavailableError
from rlb.redis_io.command import encode
from tests.conftest import OwnServer
from tests.redis_io.links import MakeLink, Replies, rebind
from tests.servers.process import RedisServer
from tests.servers.proxy import FaultProxy
from tests.support.assertions import PATIENCE_S, eventually


async def test_what_was_in_flight_is_told_lost_once(proxy: FaultProxy, redis: Redis, make_link: MakeLink) -> None:
    """A cut connection answers each waiting command exactly once, none is sent again, and the link comes back."""
    link = make_link(proxy.url)
    await link.ready()
    replies = Replies()
    chance = random.Random(3)
    number = 0
    for _ in range(20):
        for _ in range(chance.randrange(1, 80)):
            try:
                link.send(encode(b"INCR", b"sum"), replies.taker(number))
            except RedisUnavailableError:
                del replies.of[number]
                await link.ready()
            number += 1
            if chance.random() < 0.1:
                await asyncio.sleep(0)
        if chance.random() < 0.5:
            proxy.timeout_replies(carrying=b"INCR")
        else:
            proxy.reset_peer()
        await asyncio.sleep(0.002)
    await link.ready()
    await replies.all_came()
    done = len(replies.of) - len(replies.lost)
    written = int(await redis.get("sum") or 0)
    assert link.connects > 10
    assert replies.lost
    assert done <= written <= len(replies.of)
    assert link.in_flight_bytes == 0


async def test_listeners_hear_of_each_change(proxy: FaultProxy, make_link: MakeLink) -> None:
    """They are told that the link is down after its commands were, find it down, and are told when it is up."""
    link = make_link(proxy.url)
    heard: list[str] = []
    link.on_up(lambda: heard.append(f"up {link.is_up}"))
    link.on_down(lambda: heard.append(f"down {link.is_up}"))
    await link.ready()
    proxy.freeze()
    link.send(encode(b"PING"), lambda reply: heard.append(type(reply).__name__))
    proxy.reset_peer()
    proxy.thaw()
    await eventually(lambda: len(heard) == 4)
    assert heard == ["up True", "ConnectionLostError", "down False", "up True"]


async def test_a_reply_that_does_not_come_drops_the_connection(proxy: FaultProxy, make_link: MakeLink) -> None:
    """Redis that holds its tongue longer than allowed is taken for gone; the next connection works."""
    link = make_link(proxy.url, reply_timeout_s=0.2)
    await link.ready()
    proxy.freeze()
    started_s = time.monotonic()
    with pytest.raises(RedisUnavailableError, match="broke before its reply"):
        await link.call(b"PING")
    assert time.monotonic() - started_s >= 0.18
    assert link.reason is not None
    rebind(link, reply_timeout_s=PATIENCE_S)
    proxy.thaw()
    assert await link.call(b"PING") == b"PONG"
    assert link.connects == 2
    assert link.reason is None


async def test_slow_but_steady_replies_are_no_reason_to_drop(proxy: FaultProxy, make_link: MakeLink) -> None:
    """What counts is the time since the last reply, not the age of the oldest command."""
    link = make_link(proxy.url, reply_timeout_s=2)
    await link.ready()
    proxy.slicer(7, delay_s=0.02)
    started_s = time.monotonic()
    assert await link.batch([(b"PING",)] * 60) == [b"PONG"] * 60
    assert time.monotonic() - started_s > 2
    assert link.connects == 1


async def test_a_stalled_loop_is_no_silent_redis(valkey: RedisServer, make_link: MakeLink) -> None:
    """Replies that came while the loop was busy elsewhere are read before the connection is judged."""
    link = make_link(valkey.url, reply_timeout_s=0.2)
    await link.ready()
    waiting = asyncio.create_task(link.call(b"PING"))
    # One turn for the call, one for the writing.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(0.5)
    assert link._opened is not None
    connected = link._opened.transport.get_extra_info("socket").fileno()
    assert select.select([connected], [], [], PATIENCE_S)[0], "there is a reply when the loop turns again"
    assert await waiting == b"PONG"
    assert link.connects == 1


async def test_an_idle_connection_is_asked_for_a_sign_of_life(proxy: FaultProxy, make_link: MakeLink) -> None:
    """A connection that died in silence is found out without any traffic."""
    link = make_link(proxy.url, reply_timeout_s=2, ping_s=0.1)
    await link.ready()
    await asyncio.sleep(0.4)
    assert link.connects == 1
    proxy.freeze()
    await eventually(lambda: not link.is_up)
    proxy.thaw()
    await link.ready()
    assert link.connects == 2


async def test_a_link_that_is_down_answers_within_the_deadline(proxy: FaultProxy, make_link: MakeLink) -> None:
    """A call waits for the link as long as it may, then says that nothing was sent, and why."""
    await proxy.down()
    link = make_link(proxy.url, call_timeout_s=0.3)
    started_s = time.monotonic()
    with pytest.raises(RedisUnavailableError, match="cannot connect"):
        await link.call(b"PING")
    assert time.monotonic() - started_s >= 0.28
    with pytest.raises(RedisUnavailableError):
        link.send(encode(b"PING"), lambda _: pytest.fail("it was not sent"))
    rebind(link, call_timeout_s=PATIENCE_S)
    calling = asyncio.create_task(link.call(b"PING"))
    await asyncio.sleep(0.05)
    await proxy.up()
    assert await calling == b"PONG"


async def test_waits_between_attempts_grow(proxy: FaultProxy, make_link: MakeLink) -> None:
    """While Redis is away it is asked less and less often, up to the bound; back, it is found soon."""
    await proxy.down()
    link = make_link(proxy.url, backoff_min_s=0.01, backoff_max_s=0.2)
    await asyncio.sleep(1)
    assert link._backoff.failures <= 40
    await eventually(lambda: link._backoff.failures >= 5)
    await proxy.up()
    failures = link._backoff.failures
    await link.ready()
    # One may have been under way.
    assert link._backoff.failures <= failures + 1


async def test_connections_that_do_not_hold_are_waited_between(proxy: FaultProxy, make_link: MakeLink) -> None:
    """A server that accepts and drops at once is not dialled in a tight loop."""
    link = make_link(proxy.url, backoff_min_s=0.02, backoff_max_s=0.2)
    link.on_up(lambda: none_of(proxy.reset_peer()))
    await asyncio.sleep(0.6)
    assert link.connects <= 25
    await eventually(lambda: link.connects >= 2)


def none_of(_: object) -> None:
    """Drop a result."""


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+hi\r\n+surplus\r\n"], ids=["foreign", "surplus"]
)
async def test_junk_in_place_of_a_reply_drops_the_connection(
    junk: bytes, valkey: RedisServer, short_tmp: Path, make_link: MakeLink
) -> None:
    """Bytes that are not the protocol, or a reply that nobody asked for: nothing behind them can be told apart."""
    path = short_tmp / "s"
    async with junk_server(path, valkey.socket_path, junk):
        link = make_link(f"unix://{path}")
        await link.ready()
        replies = Replies()
        link.send(encode(b"ECHO", b"hi"), replies.taker(0))
        await replies.all_came()
        await eventually(lambda: link.connects == 2)
        assert await link.call(b"PING") == b"PONG"
        await link.close()


@asynccontextmanager
async def junk_server(path: Path, upstream: Path, junk: bytes) -> AsyncIterator[None]:
    """Forwards to a real server, but answers ECHO by itself."""

    async def requests(reader: asyncio.StreamReader, client: asyncio.StreamWriter, to: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if b"ECHO" in data:
                client.write(junk)
            else:
                to.write(data)
        to.close()

    async def replies(reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            client.write(data)
        client.close()

    async def serve(reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(upstream)
        with suppress(OSError):
            await asyncio.gather(requests(reader, client, to_server), replies(from_server, client))

    server = await asyncio.start_unix_server(serve, path)
    yield
    server.close()


async def test_a_server_that_restarts(own_server: OwnServer, make_link: MakeLink) -> None:
    """A killed server is found again at the same address, soon after it is back."""
    server = own_server()
    link = make_link(server.url)
    assert await link.call(b"PING") == b"PONG"
    server.kill()
    await eventually(lambda: not link.is_up)
    server.start()
    failures = link._backoff.failures
    assert await link.call(b"PING") == b"PONG"
    assert link._backoff.failures <= failures + 1  # one may have been under way
