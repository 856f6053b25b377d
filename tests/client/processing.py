"""What the tests of the processor have it work on, and what it sets aside."""

from __future__ import annotations

from rlb import Bridge


async def write(bridge: Bridge, session_id: str, tokens: list[str], reason: str = "stop") -> None:
    async with bridge.generation(session_id, "m") as generation:
        for token in tokens:
            await generation.produce(token)
        await generation.complete(reason)


async def has_dead_letters(bridge: Bridge, group: str, count: int) -> bool:
    return len(await bridge.dead_letters(group)) == count
