"""Reads of a group that wait: what ends them, and that who hangs up during one takes nothing along."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.grouped import READ, create, produce, read, settle, tokens
from tests.conftest import OwnServer
from tests.support.http import KEY, session
from tests.support.sidecar import StartSidecar


async def test_a_wait_ends_with_the_first_message(http: aiohttp.ClientSession) -> None:
    """A read that waits returns as soon as something comes, and not before."""
    await create(http)
    waiting = asyncio.create_task(read(http, blockMs=60_000))  # longer than the client would wait
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await produce(http, "a")
    assert tokens(await waiting) == ["a"]


async def test_a_wait_ends_with_another_writers_message(http: aiohttp.ClientSession, redis: Redis) -> None:
    """What another program writes to the stream ends the wait too."""
    await create(http)
    waiting = asyncio.create_task(read(http, blockMs=60_000))
    await asyncio.sleep(0.1)
    await redis.xadd(KEY, {"data": '{"token":"foreign"}'})
    assert tokens(await waiting) == ["foreign"]


async def test_a_wait_that_nothing_ends(http: aiohttp.ClientSession) -> None:
    """A read that waits in vain answers with nothing, in its time."""
    await create(http)
    start_s = time.monotonic()
    assert await read(http, blockMs=300) == []
    assert time.monotonic() - start_s >= 0.3


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_hanging_up_during_a_wait_strands_nothing(start_sidecar: StartSidecar, loop: str) -> None:
    """A reader that hangs up while it waits takes nothing with it: the next read has everything, as if it were new."""
    async with session(start_sidecar(loop=loop).path) as http:
        await create(http)
        for number in range(20):
            waiting = asyncio.create_task(read(http, blockMs=5000))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await produce(http, f"{number}")
            (message,) = await read(http)
            assert (message["message"]["token"], message["deliveryCount"]) == (f"{number}", 1)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_hanging_up_before_the_answer_strands_nothing(
    own_server: OwnServer, start_sidecar: StartSidecar, loop: str
) -> None:
    """Entries and the client's end come at once: who cannot read any more is not handed them, the next one is."""
    server = own_server()
    sidecar = start_sidecar(url=server.url, loop=loop)
    body = json.dumps(READ).encode()
    head = b"POST /v1/messages/read HTTP/1.1\r\nHost: rlb\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with session(sidecar.path) as http:
        await create(http)
        for number in range(5):
            await produce(http, f"{number}")
            with sidecar.connect() as client:
                server.pause()
                client.send(head + body)
                await asyncio.sleep(0.05)
                with sidecar.held():
                    client.socket.close()
                    server.resume()
                    await asyncio.sleep(0.05)
            (message,) = await read(http, blockMs=5000)
            assert (message["message"]["token"], message["deliveryCount"]) == (f"{number}", 1)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_hanging_up_at_any_moment_loses_nothing(start_sidecar: StartSidecar, loop: str) -> None:
    """What was on its way to a reader when it hung up is claimed once it has been idle: in the end it is all acked."""
    sidecar = start_sidecar(loop=loop, groups={"claim_idle_ms": 300, "max_deliveries": 100})
    async with session(sidecar.path) as http:
        await create(http)
        seen: list[str] = []

        async def take(block_ms: int) -> None:
            ids = [each["entryId"] for each in await read(http, blockMs=block_ms, count=10)]
            if ids:
                seen.extend(ids)
                await settle(http, "ack", ids)

        for number in range(60):
            taking = asyncio.create_task(take(3000))
            producing = asyncio.create_task(produce(http, f"{number}a", f"{number}b"))
            await asyncio.sleep(number % 12 / 2000)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
            await producing
        async with asyncio.timeout(30):
            while len(set(seen)) < 120:
                await take(500)
    assert len(set(seen)) == 120
