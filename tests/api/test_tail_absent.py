"""Tails of streams that are not there: never written, gone, or waited for."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.tailed import IN_LINES, LOOPS, line, produce, tail
from tests.support.http import KEY, STREAM, M, S, problem, session
from tests.support.sidecar import StartSidecar


async def test_never_existed(http: aiohttp.ClientSession) -> None:
    """A stream that nobody has written is not found; one that was made and holds nothing yet is waited on."""
    async with tail(http) as response:
        await problem(response, 404, "stream_not_found")
    async with http.put("/v1/streams", json=STREAM) as response:
        assert response.status == 201
    async with tail(http, headers=IN_LINES) as response:
        await produce(http, "a")
        assert (await line(response))["message"]["token"] == "a"


@pytest.mark.parametrize("how", ["deleted", "expired"])
async def test_gone(http: aiohttp.ClientSession, redis: Redis, how: str) -> None:
    """A stream that was there and is not any more is gone, whether one starts or resumes."""
    ids = await produce(http, "a", complete="stop")
    if how == "deleted":
        async with http.delete(f"/v1/streams/{S}/{M}") as response:
            assert response.status == 204
    else:
        await redis.pexpire(KEY, 1)
        await asyncio.sleep(0.01)
    each: list[dict[str, Any]] = [{}, {"headers": {"Last-Event-ID": ids[0]}}, {"from": "$"}, {"waitMs": "1000"}]
    for options in each:
        async with tail(http, **options) as response:
            await problem(response, 410, "stream_gone")


async def test_gone_with_what_knew_of_it(http: aiohttp.ClientSession) -> None:
    """Who resumes in a stream of which nothing is left, not even in the index, has seen it: it is gone."""
    async with tail(http, headers={"Last-Event-ID": "1732276800000-3"}) as response:
        await problem(response, 410, "stream_gone")


@pytest.mark.parametrize("headers", [{}, IN_LINES], ids=["events", "lines"])
async def test_gone_under_the_reader(start_sidecar: StartSidecar, headers: dict[str, str]) -> None:
    """A stream that is deleted while somebody reads it ends that tail with an error that says so."""
    sidecar = start_sidecar(tail={"block_ms": 100, "feed_idle_ms": 50})
    async with session(sidecar.path) as http:
        await produce(http, "a")
        async with tail(http, headers=headers) as response:
            await response.content.readline()
            async with http.delete(f"/v1/streams/{S}/{M}") as deleted:
                assert deleted.status == 204
            rest = (await response.read()).decode()
    assert '"code":"stream_gone"' in rest
    assert ("event: error\n" in rest) is (not headers)


@LOOPS
async def test_waits_for_a_stream(start_sidecar: StartSidecar, loop: str) -> None:
    """With `waitMs` a reader may come before the writer: it gets the first message as soon as that is there."""
    async with session(start_sidecar(loop=loop).path) as http:
        opening = asyncio.create_task(http.get("/v1/tail", params=STREAM | {"waitMs": "60000"}, headers=IN_LINES))
        await asyncio.sleep(0.2)
        assert not opening.done()
        await produce(http, "first")
        async with await opening as response:
            assert response.status == 200
            assert (await line(response))["message"]["token"] == "first"


async def test_waits_no_longer_than_asked(http: aiohttp.ClientSession) -> None:
    """A stream that does not come is not found, in the time given; only then, and only up to a minute."""
    start_s = time.monotonic()
    async with tail(http, waitMs="300") as response:
        await problem(response, 404, "stream_not_found")
    assert time.monotonic() - start_s >= 0.3
    for bad in ("-1", "60001", "soon", "1.5", ""):
        async with tail(http, waitMs=bad) as response:
            await problem(response, 400, "invalid_message")


async def test_a_waiting_reader_that_hangs_up_is_forgotten(
    start_sidecar: StartSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """The wait ends with the connection, not with its time: nothing of it is left to wait for, or to cut off."""
    caplog.set_level("INFO", "rlb")
    sidecar = start_sidecar(drain_s=60.0)
    with sidecar.connect() as client:
        client.get(f"/v1/tail?sessionId={S}&modelId={M}&waitMs=60000")
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.1)
    sidecar.begin_stop()
    sidecar.wait()
    (drained,) = [vars(record) for record in caplog.records if record.getMessage() == "service.drained"]
    assert drained["cut_off_requests"] == 0
