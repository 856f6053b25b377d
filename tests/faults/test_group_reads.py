"""Group reads that are cancelled or cut: every entry is delivered and acknowledged in the end."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery
from rlb.errors import ApiError
from tests.conftest import MakeFaultProxy
from tests.servers.process import RedisServer
from tests.support.cores import RunningCore, StartCore
from tests.support.loops import allow
from tests.support.tokens import KEY, token_of

READS = 1000
ENTRIES = 3000
CUT_EVERY = 40
"""Every so many reads a connection is cut instead of the read cancelled."""


async def acknowledge(core: RunningCore, deliveries: list[Delivery], seen: set[str]) -> None:
    """Settle what was handed out; an ack that a cut connection may have swallowed is sent again."""
    seen.update(token_of(delivery.entry) for delivery in deliveries)
    while deliveries:
        try:
            await core.acknowledge("g", deliveries)
        except ApiError:
            await asyncio.sleep(0.01)
        else:
            return


@pytest.mark.timeout(120)
async def test_no_read_strands_an_entry(
    valkey: RedisServer, redis: Redis, fault_proxy: MakeFaultProxy, start_core: StartCore
) -> None:
    """1,000 reads, cancelled at random moments or cut off from Redis: nothing stays pending, nothing is passed over."""
    allow(100)
    proxy = await fault_proxy(valkey)
    writer = await start_core(valkey.url).ready()
    # So long that nothing comes back by being claimed: what a read has taken must come back by itself.
    patient, quick = {"claim_idle_ms": 3_600_000}, {"backoff_max_s": 0.05}
    core = await start_core(proxy.url, groups=patient, redis=quick, tail={"block_ms": 100}).ready()
    await core.core.groups.create(core.stream(), "g")
    chance = random.Random(11)
    seen: set[str] = set()
    cancelled = cut = 0
    connection = writer.connection()
    for number in range(READS):
        for _ in range(ENTRIES // READS):
            connection.send(str(len(connection.sent)))
        reading = asyncio.create_task(core.read("g", "c", count=5, block_s=0.05))
        if number % CUT_EVERY == 0:
            proxy.timeout_replies(carrying=b"XREADGROUP")
            cut += 1
        else:
            await asyncio.sleep(chance.choice((0, 0, 0.0002, 0.0005, 0.001)))
            cancelled += reading.cancel()
        try:
            deliveries = await reading
        except (ApiError, asyncio.CancelledError):
            continue
        await acknowledge(core, deliveries, seen)
    await connection.answers()
    while len(seen) < ENTRIES:
        await acknowledge(core, await core.read("g", "c", count=100, block_s=2), seen)
    assert seen == {str(number) for number in range(ENTRIES)}
    assert (await redis.xpending(KEY, "g"))["pending"] == 0
    assert cancelled > READS // 4
    print(f"{READS} reads, {cancelled} cancelled, {cut} cut off: 0 of {ENTRIES} entries stranded")  # noqa: T201 - the figure of the run
