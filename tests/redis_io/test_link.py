"""The link: replies in order, one answer for each command, back by itself after any loss, bounded in bytes."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.errors import OverloadedError, RedisUnavailableError
from rlb.redis_io.command import encode
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError
from tests.conftest import MakeFaultProxy, OwnServer
from tests.redis_io.links import MIB, MakeLink
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, eventually


class Replies:
    """Counts the replies of each command that was sent."""

    def __init__(self) -> None:
        self.of: dict[int, list[Any]] = {}

    def taker(self, number: int) -> Any:
        self.of[number] = []
        return self.of[number].append

    async def all_came(self) -> None:
        await eventually(lambda: all(self.of.values()))
        assert all(len(replies) == 1 for replies in self.of.values()), "a command was answered twice"

    @property
    def lost(self) -> list[int]:
        return [number for number, replies in self.of.items() if isinstance(replies[0], ConnectionLostError)]


def rebind(link: Link, **bounds: float) -> None:
    """Other waits for the calls, and for the connections, that begin from now on."""
    link._bounds = dataclasses.replace(link._bounds, **bounds)  # type: ignore[arg-type]


async def test_replies_come_in_order(valkey: RedisServer, make_link: MakeLink) -> None:
    """Of thousands of commands in flight, each gets its own reply."""
    link = make_link(valkey.url)
    await link.ready()
    replies = Replies()
    for number in range(5000):
        link.send(encode(b"ECHO", number), replies.taker(number))
        if number % 700 == 0:
            await asyncio.sleep(0)
    await replies.all_came()
    assert [int(replies.of[number][0]) for number in range(5000)] == list(range(5000))
    assert link.in_flight_bytes == 0


async def test_load_makes_batches(valkey: RedisServer, make_link: MakeLink) -> None:
    """What is sent within a turn of the loop leaves in one write: the server reads few times."""
    link = make_link(valkey.url)
    await link.ready()
    before = valkey_reads(valkey)
    await asyncio.gather(*(link.call(b"PING") for _ in range(500)))
    assert valkey_reads(valkey) - before < 20


def valkey_reads(server: RedisServer) -> int:
    """Times that the server has read from a connection."""
    stats = dict(line.split(":", 1) for line in server.command("INFO", "stats").decode().splitlines() if ":" in line)
    return int(stats["total_reads_processed"])


@pytest.mark.parametrize("slice_bytes", [1, 7, 1000])
async def test_replies_in_pieces(
    slice_bytes: int, valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """However the bytes are cut on the way, commands and replies are whole."""
    proxy = await fault_proxy(valkey)
    link = make_link(proxy.url)
    await link.ready()
    proxy.slicer(slice_bytes)
    texts = [random.Random(number).randbytes(number) for number in range(40)]
    assert await link.batch([(b"ECHO", text) for text in texts]) == texts


async def test_error_replies_belong_to_their_command(valkey: RedisServer, make_link: MakeLink) -> None:
    """A refused command raises; among others its error stands in its place."""
    link = make_link(valkey.url)
    with pytest.raises(ReplyError, match="unknown command") as refused:
        await link.call(b"NONSENSE")
    assert refused.value.prefix == "ERR"
    good, bad, also_good = await link.batch_raw([(b"PING",), (b"XADD", b"k"), (b"ECHO", b"x")])
    assert (good, type(bad), also_good) == (b"PONG", ReplyError, b"x")
    with pytest.raises(ReplyError):
        await link.batch([(b"PING",), (b"XADD", b"k"), (b"ECHO", b"x")])
    assert await link.batch_raw([]) == []


async def test_what_was_in_flight_is_told_lost_once(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """A cut connection answers each waiting command exactly once, none is sent again, and the link comes back."""
    proxy = await fault_proxy(valkey)
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


async def test_listeners_hear_of_each_change(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """They are told that the link is down after its commands were, find it down, and are told when it is up."""
    proxy = await fault_proxy(valkey)
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


async def test_a_reply_that_does_not_come_drops_the_connection(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """Redis that holds its tongue longer than allowed is taken for gone; the next connection works."""
    proxy = await fault_proxy(valkey)
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


async def test_slow_but_steady_replies_are_no_reason_to_drop(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """What counts is the time since the last reply, not the age of the oldest command."""
    proxy = await fault_proxy(valkey)
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


async def test_an_idle_connection_is_asked_for_a_sign_of_life(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """A connection that died in silence is found out without any traffic."""
    proxy = await fault_proxy(valkey)
    link = make_link(proxy.url, reply_timeout_s=2, ping_s=0.1)
    await link.ready()
    await asyncio.sleep(0.4)
    assert link.connects == 1
    proxy.freeze()
    await eventually(lambda: not link.is_up)
    proxy.thaw()
    await link.ready()
    assert link.connects == 2


async def test_a_link_that_is_down_answers_within_the_deadline(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """A call waits for the link as long as it may, then says that nothing was sent, and why."""
    proxy = await fault_proxy(valkey)
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


async def test_waits_between_attempts_grow(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """While Redis is away it is asked less and less often, up to the bound; back, it is found soon."""
    proxy = await fault_proxy(valkey)
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


async def test_connections_that_do_not_hold_are_waited_between(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """A server that accepts and drops at once is not dialled in a tight loop."""
    proxy = await fault_proxy(valkey)
    link = make_link(proxy.url, backoff_min_s=0.02, backoff_max_s=0.2)
    link.on_up(lambda: none_of(proxy.reset_peer()))
    await asyncio.sleep(0.6)
    assert link.connects <= 25
    await eventually(lambda: link.connects >= 2)


def none_of(_: object) -> None:
    """Drop a result."""


async def test_bytes_in_flight_are_bounded(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """With Redis silent, commands are refused once the bound is reached; what was taken is answered after all."""
    proxy = await fault_proxy(valkey)
    link = make_link(proxy.url, reply_timeout_s=30)
    await link.ready()
    proxy.freeze()
    replies = Replies()
    payload = b"x" * 10_000
    with pytest.raises(OverloadedError):
        send_without_end(link, encode(b"ECHO", payload), replies)
    assert MIB < link.in_flight_bytes <= MIB + 2 * len(payload)
    assert len(replies.of) >= MIB // (len(payload) + 100)
    proxy.thaw()
    await replies.all_came()
    assert not replies.lost
    assert await link.call(b"PING") == b"PONG"


def send_without_end(link: Link, command: bytes, replies: Replies) -> None:
    for number in range(1000):
        taken: list[Any] = []
        link.send(command, taken.append)
        replies.of[number] = taken


async def test_a_cancelled_call_does_not_disturb_the_others(valkey: RedisServer, make_link: MakeLink) -> None:
    """The reply of a call that nobody waits for any more is taken and dropped, and the connection lives on."""
    link = make_link(valkey.url)
    await link.ready()
    calls = [asyncio.create_task(link.call(b"ECHO", number)) for number in range(300)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    done: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    assert [int(reply) for at, reply in enumerate(done) if at % 3] == [at for at in range(300) if at % 3]
    assert all(isinstance(reply, asyncio.CancelledError) for reply in done[::3])
    assert link.connects == 1


async def test_closing_answers_what_waits(
    valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """A closed link leaves no command without an answer and no connection behind, and closing twice is harmless."""
    proxy = await fault_proxy(valkey)
    link = make_link(proxy.url)
    await link.ready()
    proxy.freeze()
    replies = Replies()
    for number in range(10):
        link.send(encode(b"PING"), replies.taker(number))
    await link.close()
    assert len(replies.lost) == 10
    proxy.thaw()
    await eventually(lambda: proxy.connection_count == 0)
    await asyncio.sleep(0.1)
    assert proxy.accepted_count == 1
    await link.close()


@pytest.mark.parametrize("moment_s", [0.0, 0.0005, 0.001, 0.002, 0.005])
async def test_closing_while_it_connects(
    moment_s: float, valkey: RedisServer, fault_proxy: MakeFaultProxy, make_link: MakeLink
) -> None:
    """At whatever step of the handshake it comes, a close ends, and leaves no connection behind."""
    proxy = await fault_proxy(valkey)
    for _ in range(20):
        link = make_link(proxy.url)
        await asyncio.sleep(moment_s)
        async with asyncio.timeout(PATIENCE_S):
            await link.close()
        assert not link.is_up
    await eventually(lambda: proxy.connection_count == 0)


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
