"""A model server's answer, relayed as it streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from tests.client.streams import eventually, messages_in
from tests.support.http import session

EVENTS = [
    b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n',
    b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\nda',
    b'ta: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n',
    b"data: [DONE]\n\n",
]


async def test_an_answer_is_relayed_as_it_streams(bridge: Bridge, redis: Redis) -> None:
    """The chunks of a model server become the messages of a generation, with its finish reason."""

    async def events() -> AsyncIterator[bytes]:
        for piece in EVENTS:
            yield piece
            await asyncio.sleep(0.01)

    relayed = await bridge.relay("s", "m", events())
    messages = await messages_in(redis, "s")
    assert "".join(message["token"] for message in messages) == "Hello"
    assert messages[-1]["payload"]["finishReason"] == "length"
    assert relayed.messages == len(messages)
    assert relayed.last_ack is not None
    assert relayed.last_ack.sequence == len(messages)


async def test_a_relayed_answer_belongs_to_its_request(bridge: Bridge, sidecar: Path, redis: Redis) -> None:
    """To the span that asked for it, and to the time when it did, from which the wait for its first token counts."""

    async def events() -> AsyncIterator[bytes]:
        for piece in EVENTS:
            yield piece

    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bridge.relay("s", "m", events(), traceparent=traceparent, requested_at=time.time_ns() // 1_000_000 - 1500)
    _, fields = (await redis.xrange("llm:stream:s:m"))[0]
    assert fields[b"traceparent"].decode() == traceparent
    async with session(sidecar) as http, http.get("/metrics") as response:
        metrics = await response.text()
    assert 'gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat"' in metrics


async def test_a_relayed_answer_that_breaks_off_ends_with_error(bridge: Bridge, redis: Redis) -> None:
    """The app gets the model server's own exception, readers an end."""

    async def events() -> AsyncIterator[bytes]:
        yield EVENTS[0]
        await asyncio.sleep(0.05)
        raise ConnectionAbortedError("the model server has gone")

    with pytest.raises(ConnectionAbortedError, match="model server"):
        await bridge.relay("s", "m", events())
    await eventually(lambda: is_ended_with_error(redis))


async def is_ended_with_error(redis: Redis) -> bool:
    messages = await messages_in(redis, "s")
    return bool(messages) and messages[-1]["payload"].get("finishReason") == "error"
