"""Producing one message a request: what comes back, what stands in the stream, what is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.api.produced import entries, whole
from tests.servers.process import RedisServer
from tests.support.http import KEY, STREAM, M, problem, session, token
from tests.support.sidecar import RunningSidecar, StartSidecar

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_token(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A token is answered with where it stands, and stands there as the guide's StreamMessage, numbered from 1."""
    before_ms = time.time_ns() // 1_000_000
    for sequence in (1, 2):
        async with http.post("/v1/tokens", json=token("Hé\n")) as response:
            assert (response.status, response.content_type) == (201, "application/json")
            ack = await response.json()
        assert set(ack) == {"messageId", "entryId", "sequence", "durability"}
        assert (ack["sequence"], ack["durability"]) == (sequence, "written")
        entry_id, message = (await entries(redis))[-1]
        assert (ack["entryId"], ack["messageId"]) == (entry_id, message["id"])
        assert entry_id.endswith(f"-{sequence}")
        assert before_ms <= message["metadata"].pop("timestamp") <= time.time_ns() // 1_000_000
        assert message == {
            "id": ack["messageId"],
            **STREAM,
            "token": "Hé\n",
            "metadata": {"sequence": sequence, "isComplete": False, "model": M},
            "payload": {"content": "Hé\n", "role": "assistant"},
        }


async def test_token_with_all_members(http: aiohttp.ClientSession, redis: Redis) -> None:
    """What an app says of a token is kept; the sequence that it gives is not."""
    metadata = {"timestamp": 5, "sequence": 99, "model": "own", "temperature": 0.5, "maxTokens": 7}
    body = token(
        metadata=metadata,
        role="user",
        messageId="m-1",
        ref="r",
        durability="written",
        open=True,
        complete="length",
        traceparent=TRACE,
        requestedAt=5,
    )
    async with http.post("/v1/tokens", json=body) as response:
        assert response.status == 201
        assert (await response.json())["messageId"] == "m-1"
    rows: Any = await redis.xrange(KEY)
    ((_, fields),) = rows
    assert fields[b"traceparent"] == TRACE.encode()
    message = json.loads(fields[b"data"])
    assert message["metadata"] == metadata | {"sequence": 1, "isComplete": True}
    assert message["payload"] == {"content": "hi", "role": "user", "finishReason": "length"}


async def test_repeated_message_id(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A message that comes again is answered with the entry that it has, and is not written again."""
    acks = []
    for _ in range(2):
        async with http.post("/v1/tokens", json=token(messageId="m-1")) as response:
            assert response.status == 201
            acks.append(await response.json())
    assert acks[1] == acks[0] | {"duplicate": True}
    assert await redis.xlen(KEY) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sessionId": "a:b"}, "sessionId"),
        ({"sessionId": ""}, "sessionId"),
        ({"sessionId": "s" * 129}, "sessionId"),
        ({"modelId": "{m}"}, "modelId"),
        ({"modelId": None}, "modelId"),
        ({"token": 5}, "token"),
        ({"role": "robot"}, "role"),
        ({"messageId": "two words"}, "messageId"),
        ({"ref": "r" * 129}, "ref"),
        ({"ref": 1.5}, "ref"),
        ({"durability": "eternal"}, "durability"),
        ({"complete": ""}, "complete"),
        ({"traceparent": "00-x"}, "traceparent"),
        ({"requestedAt": -1}, "requestedAt"),
        ({"metadata": {"temperature": "hot"}}, "metadata.temperature"),
        ({"metadata": {"unknown": 1}}, "metadata.unknown"),
        ({"tokne": "hi"}, "tokne"),
    ],
    ids=str,
)
async def test_refused_members(http: aiohttp.ClientSession, redis: Redis, change: dict[str, Any], named: str) -> None:
    """The problem names the member that is wrong and what was expected, and nothing is written."""
    async with http.post("/v1/tokens", json=token("canary") | change) as response:
        document = await problem(response, 400, "invalid_message")
    assert document["detail"].startswith(f"{named}:") or document["detail"].startswith(f"{named}.")
    assert "canary" not in document["detail"]
    assert await redis.exists(KEY) == 0


async def test_key_of_another_kind(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Where the key holds something else, that is said, and it is left alone."""
    await redis.set(KEY, "mine")
    async with http.post("/v1/tokens", json=token()) as response:
        await problem(response, 409, "wrong_type")
    assert await redis.get(KEY) == b"mine"


async def test_complete(http: aiohttp.ClientSession, redis: Redis) -> None:
    """The end of a generation is an empty last message with the reason, `stop` unless the app says otherwise."""
    for body, reason in ((STREAM, "stop"), (STREAM | {"finishReason": "length", "messageId": "end"}, "length")):
        async with http.post("/v1/streams/complete", json=body) as response:
            assert response.status == 201
            ack = await response.json()
        entry_id, message = (await entries(redis))[-1]
        assert (ack["entryId"], ack["messageId"]) == (entry_id, message["id"])
        assert message["token"] == ""
        assert message["metadata"]["isComplete"] is True
        assert message["payload"] == {"content": "", "role": "assistant", "finishReason": reason}


async def test_message(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A whole message keeps its id and all that it says, but for the sequence, which is assigned."""
    message = whole(metadata=whole()["metadata"] | {"topP": 0.9, "tags": ["a"]})
    async with http.post("/v1/messages", json=message) as response:
        assert response.status == 201
        ack = await response.json()
    assert (ack["messageId"], ack["sequence"]) == ("msg-1", 1)
    ((_, stored),) = await entries(redis)
    assert stored == message | {"metadata": message["metadata"] | {"sequence": 1}}
    async with http.post("/v1/messages", json=message) as response:
        assert await response.json() == ack | {"duplicate": True}


async def test_message_that_ends_a_generation(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A whole message that is complete ends the generation, with its own reason."""
    message = whole(payload={"content": "", "role": "assistant", "finishReason": "length"})
    message["metadata"]["isComplete"] = True
    async with http.post("/v1/messages", json=message) as response:
        assert response.status == 201
    async with http.get("/v1/tail", params=STREAM) as response:
        assert [line for line in (await response.text()).splitlines() if line.startswith("event")] == [
            "event: message",
            "event: end",
        ]


@pytest.mark.parametrize("missing", ["id", "sessionId", "modelId", "token", "metadata", "payload"])
async def test_message_is_whole(http: aiohttp.ClientSession, missing: str) -> None:
    """A message without one of the guide's members is refused."""
    async with http.post("/v1/messages", json={k: v for k, v in whole().items() if k != missing}) as response:
        assert (await problem(response, 400, "invalid_message"))["detail"].startswith(f"{missing}:")


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_stored_messages_are_json_for_everybody(http: aiohttp.ClientSession, redis: Redis, bad: str) -> None:
    """Numbers that JSON does not have are refused: a stored one would break every consumer that is not Python."""
    body = json.dumps(whole()).replace('"metadata": {', f'"metadata": {{"topP": {bad}, ')
    async with http.post("/v1/messages", data=body, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 400, await response.text()
    assert await redis.exists(KEY) == 0


@pytest.mark.parametrize("durability", ["replicated", "fsynced"])
async def test_durability_is_never_claimed_in_vain(http: aiohttp.ClientSession, durability: str) -> None:
    """A server without replica and without AOF has written the message, and no more than that is said."""
    async with http.post("/v1/tokens", json=token(durability=durability)) as response:
        assert response.status == 201
        assert (await response.json())["durability"] == "written"


@pytest.mark.parametrize("shared", ["yes", "1", ""])
async def test_shared_is_true_or_false(http: aiohttp.ClientSession, shared: str) -> None:
    """A flag with another value is told of rather than taken for one of the two."""
    headers = {"Content-Type": "application/x-ndjson"}
    async with http.post("/v1/tokens", params={"shared": shared}, data=b"", headers=headers) as response:
        await problem(response, 400, "invalid_message")


async def test_redis_down(start_sidecar: StartSidecar) -> None:
    """While Redis is away a write waits for its deadline and is then answered 503, to come again later."""
    sidecar = start_sidecar(url="unix:///tmp/rlb-nobody", is_redis_up=False, append={"deadline_ms": 200})
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/tokens", token()),
        ("POST", "/v1/messages", whole()),
        ("POST", "/v1/streams/complete", STREAM),
        ("POST", "/v1/messages/read", STREAM | {"group": "g", "consumer": "c"}),
        ("PUT", "/v1/streams", STREAM),
    ]
    async with aiohttp.ClientSession("http://rlb", connector=aiohttp.UnixConnector(path=str(sidecar.path))) as http:
        for method, path, body in calls:
            start_s = time.monotonic()
            async with http.request(method, path, json=body) as response:
                await problem(response, 503, "redis_unavailable")
            assert time.monotonic() - start_s > 0.15


@pytest.mark.parametrize(
    ("setting", "code"), [("maxmemory", "redis_out_of_memory"), ("min-replicas-to-write", "redis_read_only")]
)
async def test_redis_refuses(own_server: Any, start_sidecar: StartSidecar, setting: str, code: str) -> None:
    """A Redis that is full or may not be written says so by its own code, once the write's deadline has passed."""
    server: RedisServer = own_server()
    server.command("CONFIG", "SET", setting, 1)
    # Long enough for Redis to say so; the other one has the time to see it change.
    hasty = start_sidecar(url=server.url, append={"deadline_ms": 2000})
    patient = start_sidecar(url=server.url, append={"deadline_ms": 60_000})
    async with session(hasty.path) as impatiently, session(patient.path) as patiently:
        waiting = asyncio.create_task(patiently.post("/v1/tokens", json=token(sessionId="s-2")))
        async with impatiently.post("/v1/tokens", json=token()) as response:
            await problem(response, 503, code)
        assert not waiting.done()
        server.command("CONFIG", "SET", setting, "0")
        async with await waiting as response:
            assert response.status == 201


def test_a_peer_that_does_not_wait(sidecar: RunningSidecar, valkey: RedisServer) -> None:
    """A client that hangs up before its answer has its message written all the same: it was accepted."""
    body = json.dumps(token()).encode()
    with sidecar.connect() as client:
        client.send(b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    end_s = time.monotonic() + 15
    while valkey.command("XLEN", KEY) != 1:
        assert time.monotonic() < end_s
        time.sleep(0.005)
