"""Reading as a consumer of a group: what is handed out, once, to whom, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.conftest import OwnServer
from tests.support.http import KEY, STREAM, M, S, problem, session, token
from tests.support.sidecar import StartSidecar

GROUP = STREAM | {"group": "g"}
READ = GROUP | {"consumer": "c"}


async def produce(http: aiohttp.ClientSession, *tokens: str, **more: Any) -> list[str]:
    """Entry ids of tokens."""
    ids = []
    for text in tokens:
        async with http.post("/v1/tokens", json=token(text, **more)) as response:
            assert response.status == 201
            ids.append((await response.json())["entryId"])
    return ids


async def create(http: aiohttp.ClientSession, status: int = 201, **more: Any) -> None:
    async with http.put("/v1/groups", json=GROUP | more) as response:
        assert response.status == status, await response.text()
        assert await response.json() == {"created": status == 201}


async def read(http: aiohttp.ClientSession, **more: Any) -> list[dict[str, Any]]:
    async with http.post("/v1/messages/read", json=READ | more) as response:
        assert (response.status, response.content_type) == (200, "application/json"), await response.text()
        answer = await response.json()
    assert set(answer) == {"messages"}
    messages: list[dict[str, Any]] = answer["messages"]
    assert all(set(each) == {"entryId", "deliveryCount", "message"} for each in messages)
    return messages


def tokens(messages: list[dict[str, Any]]) -> list[str]:
    return [each["message"]["token"] for each in messages]


async def settle(http: aiohttp.ClientSession, how: str, ids: list[str], **more: Any) -> int:
    async with http.post(f"/v1/messages/{how}", json=GROUP | {"entryIds": ids} | more) as response:
        assert response.status == 200, await response.text()
        answer = await response.json()
    assert set(answer) == {"acknowledged"}
    count: int = answer["acknowledged"]
    return count


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


async def test_dead_letters(start_sidecar: StartSidecar, redis: Redis) -> None:
    """After so many deliveries an entry is set aside with its reason; it can be listed, replayed and dropped."""
    sidecar = start_sidecar(groups={"max_deliveries": 2, "claim_idle_ms": 200})
    async with session(sidecar.path) as http:
        entry, other = await produce(http, "poison", "also")
        await create(http)
        for count in (1, 2):
            messages = await read(http, blockMs=10_000)
            assert {each["deliveryCount"] for each in messages} == {count}
            assert await settle(http, "nack", [entry, other], reason="cannot parse") == 2
        assert await read(http) == []
        async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
            assert response.status == 200
            letters = (await response.json())["deadLetters"]
        assert [letter["entryId"] for letter in letters] == [entry, other]
        poison = letters[0]
        assert poison.pop("message")["token"] == "poison"
        letter_id, last_id = poison.pop("id"), letters[1]["id"]
        assert poison == {
            "stream": KEY,
            "entryId": entry,
            "consumer": "c",
            "deliveries": 2,
            "reason": "cannot parse",
        }
        pending: Any = await redis.xpending(KEY, "g")
        assert pending["pending"] == 0
        async with http.get("/v1/dead-letters", params={"group": "g", "after": letter_id, "limit": "1"}) as response:
            assert [letter["entryId"] for letter in (await response.json())["deadLetters"]] == [other]
        async with http.post("/v1/dead-letters/replay", json={"group": "g", "ids": [letter_id, "1-1"]}) as response:
            assert (response.status, await response.json()) == (200, {"replayed": [letter_id]})
        again = await read(http, blockMs=10_000)
        assert [(each["entryId"], each["deliveryCount"]) for each in again] == [(entry, 1)]
        async with http.post("/v1/dead-letters/drop", json={"group": "g", "ids": [last_id, "1-1"]}) as response:
            assert (response.status, await response.json()) == (200, {"dropped": 1})
        async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
            assert await response.json() == {"deadLetters": []}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "invalid_message"),
        ({"group": "a b"}, "invalid_message"),
        ({"group": "g", "after": "x"}, "invalid_id"),
        ({"group": "g", "limit": "0"}, "invalid_message"),
        ({"group": "g", "limit": "1001"}, "invalid_message"),
        ({"group": "g", "limit": "-1"}, "invalid_message"),
        ({"group": "g", "limit": "٣"}, "invalid_message"),
    ],
    ids=str,
)
async def test_dead_letters_of_what(http: aiohttp.ClientSession, params: dict[str, str], code: str) -> None:
    """The page of dead letters keeps its parameters' rules."""
    async with http.get("/v1/dead-letters", params=params) as response:
        await problem(response, 400, code)


async def test_dead_letters_of_a_group_without_any(http: aiohttp.ClientSession) -> None:
    """A group that has none has an empty page; nothing can be replayed or dropped."""
    async with http.get("/v1/dead-letters", params={"group": "g"}) as response:
        assert await response.json() == {"deadLetters": []}
    for call, answer in (("replay", {"replayed": []}), ("drop", {"dropped": 0})):
        async with http.post(f"/v1/dead-letters/{call}", json={"group": "g", "ids": ["1-1"]}) as response:
            assert (response.status, await response.json()) == (200, answer)


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
