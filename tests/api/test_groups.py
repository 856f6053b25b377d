"""Groups and their entries: where they begin, what is handed out, once, to whom, acks and nacks, what is refused."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.grouped import GROUP, READ, create, produce, read, settle, tokens
from tests.support.http import KEY, STREAM, M, S, problem, session
from tests.support.sidecar import StartSidecar


async def test_create(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A group is made once, with its stream if that is not there yet; made again it is found."""
    await create(http)
    await create(http, status=200)
    assert await redis.type(KEY) == b"stream"


@pytest.mark.parametrize(("start", "wanted"), [("0", ["a", "b"]), ("$", []), (None, ["a", "b"])])
async def test_create_from(http: aiohttp.ClientSession, start: str | None, wanted: list[str]) -> None:
    """A group begins where it is told to: at the start unless said otherwise, at the end, or behind an entry."""
    await produce(http, "a", "b")
    more: dict[str, Any] = {} if start is None else {"start": start}
    await create(http, **more)
    assert tokens(await read(http)) == wanted


async def test_create_behind_an_entry(http: aiohttp.ClientSession) -> None:
    """A group that begins in mid-stream knows how far it lags behind."""
    first, _ = await produce(http, "a", "b")
    await create(http, start=first)
    async with http.get(f"/v1/streams/{S}/{M}") as response:
        (group,) = (await response.json())["groups"]
    assert (group["group"], group["lag"], group["lastDeliveredId"]) == ("g", 1, first)
    assert tokens(await read(http)) == ["b"]


@pytest.mark.parametrize("start", ["1", "-", "+", "a-b", "01-1", "1-99999999999999999999", ""])
async def test_create_from_no_entry_id(http: aiohttp.ClientSession, redis: Redis, start: str) -> None:
    """A start that is none is refused rather than read as the start or the end of the stream."""
    async with http.put("/v1/groups", json=GROUP | {"start": start}) as response:
        await problem(response, 400, "invalid_id")
    assert await redis.exists(KEY) == 0


@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "a\nb", "ü", None, 5])
async def test_names(http: aiohttp.ClientSession, name: Any) -> None:
    """Names of groups and consumers keep their rule in every call that takes them."""
    calls = (
        ("PUT", "/v1/groups", STREAM | {"group": name}),
        ("POST", "/v1/messages/read", READ | {"group": name}),
        ("POST", "/v1/messages/read", READ | {"consumer": name}),
        ("POST", "/v1/messages/ack", STREAM | {"group": name, "entryIds": ["1-1"]}),
        ("PUT", "/v1/streams", STREAM | {"config": {"consumerGroup": name}}),
    )
    for method, path, body in calls[: 4 if name is None else 5]:
        async with http.request(method, path, json=body) as response:
            await problem(response, 400, "invalid_message")


async def test_read_and_ack(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Each entry is handed to one consumer, in order, at most `count` at once, and is settled by its ack."""
    ids = await produce(http, *"abcde")
    await create(http)
    first = await read(http, count=2)
    second = await read(http, consumer="d")
    assert tokens(first) + tokens(second) == list("abcde")
    assert [each["entryId"] for each in first + second] == ids
    assert {each["deliveryCount"] for each in first + second} == {1}
    assert first[0]["message"]["metadata"]["sequence"] == 1
    assert await settle(http, "ack", ids[:4]) == 4
    assert await settle(http, "ack", ids[:4]) == 0
    pending: Any = await redis.xpending(KEY, "g")
    assert (pending["pending"], pending["min"]) == (1, ids[4].encode())


async def test_messages_that_are_none(http: aiohttp.ClientSession, redis: Redis) -> None:
    """An entry that holds no JSON is handed out with null for its message; one that does is one line, as it is."""
    await redis.xadd(KEY, {"data": "{canary"}, id="1-0")
    await redis.xadd(KEY, {"other": "x"}, id="2-0")
    await redis.xadd(KEY, {"data": '{\n"pretty":\r\n1}'}, id="3-0")
    await create(http)
    assert [each["message"] for each in await read(http)] == [None, None, {"pretty": 1}]


@pytest.mark.parametrize("ids", [[], ["x"], ["1-1"] * 1001, ["1"], ["$"], "1-1", [None]], ids=repr)
async def test_ids_to_settle(http: aiohttp.ClientSession, ids: Any) -> None:
    """Ids that are none, or too many at once, are refused in words of their own."""
    await create(http)
    for how in ("ack", "nack"):
        async with http.post(f"/v1/messages/{how}", json=GROUP | {"entryIds": ids}) as response:
            code = "invalid_id" if ids in (["x"], ["1"], ["$"]) else "invalid_message"
            await problem(response, 400, code)


@pytest.mark.parametrize(("count", "block_ms"), [(0, 0), (1001, 0), (1, -1), (1, 60_001), ("many", 0), (1.5, 0)])
async def test_bounds_of_a_read(http: aiohttp.ClientSession, count: Any, block_ms: Any) -> None:
    """Counts and waits beyond their bounds are refused."""
    async with http.post("/v1/messages/read", json=READ | {"count": count, "blockMs": block_ms}) as response:
        await problem(response, 400, "invalid_message")


async def test_what_is_not_there(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A missing group, a stream that never was, one that is gone and a key of another kind are told apart."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("read", READ),
        ("ack", GROUP | {"entryIds": ["1-1"]}),
        ("nack", GROUP | {"entryIds": ["1-1"]}),
    ]
    await produce(http, "a")
    async with http.post("/v1/messages/read", json=READ) as response:
        await problem(response, 404, "group_not_found")
    await redis.set("llm:stream:s-1:text", "canary")
    for call, body in calls:
        async with http.post(f"/v1/messages/{call}", json=body | {"modelId": "text"}) as response:
            document = await problem(response, 409, "wrong_type")
            assert "canary" not in document["detail"]


async def test_read_of_a_stream_that_is_gone(http: aiohttp.ClientSession) -> None:
    """A read of a stream that was deleted says so, with and without a wait."""
    await produce(http, "a")
    await create(http)
    async with http.delete(f"/v1/streams/{S}/{M}") as response:
        assert response.status == 204
    for block_ms in (0, 60_000):  # longer than the client would wait
        async with http.post("/v1/messages/read", json=READ | {"blockMs": block_ms}) as response:
            assert (await response.json())["code"] in {"stream_gone", "group_not_found"}


async def test_nack_delivers_again_at_once(http: aiohttp.ClientSession) -> None:
    """What is given back is there at the next read, counted up, for whichever consumer comes first."""
    first, second = await produce(http, "a", "b")
    await create(http)
    await read(http)
    assert await read(http, consumer="d") == []
    assert await settle(http, "nack", [first, "1-1"], reason="busy") == 1
    again = await read(http, consumer="d")
    assert [(each["entryId"], each["deliveryCount"]) for each in again] == [(first, 2)]
    assert await settle(http, "ack", [first, second]) == 2


async def test_a_consumer_that_comes_back_finds_its_pending(start_sidecar: StartSidecar) -> None:
    """After a restart of the sidecar a consumer is handed what it had not acknowledged, counted up."""
    first = start_sidecar()
    async with session(first.path) as http:
        (entry,) = await produce(http, "a")
        await create(http)
        assert tokens(await read(http)) == ["a"]
    first.begin_stop()
    first.wait()
    async with session(start_sidecar().path) as http:
        (again,) = await read(http)
        assert (again["entryId"], again["deliveryCount"]) == (entry, 2)
        assert await read(http) == []
