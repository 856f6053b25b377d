"""Calls that fail: which are asked again after a lost answer, how long they wait, and the class of refusals."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from rlb.errors import (
    GroupNotFoundError,
    InvalidIdError,
    InvalidMessageError,
    SidecarUnreachableError,
    StreamNotFoundError,
    TooLargeError,
    WrongTypeError,
)
from tests.client.conftest import OwnSidecar
from tests.client.streams import tokens_in
from tests.servers.proxy import FaultProxy


async def test_a_lost_answer_is_asked_for_again(shaky: Bridge, proxy: FaultProxy, redis: Redis) -> None:
    """The connection goes between the write and its answer: the call succeeds, and one token stands."""
    proxy.timeout_replies()
    ack = await shaky.produce_token("s", "m", "a")
    assert ack.duplicate
    assert await tokens_in(redis, "s") == ["a"]
    assert proxy.cut_count == 1


async def test_a_call_that_may_do_harm_is_not_repeated(shaky: Bridge, proxy: FaultProxy) -> None:
    """Where a second answer would say something else, the lost one is told."""
    await shaky.produce_token("s", "m", "a")
    proxy.timeout_replies()
    with pytest.raises(SidecarUnreachableError, match="closed"):
        await shaky.trim_stream("s", "m", max_length=0)
    assert await shaky.trim_stream("s", "m", max_length=0) == 0


async def test_calls_wait_out_a_restart(own_sidecar: OwnSidecar) -> None:
    """A call in the moment of a restart is answered by the next sidecar; a sidecar that stays away is an error."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path) as bridge:
        await bridge.produce_token("s", "m", "a")
        await asyncio.to_thread(sidecar.kill)
        calling = asyncio.create_task(bridge.produce_token("s", "m", "b"))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(sidecar.start)
        assert (await calling).sequence == 2
    async with Bridge(sidecar.path, patience_s=0.3) as bridge:
        await bridge.ready()
        await asyncio.to_thread(sidecar.kill)
        with pytest.raises(SidecarUnreachableError, match=str(sidecar.path)):
            await bridge.produce_token("s", "m", "c")


async def test_a_frozen_sidecar_is_told_after_the_timeout(own_sidecar: OwnSidecar) -> None:
    """An answer that does not come is an error after `timeout_s`, not a wait for ever."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path, timeout_s=2.0) as bridge:
        await bridge.ready()
        sidecar.pause()
        async with asyncio.timeout(15):
            with pytest.raises(SidecarUnreachableError, match="too long"):
                await bridge.stream_info("s", "m")
        sidecar.resume()


async def test_changes_whose_answer_is_lost_are_not_repeated(shaky: Bridge, proxy: FaultProxy) -> None:
    """A second answer would say that there was nothing to do."""
    await shaky.create_group("s", "m", "g")
    for change in (
        lambda: shaky.claim("s", "m", "g", "c", ["1-1"]),
        lambda: shaky.bury("s", "m", "g", ["1-1"]),
        lambda: shaky.remove_consumer("s", "m", "g", "c"),
    ):
        proxy.timeout_replies()
        with pytest.raises(SidecarUnreachableError, match="closed"):
            await change()


async def test_refusals_are_exceptions_of_their_class(bridge: Bridge, redis: Redis) -> None:
    """The code of a problem document decides; its detail is the text, its further members are kept."""
    with pytest.raises(StreamNotFoundError) as refused:
        await bridge.stream_info("never", "m")
    assert refused.value.members["requestId"]
    with pytest.raises(InvalidMessageError, match="sessionId"):
        await bridge.produce_token("not:allowed", "m", "a")
    with pytest.raises(InvalidIdError):
        await bridge.create_group("s", "m", "g", start="yesterday")
    await bridge.produce_token("s", "m", "a")
    with pytest.raises(GroupNotFoundError):
        await bridge.read_messages("s", "m", "nobody", "c")
    with pytest.raises(TooLargeError):
        await bridge.produce_token("s", "m", "x" * 1_100_000)
    await redis.set("llm:stream:string:m", "a")
    with pytest.raises(WrongTypeError):
        await bridge.produce_token("string", "m", "a")
