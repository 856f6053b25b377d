"""What the tests read straight from Redis, past the client that they test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

PATIENCE_S = 20.0


async def messages_in(redis: Redis, session_id: str, model_id: str = "m") -> list[dict[str, Any]]:
    """The messages that stand in a stream, in order."""
    rows = await redis.xrange(f"llm:stream:{session_id}:{model_id}")
    return [json.loads(fields[b"data"]) for _, fields in rows]


async def tokens_in(redis: Redis, session_id: str, model_id: str = "m") -> list[str]:
    """Their tokens."""
    return [message["token"] for message in await messages_in(redis, session_id, model_id)]


async def pending_in(redis: Redis, session_id: str, group: str, model_id: str = "m") -> int:
    """How many entries of a stream a group has been handed and has not acknowledged."""
    summary: dict[str, Any] = await redis.xpending(f"llm:stream:{session_id}:{model_id}", group)
    pending: int = summary["pending"]
    return pending


async def eventually(is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it is so; fail if it does not get so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            outcome = is_so()
            if outcome if isinstance(outcome, bool) else await outcome:
                return
            await asyncio.sleep(0.01)
