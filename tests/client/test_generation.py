"""Generations: every token once and in order, acknowledged when the block is left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from rlb.bridge.durability import DurabilityProbe
from rlb.bridge.ticket import Ticket
from rlb.domain.draft import Durability
from rlb.errors import InvalidMessageError, SidecarUnreachableError
from tests.client.streams import eventually, messages_in, tokens_in
from tests.servers.proxy import FaultProxy


async def test_tokens_stand_in_order_and_the_end_says_stop(bridge: Bridge, redis: Redis) -> None:
    """What was produced stands in the stream in that order, numbered from 1, and ends with "stop"."""
    async with bridge.generation("s", "m") as generation:
        for number in range(1000):
            await generation.produce(f"t{number} ")
    messages = await messages_in(redis, "s")
    assert [message["token"] for message in messages] == [*(f"t{number} " for number in range(1000)), ""]
    assert [message["metadata"]["sequence"] for message in messages] == list(range(1, 1002))
    assert messages[-1]["payload"]["finishReason"] == "stop"
    assert generation.acked == 1001
    assert generation.unacked == 0
    last = await redis.xrevrange("llm:stream:s:m", count=1)
    assert generation.last_entry_id == last[0][0].decode()


async def test_what_the_generation_is_told_stands_in_its_messages(bridge: Bridge, redis: Redis) -> None:
    """Role and sampling reach every message, the app's span the first and the last entry."""
    span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with bridge.generation(
        "s", "m", role="system", temperature=0.7, max_tokens=20, traceparent=span, requested_at=1
    ) as generation:
        message_ids = [await generation.produce(token) for token in ('"\n\t\\ ', "größe 🎉", "")]
    messages = await messages_in(redis, "s")
    assert [message["id"] for message in messages[:3]] == message_ids
    assert [message["token"] for message in messages] == ['"\n\t\\ ', "größe 🎉", "", ""]
    assert {message["payload"]["role"] for message in messages} == {"system"}
    assert {(message["metadata"]["temperature"], message["metadata"]["maxTokens"]) for message in messages} == {
        (0.7, 20)
    }
    traced = [b"traceparent" in fields for _, fields in await redis.xrange("llm:stream:s:m")]
    assert traced == [True, False, False, True]


async def test_a_given_reason_ends_the_generation(bridge: Bridge, redis: Redis) -> None:
    """`complete` says why, gives the last ack, and leaves nothing for the end of the block to do."""
    async with bridge.generation("s", "m") as generation:
        await generation.produce("a")
        ack = await generation.complete("length")
        assert ack.sequence == 2
        assert ack.durability == "written"
        with pytest.raises(RuntimeError, match="complete"):
            await generation.produce("b")
    messages = await messages_in(redis, "s")
    assert [message["payload"].get("finishReason") for message in messages] == [None, "length"]


async def test_a_block_that_raises_ends_with_error(bridge: Bridge, redis: Redis) -> None:
    """Readers learn that the answer broke off, and the app gets its own exception."""

    async def answer() -> None:
        async with bridge.generation("s", "m") as generation:
            await generation.produce("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await answer()
    messages = await messages_in(redis, "s")
    assert [message["token"] for message in messages] == ["a", ""]
    assert messages[-1]["payload"]["finishReason"] == "error"


async def test_a_cancelled_block_ends_with_error(bridge: Bridge, redis: Redis) -> None:
    """Cancellation goes on, once readers have been told."""
    is_produced = asyncio.Event()

    async def produce() -> None:
        async with bridge.generation("s", "m") as generation:
            await generation.produce("a")
            is_produced.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(produce())
    await is_produced.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await messages_in(redis, "s"))[-1]["payload"]["finishReason"] == "error"


async def test_a_refused_stream_is_an_error_of_its_class(bridge: Bridge) -> None:
    """The code of an error line becomes the exception."""
    with pytest.raises(InvalidMessageError, match="sessionId"):
        async with bridge.generation("not:allowed", "m") as generation:
            await generation.produce("a")


async def test_a_refused_generation_leaves_the_others_alone(bridge: Bridge, redis: Redis) -> None:
    """A bad line on the shared connection fails its own generation and no other."""
    async with bridge.generation("good", "m") as good:
        await good.produce("a")
        with pytest.raises(InvalidMessageError):
            async with bridge.generation("not:allowed", "m") as bad:
                await bad.produce("x")
        await good.produce("b")
    assert await tokens_in(redis, "good") == ["a", "b", ""]


async def test_text_that_is_none_is_refused_at_once(bridge: Bridge, redis: Redis) -> None:
    """A lone surrogate cannot be written; the generation goes on without it."""
    async with bridge.generation("s", "m") as generation:
        await generation.produce("a")
        with pytest.raises(InvalidMessageError, match="surrogate"):
            await generation.produce("\ud83d")
        await generation.produce("b")
    assert await tokens_in(redis, "s") == ["a", "b", ""]


async def test_tokens_are_taken_inside_of_the_block_only(bridge: Bridge) -> None:
    """A generation that was not entered, or was left, takes nothing."""
    generation = bridge.generation("s", "m")
    with pytest.raises(RuntimeError, match="async with"):
        await generation.produce("a")
    async with generation:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await generation.produce("b")


@pytest.mark.parametrize("durability", ["written", "replicated", "fsynced"])
async def test_the_ack_states_the_level_that_was_reached(bridge: Bridge, durability: str) -> None:
    """On a server without replicas and without a log of its own, a stronger level is not claimed."""
    async with bridge.generation("s", "m", durability=durability) as generation:  # type: ignore[arg-type]
        await generation.produce("a")
    assert generation.last_ack is not None
    assert generation.last_ack.durability == "written"


async def test_a_slow_level_holds_up_only_its_own(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that only have to be written do not wait behind others that wait for a replica."""
    reached, is_reached = DurabilityProbe.reached, asyncio.Event()

    async def reached_late(probe: DurabilityProbe, ticket: Ticket) -> Durability:
        await is_reached.wait()
        return await reached(probe, ticket)

    monkeypatch.setattr(DurabilityProbe, "reached", reached_late)
    async with bridge.generation("slow", "m", durability="replicated") as slow:
        await slow.produce("a")
        async with bridge.generation("fast", "m") as fast:
            for _ in range(100):
                await fast.produce("b")
        assert (fast.acked, slow.acked) == (101, 0)
        is_reached.set()
    assert slow.acked == 2


async def test_a_thousand_generations_share_one_connection(shaky: Bridge, proxy: FaultProxy, redis: Redis) -> None:
    """All at once over one bridge: each stream has its own tokens, all of them, in order."""

    async def answer(number: int) -> None:
        async with shaky.generation(f"s-{number}", "m") as generation:
            for token in range(20):
                await generation.produce(f"{number}.{token}")
                if token % 7 == number % 7:
                    await asyncio.sleep(0)

    await asyncio.gather(*(answer(number) for number in range(1000)))
    assert proxy.accepted_count == 1
    for number in range(1000):
        assert await tokens_in(redis, f"s-{number}") == [*(f"{number}.{token}" for token in range(20)), ""]


async def test_an_idle_connection_is_given_up(
    shaky: Bridge, proxy: FaultProxy, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between generations the request ends after a while, and the next one begins another."""
    monkeypatch.setattr("rlb.client.token_channel.IDLE_S", 0.05)
    shaky._ack_timeout_s = 0.2
    async with shaky.generation("s-1", "m") as generation:
        await generation.produce("a")
        await asyncio.sleep(0.5)
        await generation.produce("b")
    channel = shaky._channel("written")
    await eventually(lambda: channel._runner is not None and channel._runner.done())
    async with shaky.generation("s-2", "m") as generation:
        await generation.produce("c")
    assert await tokens_in(redis, "s-1") == ["a", "b", ""]
    assert await tokens_in(redis, "s-2") == ["c", ""]


async def test_without_a_sidecar_the_error_names_the_path(short_tmp: Path) -> None:
    """Nobody has to guess which socket was tried, and nobody waits for one that never was there."""
    async with Bridge(f"{short_tmp}/none.sock") as bridge:
        async with asyncio.timeout(15):
            with pytest.raises(SidecarUnreachableError, match=f"{short_tmp}/none.sock: No such file"):
                async with bridge.generation("s", "m") as generation:
                    await generation.produce("a")
