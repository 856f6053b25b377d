"""Several generations of one stream: the newer one fences the older, and those that follow each other do not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from rlb.errors import FencedError
from tests.client.streams import tokens_in


@pytest.mark.parametrize("where", ["same bridge", "other bridge"])
async def test_another_writer_fences_the_generation(bridge: Bridge, redis: Redis, sidecar: Path, where: str) -> None:
    """The newer generation has the stream; the older one is told, and adds nothing, not even its end."""

    async def answer(rival: Bridge) -> None:
        async with bridge.generation("s", "m") as old:
            await old.produce("old")
            await old.flush()
            async with rival.generation("s", "m") as new:
                await new.produce("new")
                await new.flush()
                with suppress(FencedError):
                    await old.produce("late")
                with pytest.raises(FencedError):
                    await old.flush()
                await new.produce("newer")
            await old.produce("later")

    async with Bridge(sidecar) as other:
        with pytest.raises(FencedError):
            await answer(bridge if where == "same bridge" else other)
    assert await tokens_in(redis, "s") == ["old", "new", "newer", ""]


async def test_the_end_of_the_block_raises_what_failed(bridge: Bridge, redis: Redis, sidecar: Path) -> None:
    """A failure that nobody asked for is raised at the latest when the block is left."""

    async def answer(other: Bridge) -> None:
        async with bridge.generation("s", "m") as old:
            await old.produce("old")
            await old.flush()
            async with other.generation("s", "m") as new:
                await new.produce("new")
            await old.produce("late")

    async with Bridge(sidecar) as other:
        with pytest.raises(FencedError):
            await answer(other)
    assert await tokens_in(redis, "s") == ["old", "new", ""]


async def test_generations_of_one_stream_may_follow_each_other(bridge: Bridge, redis: Redis) -> None:
    """A conversation is one stream: each answer ends before the next begins, and none fences another."""
    for turn in range(3):
        async with bridge.generation("s", "m") as generation:
            await generation.produce(f"turn {turn}")
    assert await tokens_in(redis, "s") == ["turn 0", "", "turn 1", "", "turn 2", ""]
