"""What tests of consumer groups look at again and again."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery
from tests.support.tokens import KEY, token_of

LONG_S = 3600.0
"""A read that waits for so long, and ends before the test's patience does, was woken."""

BRIEF = {"max_deliveries": 3, "claim_idle_ms": 200}


def tokens(deliveries: list[Delivery]) -> list[str]:
    return [token_of(delivery.entry) for delivery in deliveries]


async def leave_alone(redis: Redis, consumer: str, deliveries: list[Delivery], idle_ms: int, group: str = "g") -> None:
    """Have Redis take it that nothing was heard of a consumer's deliveries for so long."""
    ids: Any = [str(delivery.entry.id) for delivery in deliveries]
    await redis.xclaim(KEY, group, consumer, 0, ids, idle=idle_ms, justid=True)


async def pending(redis: Redis, group: str = "g") -> int:
    """Entries of the stream that the group was handed and has not acknowledged."""
    count: int = (await redis.xpending(KEY, group))["pending"]
    return count
