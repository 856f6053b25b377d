"""The window of a generation: how much is unacknowledged before the producer has to wait."""

from __future__ import annotations

import asyncio

from rlb import Bridge
from rlb.client.generation import WINDOW_LINES
from tests.servers.proxy import FaultProxy


async def test_a_full_window_holds_the_producer(shaky: Bridge, proxy: FaultProxy) -> None:
    """Without acks exactly a window of tokens is taken; with them the producer goes on."""
    async with shaky.generation("s", "m", window=10) as generation:
        await generation.produce("first")
        await generation.flush()
        proxy.freeze()

        async def produce() -> None:
            for number in range(30):
                await generation.produce(str(number))

        producing = asyncio.create_task(produce())
        await asyncio.sleep(0.1)
        assert generation.unacked == 10
        assert not producing.done()
        proxy.thaw()
        await producing
    assert generation.acked == 32


async def test_a_full_window_of_bytes_holds_the_producer(shaky: Bridge, proxy: FaultProxy) -> None:
    """Large tokens fill the window before there are many; one that is larger than the window still goes."""
    half = "x" * 600_000
    async with shaky.generation("s", "m") as generation:
        await generation.produce(half)
        await generation.flush()
        proxy.freeze()
        await generation.produce(half)
        waiting = asyncio.create_task(generation.produce(half))
        await asyncio.sleep(0.1)
        assert generation.unacked == 1
        assert not waiting.done()
        proxy.thaw()
        await waiting
    assert generation.acked == 4


def test_the_window_is_within_what_the_sidecar_recognises() -> None:
    """All that may be sent again fits twice into the window in which repeated messages are recognised."""
    from rlb.settings import StreamSettings

    assert StreamSettings().dedupe_entries >= 2 * WINDOW_LINES
