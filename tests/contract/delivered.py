"""What tests of consumer groups look at again and again."""

from __future__ import annotations

from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery
from tests.support.tokens import KEY, token_of

BRIEF = {"max_deliveries": 3, "claim_idle_ms": 200}


def tokens(deliveries: list[Delivery]) -> list[str]:
    return [token_of(delivery.entry) for delivery in deliveries]


async def pending(redis: Redis, group: str = "g") -> int:
    """Entries of the stream that the group was handed and has not acknowledged."""
    count: int = (await redis.xpending(KEY, group))["pending"]
    return count
