"""Calls to a stream: a token or a whole message written to it; made, listed, trimmed and deleted."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from rlb import Bridge, Metadata, Payload, StreamConfig, StreamMessage
from rlb.errors import (
    StreamGoneError,
    StreamNotFoundError,
)
from tests.client.streams import messages_in

ODD_MODELS = ["meta-llama/Llama-3.1-8B-Instruct", "llama3.1:8b", "a//b", "a/../b", "./x", "a+b=c@d~e", "m" * 256]


async def test_a_token_is_written_once_for_its_message_id(bridge: Bridge, redis: Redis) -> None:
    """A repeated call is answered with the entry of the first, and says so."""
    first = await bridge.produce_token("s", "m", "a", message_id="id-1", temperature=0.5, max_tokens=7, role="user")
    again = await bridge.produce_token("s", "m", "a", message_id="id-1")
    assert (first.sequence, first.message_id, first.durability, first.duplicate) == (1, "id-1", "written", False)
    assert again == type(again)("id-1", first.entry_id, 1, "written", duplicate=True)
    (message,) = await messages_in(redis, "s")
    assert message["metadata"]["temperature"] == 0.5
    assert message["metadata"]["maxTokens"] == 7
    assert message["payload"]["role"] == "user"


async def test_a_deleted_stream_is_gone(bridge: Bridge) -> None:
    """Deleting it again tells it from one that never was."""
    await bridge.produce_token("s", "m", "a")
    await bridge.delete_stream("s", "m")
    with pytest.raises(StreamGoneError):
        await bridge.delete_stream("s", "m")


async def test_a_whole_message_is_written(bridge: Bridge, redis: Redis) -> None:
    """AddMessage keeps what the app says, members beyond the guide's too, and assigns the sequence."""
    metadata = Metadata(timestamp=5, sequence=99, is_complete=True, model="other", more="kept")  # type: ignore[call-arg]
    payload = Payload(content="text", role="user", finish_reason="length")
    ack = await bridge.add_message(
        StreamMessage(id="id-1", session_id="s", model_id="m", token="t", metadata=metadata, payload=payload)
    )
    assert (ack.message_id, ack.sequence) == ("id-1", 1)
    (message,) = await messages_in(redis, "s")
    assert message["metadata"] == {
        "timestamp": 5,
        "sequence": 1,
        "isComplete": True,
        "model": "other",
        "more": "kept",
    }
    assert message["payload"] == {"content": "text", "role": "user", "finishReason": "length"}


@pytest.mark.parametrize("model_id", ODD_MODELS)
async def test_model_ids_reach_their_own_stream(bridge: Bridge, model_id: str) -> None:
    """Slashes, dots and signs of a model id mean nothing to the path: every call finds the same stream."""
    await bridge.produce_token("s", model_id, "a")
    await bridge.mark_complete("s", model_id, "length")
    info = await bridge.stream_info("s", model_id)
    assert (info.model_id, info.length, info.complete) == (model_id, 2, True)
    assert [message.token async for message in bridge.tail("s", model_id)] == ["a", ""]
    await bridge.delete_stream("s", model_id)
    assert (await bridge.streams(model_id=model_id)).streams == ()


async def test_streams_are_made_listed_trimmed_and_deleted(bridge: Bridge) -> None:
    """Management goes by the bridge as well."""
    assert await bridge.create_stream("made", "m", StreamConfig(max_length=50, retention_ms=60_000, consumer_group="g"))
    assert not await bridge.create_stream("made", "m")
    info = await bridge.stream_info("made", "m")
    assert (info.max_length, info.retention_ms, [group.group for group in info.groups]) == (50, 60_000, ["g"])
    for number in range(3):
        for _ in range(number + 1):
            await bridge.produce_token(f"s-{number}", "m", "a")
    page = await bridge.streams(sort="length", limit=2)
    assert [stream.session_id for stream in page.streams] == ["s-2", "s-1"]
    assert page.next_cursor is not None
    rest = await bridge.streams(sort="length", limit=2, cursor=page.next_cursor)
    assert [stream.session_id for stream in rest.streams] == ["s-0", "made"]
    assert rest.next_cursor is None
    assert await bridge.trim_stream("s-2", "m", max_length=0) == 3
    assert await bridge.trim_stream("s-1", "m", older_than_ms=3_600_000) == 0
    await bridge.delete_stream("s-0", "m")
    with pytest.raises(StreamNotFoundError):
        await bridge.delete_stream("never", "m")
