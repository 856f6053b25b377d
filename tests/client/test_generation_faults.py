"""Generations over lost connections, restarted sidecars and rivals: nothing lost, nothing doubled, or an error."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from rlb.client.generation import Generation
from rlb.errors import FencedError, SidecarUnreachableError
from tests.client.conftest import OwnSidecar
from tests.client.sidecars import SidecarProcess
from tests.client.streams import eventually, messages_in, tokens_in
from tests.servers.proxy import FaultProxy

TOKENS = 200


async def answer(bridge: Bridge, session_id: str, pause_s: float = 0.0) -> Generation:
    async with bridge.generation(session_id, "m") as generation:
        for number in range(TOKENS):
            await generation.produce(str(number))
            if pause_s:
                await asyncio.sleep(pause_s)
    return generation


async def is_whole(redis: Redis, session_id: str) -> bool:
    """Every token once and in order, numbered one by one."""
    messages = await messages_in(redis, session_id)
    numbers = [message["metadata"]["sequence"] for message in messages]
    tokens = [message["token"] for message in messages]
    return tokens == [*map(str, range(TOKENS)), ""] and numbers == list(range(1, TOKENS + 2))


async def test_cut_connections_lose_and_double_nothing(shaky: Bridge, proxy: FaultProxy, redis: Redis) -> None:
    """Connections are cut at any byte of a request, or between an append and its ack, under 20 generations."""

    async def cut() -> None:
        for how in ("now", "in a request", "before an ack") * 6:
            await asyncio.sleep(random.uniform(0.05, 0.25))
            match how:
                case "now":
                    proxy.reset_peer()
                case "in a request":
                    proxy.limit_data(random.randrange(1, 3000))
                case _:
                    proxy.timeout_replies()

    await shaky.ready()
    cutting = asyncio.create_task(cut())
    generations = await asyncio.gather(*(answer(shaky, f"s-{number}", 0.015) for number in range(20)))
    await cutting
    assert proxy.cut_count >= 6
    for number, generation in enumerate(generations):
        assert await is_whole(redis, f"s-{number}"), number
        assert generation.acked == TOKENS + 1


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_restarted_sidecar_loses_and_doubles_nothing(own_sidecar: OwnSidecar, redis: Redis, how: str) -> None:
    """A crash or an orderly restart in mid-generation, three times over, is only a pause."""
    sidecar = own_sidecar(RLB_DRAIN_S="1")

    async def restart() -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
            # Back at work: absences that follow each other without an ack between are one to a client's patience.
            before = await entries(redis)
            await eventually(lambda before=before: has_more(redis, before))  # type: ignore[misc]
            await asyncio.to_thread(getattr(sidecar, how))
            await asyncio.to_thread(sidecar.start)

    async with Bridge(sidecar.path) as bridge:
        restarting = asyncio.create_task(restart())
        answers = [answer(bridge, f"s-{number}", 0.0 if number % 2 else 0.01) for number in range(20)]
        # The fast ones begin over and over, so that restarts find generations of every age.
        generations = await asyncio.gather(*answers)
        more = 0
        while not restarting.done():
            generations.append(await answer(bridge, f"more-{more}"))
            more += 1
        await restarting
    for number in range(20):
        assert await is_whole(redis, f"s-{number}"), number
    for number in range(more):
        assert await is_whole(redis, f"more-{number}"), f"more-{number}"
    assert {generation.acked for generation in generations} == {TOKENS + 1}


async def entries(redis: Redis) -> int:
    """How many there are in all streams."""
    return sum([await redis.xlen(key) async for key in redis.scan_iter("llm:stream:*")])


async def has_more(redis: Redis, count: int) -> bool:
    return await entries(redis) > count


async def test_what_landed_before_a_crash_does_not_fence_what_follows(
    own_sidecar: OwnSidecar, short_tmp: Path, redis: Redis
) -> None:
    """Tokens landed and their acks did not: sent again to the next sidecar they are duplicates, and more may follow."""
    sidecar = own_sidecar()
    async with (
        FaultProxy(sidecar.path, short_tmp / "p") as proxy,
        Bridge(proxy.listen_path) as bridge,
        bridge.generation("s", "m") as generation,
    ):
        for number in range(TOKENS):
            if number == 100:
                await generation.flush()
                proxy.timeout_replies(timeout_s=60.0)
            if number == 120:
                await eventually(lambda: stands(redis, "s", 120))
                assert generation.acked == 100
                await asyncio.to_thread(sidecar.kill)
                proxy.reset_peer()
                proxy.disarm()
                await asyncio.to_thread(sidecar.start)
            await generation.produce(str(number))
    assert await is_whole(redis, "s")


async def stands(redis: Redis, session_id: str, count: int) -> bool:
    return len(await tokens_in(redis, session_id)) == count


async def test_a_frozen_sidecar_is_left_for_a_new_connection(own_sidecar: OwnSidecar, redis: Redis) -> None:
    """Acks that stay away end the connection; what the sidecar had of it is not written twice."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path, ack_timeout_s=0.4) as bridge, bridge.generation("s", "m") as generation:
        await generation.produce("0")
        await generation.flush()
        sidecar.pause()
        for number in range(1, TOKENS // 2):
            await generation.produce(str(number))
        await asyncio.sleep(1.0)
        assert generation.acked == 1
        sidecar.resume()
        for number in range(TOKENS // 2, TOKENS):
            await generation.produce(str(number))
    assert await is_whole(redis, "s")


async def test_a_quiet_generation_is_not_cut_off(own_sidecar: OwnSidecar, redis: Redis) -> None:
    """A model that thinks for longer than acks may take has no acks due."""
    async with Bridge(own_sidecar().path, ack_timeout_s=2.0) as bridge, bridge.generation("s", "m") as generation:
        await generation.produce("a")
        await generation.flush()
        await asyncio.sleep(2.5)
        await generation.produce("b")
        await generation.flush()
        assert generation.opened_in == 1
    assert await tokens_in(redis, "s") == ["a", "b", ""]


async def lose(sidecar: SidecarProcess, bridge: Bridge) -> None:
    async with bridge.generation("s", "m") as generation:
        await generation.produce("a")
        await generation.flush()
        await asyncio.to_thread(sidecar.kill)
        await generation.produce("b")
        await generation.flush()


async def test_a_sidecar_that_does_not_return_is_an_error(own_sidecar: OwnSidecar) -> None:
    """When patience is over the generation fails with the path that was tried."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path, patience_s=0.5) as bridge:
        with pytest.raises(SidecarUnreachableError, match=str(sidecar.path)):
            await lose(sidecar, bridge)
        await asyncio.to_thread(sidecar.start)
        async with bridge.generation("next", "m") as generation:
            await generation.produce("a")
        assert generation.acked == 2


async def test_a_rival_during_the_outage_is_noticed(
    shaky: Bridge, proxy: FaultProxy, sidecar: Path, redis: Redis
) -> None:
    """Who comes back to a stream that another has written in the meantime learns that it is fenced."""

    async def come_back() -> None:
        async with shaky.generation("s", "m") as generation:
            await generation.produce("mine")
            await generation.flush()
            await proxy.down()
            async with Bridge(sidecar) as other, other.generation("s", "m") as rival:
                await rival.produce("theirs")
            await proxy.up()
            await generation.produce("late")
            await generation.flush()

    with pytest.raises(FencedError, match="while the connection was lost"):
        await come_back()
    assert await tokens_in(redis, "s") == ["mine", "theirs", "", "late"]


async def test_closing_the_bridge_fails_what_is_open(shaky: Bridge, proxy: FaultProxy, sidecar: Path) -> None:
    """Nobody waits for acks of a bridge that is gone."""
    async with Bridge(proxy.listen_path) as bridge:
        generation = bridge.generation("s", "m")
        await generation.__aenter__()
        proxy.freeze()
        await generation.produce("a")
        flushing = asyncio.create_task(generation.flush())
        await eventually(lambda: generation.unacked == 1)
    with pytest.raises(SidecarUnreachableError, match="the bridge was closed"):
        await flushing
