"""The link: replies in order, one answer for each command, back by itself after any loss, bounded in bytes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from rlb.errors import OverloadedError
from rlb.redis_io.command import encode
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ReplyError
from tests.redis_io.links import MIB, MakeLink, Replies
from tests.servers.process import RedisServer
from tests.servers.proxy import FaultProxy
from tests.support.assertions import PATIENCE_S, eventually


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
async def test_replies_in_pieces(slice_bytes: int, proxy: FaultProxy, make_link: MakeLink) -> None:
    """However the bytes are cut on the way, commands and replies are whole."""
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


async def test_bytes_in_flight_are_bounded(proxy: FaultProxy, make_link: MakeLink) -> None:
    """With Redis silent, commands are refused once the bound is reached; what was taken is answered after all."""
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


async def test_closing_answers_what_waits(proxy: FaultProxy, make_link: MakeLink) -> None:
    """A closed link leaves no command without an answer and no connection behind, and closing twice is harmless."""
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
async def test_closing_while_it_connects(moment_s: float, proxy: FaultProxy, make_link: MakeLink) -> None:
    """At whatever step of the handshake it comes, a close ends, and leaves no connection behind."""
    for _ in range(20):
        link = make_link(proxy.url)
        await asyncio.sleep(moment_s)
        async with asyncio.timeout(PATIENCE_S):
            await link.close()
        assert not link.is_up
    await eventually(lambda: proxy.connection_count == 0)
