"""Live tails: every message once, in order, from any point, to an end; each way to fail has an answer of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from rlb.api import consume
from tests.support.http import KEY, NDJSON, SSE, STREAM, M, S, events, lines, problem, session, token
from tests.support.sidecar import StartSidecar

Responses = AsyncIterator[aiohttp.ClientResponse]
IN_LINES = {"Accept": NDJSON}
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


async def produce(http: aiohttp.ClientSession, *tokens: str, complete: str | None = None) -> list[str]:
    """Entry ids of tokens; with `complete`, the last one ends the generation."""
    bodies = [token(text) for text in tokens]
    if complete is not None:
        bodies[-1]["complete"] = complete
    async with http.post("/v1/tokens", data=lines(bodies), headers={"Content-Type": NDJSON}) as response:
        return [json.loads(line)["entryId"] for line in (await response.read()).splitlines()]


@asynccontextmanager
async def tail(http: aiohttp.ClientSession, *, headers: Any = None, **params: str) -> Responses:
    async with http.get("/v1/tail", params=STREAM | params, headers=headers) as response:
        yield response


async def whole(response: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    """Name and data of every event, to the end."""
    return [(event.name, event.data) async for event in events(response)]


async def line(response: aiohttp.ClientResponse) -> Any:
    return json.loads(await response.content.readline())


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
