"""Tails: every message once and in order, over whatever becomes of the connection, and every hole is told."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge, Gap, Tail
from rlb.errors import InvalidIdError, SidecarUnreachableError, StreamGoneError, StreamNotFoundError
from tests.client.conftest import OwnSidecar
from tests.client.streams import eventually
from tests.servers.proxy import FaultProxy


async def write(bridge: Bridge, count: int, *, start: int = 0, ends: bool = True) -> None:
    for number in range(start, start + count):
        await bridge.produce_token("s", "m", str(number))
    if ends:
        await bridge.mark_complete("s", "m")


async def tokens(tail: Tail) -> list[str]:
    return [message.token async for message in tail]


def knows_its_start(tail: Tail) -> bool:
    """Whether a tail "from now on" has learnt when that is."""
    return tail._start != "$"


async def test_a_finished_answer_is_read_to_its_end(bridge: Bridge) -> None:
    """All messages come, the last one with the finish reason, then the tail ends."""
    await write(bridge, 5)
    tail = bridge.tail("s", "m")
    messages = [message async for message in tail]
    assert [message.token for message in messages] == ["0", "1", "2", "3", "4", ""]
    assert messages[-1].payload.finish_reason == "stop"
    assert tail.last_entry_id == (await bridge.stream_info("s", "m")).last_entry_id
    assert (tail.gaps, tail.missing, tail.unreadable) == (0, 0, 0)


async def test_an_answer_is_followed_while_it_is_written(bridge: Bridge) -> None:
    """A tail that waits for its stream gets each token as it comes."""
    reading = asyncio.create_task(tokens(bridge.tail("s", "m", wait_s=30)))
    async with bridge.generation("s", "m") as generation:
        for number in range(50):
            await generation.produce(str(number))
            await asyncio.sleep(0.002)
    assert await reading == [*map(str, range(50)), ""]


async def test_each_answer_of_a_conversation_is_a_tail(bridge: Bridge) -> None:
    """A tail ends with its answer; the next one goes on behind it."""
    await write(bridge, 2)
    await write(bridge, 2, start=2)
    first = bridge.tail("s", "m")
    assert await tokens(first) == ["0", "1", ""]
    assert first.last_entry_id is not None
    assert await tokens(bridge.tail("s", "m", start=first.last_entry_id)) == ["2", "3", ""]


async def test_cut_connections_are_resumed_without_a_hole(shaky: Bridge, bridge: Bridge, proxy: FaultProxy) -> None:
    """While the answer is written the tail's connection is cut again and again: every token comes once."""
    await shaky.ready()
    reading = asyncio.create_task(tokens(shaky.tail("s", "m", wait_s=30)))
    async with bridge.generation("s", "m") as generation:
        for number in range(300):
            await generation.produce(str(number))
            await asyncio.sleep(0.005)
            if number % 40 == 20:
                proxy.reset_peer()
    assert await reading == [*map(str, range(300)), ""]
    assert proxy.cut_count >= 5


async def test_a_connection_cut_in_mid_line_is_resumed(shaky: Bridge, bridge: Bridge, proxy: FaultProxy) -> None:
    """Half a line is nothing: its message comes whole with the next connection."""
    await write(bridge, 100)
    proxy.slicer(997, 0.01)
    found: list[str] = []
    async for message in shaky.tail("s", "m"):
        found.append(message.token)
        if len(found) in (10, 50):
            proxy.reset_peer()
    assert found == [*map(str, range(100)), ""]
    assert proxy.cut_count == 2


async def test_a_restarted_sidecar_is_resumed(own_sidecar: OwnSidecar) -> None:
    """A crash of the sidecar in mid-answer is a pause for producer and reader alike."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path) as bridge:
        await bridge.ready()
        reading = asyncio.create_task(tokens(bridge.tail("s", "m", wait_s=30)))
        async with bridge.generation("s", "m") as generation:
            for number in range(100):
                await generation.produce(str(number))
                await asyncio.sleep(0.01)
                if number == 50:
                    await asyncio.to_thread(sidecar.kill)
                    await asyncio.to_thread(sidecar.start)
        assert await reading == [*map(str, range(100)), ""]


async def test_an_orderly_restart_is_resumed(own_sidecar: OwnSidecar) -> None:
    """A sidecar that drains says so; the tail goes on with the next one."""
    sidecar = own_sidecar(RLB_DRAIN_S="1")
    async with Bridge(sidecar.path) as bridge:
        await write(bridge, 3, ends=False)
        reading = asyncio.create_task(tokens(bridge.tail("s", "m")))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(sidecar.stop)
        await asyncio.to_thread(sidecar.start)
        await write(bridge, 2, start=3)
        assert await reading == ["0", "1", "2", "3", "4", ""]


async def test_from_now_on_means_from_the_first_connection(shaky: Bridge, bridge: Bridge, proxy: FaultProxy) -> None:
    """`$` leaves out what was there; a connection lost before the first message leaves out nothing more."""
    await write(bridge, 3, ends=False)
    tail = shaky.tail("s", "m", start="$")
    reading = asyncio.create_task(tokens(tail))
    await eventually(lambda: knows_its_start(tail))
    await proxy.down()
    await write(bridge, 2, start=3)
    await proxy.up()
    assert await reading == ["3", "4", ""]


async def test_from_now_on_of_a_stream_that_is_not_there_yet(bridge: Bridge) -> None:
    """`$` with time to wait takes a new stream from its beginning."""
    tail = bridge.tail("s", "m", start="$", wait_s=30)
    reading = asyncio.create_task(tokens(tail))
    await eventually(lambda: knows_its_start(tail))
    await write(bridge, 2)
    assert await reading == ["0", "1", ""]


async def test_trimmed_messages_are_told(bridge: Bridge, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """What was trimmed away behind the reader's place is a gap: counted, logged, and told to the callback."""
    await write(bridge, 10)
    third = (await redis.xrange("llm:stream:s:m", count=3))[2][0].decode()
    await redis.xtrim("llm:stream:s:m", maxlen=5, approximate=False)
    told: list[Gap] = []
    tail = bridge.tail("s", "m", start=third, on_gap=told.append)
    assert await tokens(tail) == ["6", "7", "8", "9", ""]
    assert (tail.gaps, tail.missing) == (1, 3)
    assert [str(gap.after) for gap in told] == [third]
    assert told[0].missing == 3
    assert "tail.gap" in caplog.messages


async def test_a_callback_that_raises_ends_the_tail(bridge: Bridge, redis: Redis) -> None:
    """Who cannot do with a hole says so by raising."""
    await write(bridge, 10)
    await redis.xtrim("llm:stream:s:m", maxlen=5, approximate=False)

    def refuse(gap: Gap) -> None:
        raise LookupError(gap.missing)

    with pytest.raises(LookupError, match="6"):
        await tokens(bridge.tail("s", "m", on_gap=refuse))


async def test_entries_that_are_no_messages_are_passed_over(bridge: Bridge, redis: Redis) -> None:
    """Other writers may put anything into a stream: it is counted, and the messages around it come."""
    await write(bridge, 1, ends=False)
    await redis.xadd("llm:stream:s:m", {"data": "not JSON"})
    await redis.xadd("llm:stream:s:m", {"data": '{"token":"half a message"}'})
    await redis.xadd("llm:stream:s:m", {"other": "field"})
    await write(bridge, 1, start=1)
    tail = bridge.tail("s", "m")
    assert await tokens(tail) == ["0", "1", ""]
    assert tail.unreadable == 3


async def test_streams_that_are_not_there(bridge: Bridge) -> None:
    """Never existed, gone, and a place that is none are three different errors."""
    with pytest.raises(StreamNotFoundError):
        await tokens(bridge.tail("s", "m"))
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(StreamNotFoundError):
        await tokens(bridge.tail("s", "m", wait_s=0.3))
    assert loop.time() - began_s >= 0.29
    await write(bridge, 1)
    await bridge.delete_stream("s", "m")
    with pytest.raises(StreamGoneError):
        await tokens(bridge.tail("s", "m"))
    with pytest.raises(InvalidIdError):
        await tokens(bridge.tail("s", "m", start="yesterday"))


async def test_a_stream_deleted_under_the_reader_ends_the_tail(bridge: Bridge) -> None:
    """The reader does not wait for ever for what will not come."""
    await write(bridge, 1, ends=False)
    async with bridge.tail("s", "m") as tail:
        messages = aiter(tail)
        assert (await anext(messages)).token == "0"
        await bridge.delete_stream("s", "m")
        with pytest.raises(StreamGoneError):
            await anext(messages)


async def test_patience_has_an_end(shaky: Bridge, bridge: Bridge, proxy: FaultProxy) -> None:
    """A sidecar that stays away is an error after the tail's own time."""
    await write(bridge, 1, ends=False)
    async with shaky.tail("s", "m", patience_s=0.3) as tail:
        messages = aiter(tail)
        assert (await anext(messages)).token == "0"
        await proxy.down()
        with pytest.raises(SidecarUnreachableError, match=str(proxy.listen_path)):
            await anext(messages)


async def test_a_loop_that_is_left_early_ends_its_connection(shaky: Bridge, bridge: Bridge, proxy: FaultProxy) -> None:
    """Nothing has to be closed by hand: leaving the loop is enough."""
    await write(bridge, 3, ends=False)
    async for message in shaky.tail("s", "m"):
        assert message.token == "0"
        break
    gc.collect()
    await eventually(lambda: proxy.connection_count == 0)


async def test_a_tail_without_a_sidecar_fails_at_once(short_tmp: Path) -> None:
    """There is nothing to wait for where there never was a sidecar."""
    async with Bridge(short_tmp / "none.sock") as bridge, asyncio.timeout(15):
        with pytest.raises(SidecarUnreachableError, match="none.sock"):
            await tokens(bridge.tail("s", "m"))
