"""Tails that go on from a place: behind any message, and where the stream was trimmed past it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.tailed import IN_LINES, line, produce, tail, whole
from tests.support.http import KEY, STREAM, problem


@pytest.mark.parametrize("by", ["header", "query"])
@pytest.mark.parametrize("place", range(4))
async def test_resume_at_every_point(http: aiohttp.ClientSession, by: str, place: int) -> None:
    """A reader that comes back behind any message gets exactly the rest, by header as by query."""
    ids = await produce(http, *"abcde", complete="stop")
    options: Any = {"headers": {"Last-Event-ID": ids[place]}} if by == "header" else {"from": ids[place]}
    async with tail(http, **options) as response:
        assert [data.get("token") for _, data in await whole(response)] == [*"abcde"[place + 1 :], None]


async def test_last_event_id_goes_before_from(http: aiohttp.ClientSession) -> None:
    """A browser repeats the URL that it began with; what it has seen since is in the header."""
    ids = await produce(http, *"abc", complete="stop")
    async with tail(http, headers={"Last-Event-ID": ids[1]}, **{"from": "0"}) as response:
        assert [data.get("token") for _, data in await whole(response)] == ["c", None]


async def test_resume_behind_the_end(http: aiohttp.ClientSession) -> None:
    """A browser that reconnects behind a complete generation is told to stop (204); one that goes on is waited for."""
    ids = await produce(http, "a", "b", complete="stop")
    async with tail(http, headers={"Last-Event-ID": ids[-1]}) as response:
        assert (response.status, await response.read()) == (204, b"")
    async with tail(http, headers={"Last-Event-ID": ids[0]}) as response:
        assert response.status == 200
    await produce(http, "c")
    async with tail(http, headers={"Last-Event-ID": ids[-1]} | IN_LINES) as response:
        assert (await line(response))["message"]["token"] == "c"


@pytest.mark.parametrize("bad", ["x", "1", "1-", "-1", "1-x", "1-1-1", "18446744073709551616-1", "01-1", "1 - 1", "+"])
async def test_malformed_ids(http: aiohttp.ClientSession, bad: str) -> None:
    """An id that is none is refused: starting anew would send everything again to who cannot want that."""
    await produce(http, "a")
    each: list[dict[str, Any]] = [{"headers": {"Last-Event-ID": bad}}, {"from": bad}]
    for options in each:
        async with tail(http, **options) as response:
            await problem(response, 400, "invalid_id")


@pytest.mark.parametrize("headers", [{}, IN_LINES], ids=["events", "lines"])
async def test_trimmed_past_the_place(http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    """A reader that comes back too late is told how much it has missed, and gets what is left."""
    ids = await produce(http, *"abcdef", complete="stop")
    async with http.post("/v1/streams/trim", json=STREAM | {"maxLength": 2}) as response:
        assert await response.json() == {"removed": 4}
    gap = {"after": ids[0], "before": ids[4], "missing": 3}
    async with tail(http, headers=headers | {"Last-Event-ID": ids[0]}) as response:
        if headers:
            answers = [json.loads(each) for each in (await response.read()).splitlines()]
            assert answers[0] == {"gap": gap}
            assert [answer["message"]["token"] for answer in answers[1:3]] == ["e", "f"]
        else:
            found = await whole(response)
            assert found[0] == ("gap", gap)
            assert [data.get("token") for _, data in found[1:]] == ["e", "f", None]


async def test_trimmed_before_a_reader_starts(http: aiohttp.ClientSession) -> None:
    """Who begins at the start of a trimmed stream is told what is missing before its first message."""
    ids = await produce(http, *"abc", complete="stop")
    async with http.post("/v1/streams/trim", json=STREAM | {"maxLength": 1}) as response:
        assert response.status == 200
    async with tail(http) as response:
        assert (await whole(response))[0] == ("gap", {"after": "0-0", "before": ids[2], "missing": 2})


async def test_trimmed_where_nobody_counts(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Entries of other writers have no numbers: that some are missing can be said, and not how many."""
    for number in range(1, 5):
        await redis.xadd(KEY, {"data": '{"token":"x"}'}, id=f"{number}-0")
    await redis.xtrim(KEY, maxlen=1, approximate=False)
    async with tail(http, headers=IN_LINES | {"Last-Event-ID": "1-0"}) as response:
        assert await line(response) == {"gap": {"after": "1-0", "before": "4-0", "missing": None}}
