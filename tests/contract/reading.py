"""What Redis has to do with the shared reader: its connections, and the reads that they make."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from tests.support.assertions import eventually


async def _readers(redis: Redis) -> list[dict[str, str]]:
    clients: list[dict[str, str]] = await redis.client_list()
    return [client for client in clients if client["name"].startswith("rlb:reader")]


async def reader_connections(redis: Redis) -> int:
    """Connections that Redis has for blocking reads."""
    return len(await _readers(redis))


async def read_count(redis: Redis) -> int:
    """Blocking reads that Redis has executed since its statistics were reset."""
    stats: dict[str, Any] = await redis.info("commandstats")
    found = stats.get("cmdstat_xread")
    return int(found["calls"]) if found else 0


async def reads_are_over(redis: Redis) -> None:
    """Wait until no read is blocked in Redis: one that is counts when it ends."""

    async def none_blocks() -> bool:
        return not any("b" in client["flags"] for client in await _readers(redis))

    await eventually(none_blocks)
