"""Live tails: every message once, in order, as it is written, to an end, whether that is the generation's or not."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from rlb.api import consume
from tests.api.tailed import IN_LINES, LOOPS, line, produce, tail, whole
from tests.support.http import KEY, NDJSON, SSE, STREAM, M, S, events, problem, session
from tests.support.sidecar import StartSidecar


async def test_event_stream(http: aiohttp.ClientSession) -> None:
    """A complete generation as server-sent events: each message with its entry id, then the end."""
    ids = await produce(http, "He", "llo\n\n", "", complete="stop")
    async with tail(http) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, f"{SSE}; charset=utf-8")
        assert response.headers["Cache-Control"] == "no-store"
        found = [event async for event in events(response)]
    assert [event.name for event in found] == ["message"] * 3 + ["end"]
    assert [event.id for event in found[:3]] == ids
    assert "id" not in found[3].fields
    assert found[3].data == {}
    messages = [event.data for event in found[:3]]
    assert [message["token"] for message in messages] == ["He", "llo\n\n", ""]
    assert [message["metadata"]["sequence"] for message in messages] == [1, 2, 3]
    assert messages[2]["payload"]["finishReason"] == "stop"


async def test_lines(http: aiohttp.ClientSession) -> None:
    """The same as NDJSON for who asks for that."""
    ids = await produce(http, "a", "b", complete="length")
    async with tail(http, headers=IN_LINES) as response:
        assert (response.status, response.content_type) == (200, NDJSON)
        answers = [json.loads(each) for each in (await response.read()).splitlines()]
    assert [set(answer) for answer in answers] == [{"entryId", "message"}, {"entryId", "message"}, {"end"}]
    assert [answer["entryId"] for answer in answers[:2]] == ids
    assert answers[1]["message"]["metadata"]["isComplete"] is True


@pytest.mark.parametrize("accept", [SSE, "*/*", "text/html", f"{NDJSON};q=0.9, {SSE};q=0.1"])
async def test_accept(http: aiohttp.ClientSession, accept: str) -> None:
    """Events unless lines are asked for: browsers and curl name neither."""
    await produce(http, "a", complete="stop")
    async with tail(http, headers={"Accept": accept}) as response:
        assert response.content_type == (NDJSON if NDJSON in accept else SSE)


@LOOPS
async def test_messages_come_as_they_are_written(start_sidecar: StartSidecar, loop: str) -> None:
    """A tail passes each message on when it has been written, and ends by itself with the generation."""
    async with session(start_sidecar(loop=loop).path) as http:
        await produce(http, "0")
        async with tail(http, headers=IN_LINES) as one, tail(http, headers=IN_LINES) as two:
            assert [(await line(each))["message"]["token"] for each in (one, two)] == ["0", "0"]
            for number in range(1, 30):
                await produce(http, f"{number}")
                for each in (one, two):
                    assert (await line(each))["message"]["token"] == f"{number}"
            await produce(http, "", complete="stop")
            for each in (one, two):
                assert [json.loads(rest) for rest in (await each.read()).splitlines()][1:] == [{"end": True}]


async def test_foreign_writers(http: aiohttp.ClientSession, redis: Redis) -> None:
    """What other programs write is passed on as it is; what is no message is told as null, and is no end."""
    await redis.xadd(KEY, {"data": '{"token":\n"x"}'}, id="5-0")
    await redis.xadd(KEY, {"data": "canary{"}, id="6-0")
    await redis.xadd(KEY, {"data": '{"metadata":{"isComplete":true}}'}, id="7-0")
    async with tail(http, headers=IN_LINES) as response:
        answers = [json.loads(each) for each in (await response.read()).splitlines()]
    assert answers == [
        {"entryId": "5-0", "message": {"token": "x"}},
        {"entryId": "6-0", "message": None},
        {"entryId": "7-0", "message": {"metadata": {"isComplete": True}}},
        {"end": True},
    ]


async def test_an_end_is_only_the_generations(http: aiohttp.ClientSession) -> None:
    """A tail that starts at the beginning ends with the first generation; behind it the next one can be had."""
    first = await produce(http, "a", complete="stop")
    await produce(http, "b", complete="stop")
    async with tail(http) as response:
        assert [name for name, _ in await whole(response)] == ["message", "end"]
    async with tail(http, **{"from": first[-1]}) as response:
        assert [data.get("token") for _, data in await whole(response)] == ["b", None]


async def test_from_the_end(http: aiohttp.ClientSession) -> None:
    """`from=$` passes over what is there."""
    await produce(http, "old")
    async with tail(http, headers=IN_LINES, **{"from": "$"}) as response:
        await produce(http, "new")
        assert (await line(response))["message"]["token"] == "new"


@pytest.mark.parametrize("params", [{"sessionId": S}, {"modelId": M}, {"sessionId": "a:b", "modelId": M}, {}])
async def test_names_a_stream(http: aiohttp.ClientSession, params: dict[str, str]) -> None:
    """A tail needs a stream, named by its rules."""
    async with http.get("/v1/tail", params=params) as response:
        await problem(response, 400, "invalid_message")


async def test_key_of_another_kind(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A key that holds no stream cannot be followed."""
    await redis.set(KEY, "canary")
    async with tail(http) as response:
        assert "canary" not in (await problem(response, 409, "wrong_type"))["detail"]


@pytest.mark.parametrize(("headers", "ping"), [({}, b": ping\n\n"), (IN_LINES, b'{"ping":true}\n')])
async def test_silence_is_broken(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], ping: bytes
) -> None:
    """A tail without messages says now and then that it is alive, in a way that no reader takes for one."""
    monkeypatch.setattr(consume, "PING_S", 0.05)
    async with http.put("/v1/streams", json=STREAM):
        pass
    async with tail(http, headers=headers) as response:
        assert await response.content.readexactly(2 * len(ping)) == 2 * ping
        await produce(http, "a")
        await response.content.readuntil(b'"token":"a"')


@LOOPS
@pytest.mark.parametrize("headers", [{}, IN_LINES], ids=["events", "lines"])
async def test_a_drain_ends_tails(start_sidecar: StartSidecar, loop: str, headers: dict[str, str]) -> None:
    """A sidecar that stops ends its tails with an error that says so, so that readers resume elsewhere."""
    sidecar = start_sidecar(loop=loop, drain_s=60.0)
    async with session(sidecar.path) as http:
        await produce(http, "a")
        async with tail(http, headers=headers) as response:
            await response.content.readline()
            sidecar.begin_stop()
            rest = (await response.read()).decode()
    assert '"code":"draining"' in rest
    assert ("event: error\n" in rest) is (not headers)


async def test_redis_restarts_under_the_reader(own_server: Any, start_sidecar: StartSidecar) -> None:
    """A tail outlives its Redis' absence, and passes on what comes after."""
    server = own_server(config=("appendonly yes", "appendfsync always"))
    sidecar = start_sidecar(url=server.url, tail={"block_ms": 200}, append={"deadline_ms": 15_000})
    async with session(sidecar.path) as http:
        await produce(http, "a")
        async with tail(http, headers=IN_LINES) as response:
            assert (await line(response))["message"]["token"] == "a"
            server.restart()
            await produce(http, "b", complete="stop")
            assert (await line(response))["message"]["token"] == "b"
            assert await line(response) == {"end": True}
