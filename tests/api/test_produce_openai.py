"""Producing from OpenAI's event stream: its chunks become messages, and the generation always ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from rlb.api.openai_events import DONE
from tests.api.produced import entries
from tests.support.http import SSE, STREAM, Conversation, M, S, problem
from tests.support.openai_chunks import ROLE, USAGE, chat


async def openai(http: aiohttp.ClientSession, *stream: bytes, **params: str) -> list[dict[str, Any]]:
    body = b"".join(b"data: %b\n\n" % event for event in stream)
    async with http.post("/v1/tokens", params=STREAM | params, data=body, headers={"Content-Type": SSE}) as response:
        assert (response.status, response.content_type) == (200, "application/x-ndjson")
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_openai_stream(http: aiohttp.ClientSession, redis: Redis) -> None:
    """An answer as vLLM streams it: one ack for each message it makes, and the end with the reason it carried."""
    acks = await openai(http, ROLE, chat("Hel"), chat("lo"), chat(finish="length"), USAGE, DONE)
    assert [ack["sequence"] for ack in acks] == [1, 2, 3]
    messages = [message for _, message in await entries(redis)]
    assert [message["token"] for message in messages] == ["Hel", "lo", ""]
    assert [message["metadata"]["model"] for message in messages[:2]] == ["llama", "llama"]
    assert messages[-1]["payload"]["finishReason"] == "length"


@pytest.mark.parametrize(
    ("stream", "reason"),
    [([chat("a"), DONE], "stop"), ([chat("a")], "error"), ([chat("a"), b'{"error":{"message":"canary"}}'], "error")],
    ids=["done", "cut-off", "error-object"],
)
async def test_openai_stream_always_ends(
    http: aiohttp.ClientSession, redis: Redis, stream: list[bytes], reason: str
) -> None:
    """Without a finish reason the generation is still ended, as what it was; the server's words are not stored."""
    await openai(http, *stream)
    messages = [message for _, message in await entries(redis)]
    assert [message["payload"].get("finishReason") for message in messages] == [None, reason]
    assert "canary" not in json.dumps(messages)


async def test_openai_server_dies(http: aiohttp.ClientSession, redis: Redis) -> None:
    """When the connection breaks in mid-answer, readers are told that there will be no more."""
    async with Conversation(http, "/v1/tokens", SSE, **STREAM) as conversation:
        conversation.send(b"data: " + chat("a") + b"\n\n")
        assert (await conversation.hear())["sequence"] == 1
        assert conversation.response.connection is not None
        assert conversation.response.connection.transport is not None
        conversation.response.connection.transport.abort()
    async with asyncio.timeout(15):
        while len(found := await entries(redis)) < 2:
            await asyncio.sleep(0.01)
    assert found[-1][1]["payload"]["finishReason"] == "error"


async def test_openai_events_that_are_refused(http: aiohttp.ClientSession, redis: Redis) -> None:
    """What is no chunk of this answer gets an error line in its place, and the rest goes on."""
    answers = await openai(http, chat("a"), b"{canary", chat("b", index=1), chat("c"), DONE)
    assert [answer.get("error", {}).get("code") for answer in answers] == [
        None,
        "invalid_json",
        "invalid_message",
        None,
        None,
    ]
    assert "canary" not in json.dumps(answers)
    assert [message["token"] for _, message in await entries(redis)] == ["a", "c", ""]


@pytest.mark.parametrize(
    "params",
    [
        *({}, {"sessionId": S}, {"modelId": M}, {"sessionId": "a:b", "modelId": M}),
        *(STREAM | {"requestedAt": text} for text in ("", "-1", "1.5", "soon", "9" * 30)),
    ],
)
async def test_openai_stream_names_its_stream(http: aiohttp.ClientSession, params: dict[str, str]) -> None:
    """Chunks do not say where they belong, so the query has to; that is checked before a response begins."""
    async with http.post("/v1/tokens", params=params, data=b"", headers={"Content-Type": SSE}) as response:
        await problem(response, 400, "invalid_message")
