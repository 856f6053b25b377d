"""What is produced: a whole message, and the entries that then stand in the stream."""

from __future__ import annotations

import json
from typing import Any

from redis.asyncio import Redis

from tests.support.http import KEY, STREAM


def whole(message_id: str = "msg-1", **more: Any) -> dict[str, Any]:
    """A StreamMessage as the guide has it."""
    message = {
        "id": message_id,
        **STREAM,
        "token": "Hello",
        "metadata": {"timestamp": 1732276800000, "sequence": 99, "isComplete": False, "model": "llama"},
        "payload": {"content": "Hello", "role": "assistant"},
    }
    return message | more


async def entries(redis: Redis, key: str = KEY) -> list[tuple[str, dict[str, Any]]]:
    rows: Any = await redis.xrange(key)
    return [(entry_id.decode(), json.loads(fields[b"data"])) for entry_id, fields in rows]
