"""A real sidecar as a source: snapshots, absences, actions and content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rlb.client import Bridge
from rlb_top.actions import ActionFailedError, StreamName
from rlb_top.following import follow
from rlb_top.source import SourceLostError
from rlb_top.sources.socket import SocketSource
from tests.servers.process import RedisServer
from tests.support.sidecar import RunningSidecar, settings_of
from tests.top.sources import PATIENCE_S, next_loss, next_snapshot, snapshot_of

S, M = "s-1", "meta-llama/Llama-3.1-8B"
STREAM = StreamName(f"llm:stream:{S}:{M}", S, M)
FOREIGN = StreamName("orders:eu", None, None)


def run(path: Path, valkey: RedisServer) -> RunningSidecar:
    return RunningSidecar(settings_of(path, valkey.url, monitor={"interval_seconds": 0.1}))


@pytest.fixture
def sidecar(valkey: RedisServer, short_tmp: Path) -> Iterator[RunningSidecar]:
    with run(short_tmp / "s", valkey) as running:
        yield running


@pytest.fixture
async def bridge(sidecar: RunningSidecar) -> AsyncIterator[Bridge]:
    async with Bridge(sidecar.path) as opened:
        yield opened


@pytest.fixture
async def source(sidecar: RunningSidecar) -> AsyncIterator[SocketSource]:
    made = SocketSource(sidecar.path, limit=1000)
    yield made
    await made.close()


async def write(bridge: Bridge, *tokens: str) -> None:
    async with bridge.generation(S, M) as generation:
        for token in tokens:
            await generation.produce(token)


async def test_it_shows_what_the_sidecar_polls(source: SocketSource, bridge: Bridge) -> None:
    await source.connect()
    await write(bridge, "a", "b")
    await bridge.create_group(S, M, "g")
    found = await snapshot_of(source, lambda each: bool(each.streams and each.streams[0].groups))
    assert (found.streams[0].session_id, found.streams[0].groups[0].lag) == (S, 3)
    assert source.kind == "socket"
    assert source.interval_s is None


async def test_with_an_interval_some_snapshots_are_left_out(source: SocketSource) -> None:
    await source.connect()
    await source.set_interval(1.0)
    # From before the first: of two moments that are noted behind what they are of, the first may be late.
    times = [asyncio.get_running_loop().time()]
    snapshots = source.watch()
    async with asyncio.timeout(PATIENCE_S):
        while len(times) < 4:
            await anext(snapshots)
            times.append(asyncio.get_running_loop().time())
    await snapshots.aclose()
    assert times[3] - times[0] >= 1.5
    with pytest.raises(ValueError, match="0.2 to 3600 seconds"):
        await source.set_interval(0.01)


async def test_nobody_at_the_socket_is_told_before_anything_is_shown(short_tmp: Path) -> None:
    source = SocketSource(short_tmp / "nobody", limit=10)
    with pytest.raises(SourceLostError, match="no sidecar answers at .*nobody: No such file"):
        await source.connect()
    await source.close()


async def test_a_sidecar_that_goes_is_lost_and_found_again(valkey: RedisServer, short_tmp: Path) -> None:
    source = SocketSource(short_tmp / "s", limit=10)
    events = follow(source)
    async with asyncio.timeout(PATIENCE_S):
        with run(short_tmp / "s", valkey):
            await next_snapshot(events)
        assert str(short_tmp) in (await next_loss(events)).reason
        with run(short_tmp / "s", valkey):
            await next_snapshot(events)
            await events.aclose()
            await source.close()


async def test_health_is_that_of_the_sidecar(source: SocketSource) -> None:
    components = {each.name: each for each in await source.health()}
    assert components["redis"].state == "up"
    assert components["socket"].since is not None


async def test_actions_do_what_they_say(source: SocketSource, bridge: Bridge, valkey: RedisServer) -> None:
    await write(bridge, *"abcdef")
    await bridge.create_group(S, M, "g")
    first, second, third, *_ = [each.entry_id for each in await bridge.read_messages(S, M, "g", "c-1", count=5)]
    actions = source.actions
    assert actions is not None
    entries = await source.details.pending(STREAM, "g")
    assert [(each.consumer, each.deliveries) for each in entries] == [("c-1", 1)] * 5
    assert await actions.acknowledge(STREAM, "g", [first]) == 1
    assert await actions.claim(STREAM, "g", "c-2", [second]) == 1
    assert [each.entry_id for each in await source.details.pending(STREAM, "g", "c-2")] == [second]
    assert await actions.bury(STREAM, "g", [third], "by hand") == 1
    (letter,) = await bridge.dead_letters("g")
    assert (letter.entry_id, letter.reason) == (third, "by hand")
    assert await actions.replay("g", [letter.id]) == 1
    with pytest.raises(ActionFailedError, match="pending"):
        await actions.remove_consumer(STREAM, "g", "c-1")
    assert await actions.remove_consumer(STREAM, "g", "nobody") is False
    assert await actions.trim(STREAM, max_length=2) == 5
    assert valkey.command("XLEN", STREAM.key) == 2


async def test_what_is_refused_says_why(source: SocketSource) -> None:
    actions = source.actions
    assert actions is not None
    with pytest.raises(ActionFailedError, match="key template"):
        await actions.trim(FOREIGN, max_length=1)
    with pytest.raises(ActionFailedError, match="key template"):
        await source.details.pending(FOREIGN, "g")
    with pytest.raises(ActionFailedError):
        await source.details.pending(STREAM, "no-group")


async def test_read_only_offers_no_actions_and_still_looks(sidecar: RunningSidecar, bridge: Bridge) -> None:
    source = SocketSource(sidecar.path, limit=10, read_only=True)
    assert source.actions is None
    await write(bridge, "a")
    await bridge.create_group(S, M, "g")
    assert list(await source.details.pending(STREAM, "g")) == []
    await source.close()


async def test_a_generation_is_told_as_text_up_to_its_end(source: SocketSource, bridge: Bridge) -> None:
    await write(bridge, "Hel", "lo")
    async with asyncio.timeout(PATIENCE_S):
        pieces = [piece async for piece in source.content.tail(S, M)]
    assert "".join(piece.text for piece in pieces) == "Hello"
    assert [piece.missing for piece in pieces] == [0, 0, 0]
    assert [piece.finish_reason for piece in pieces] == [None, None, "stop"]


async def test_a_generation_that_is_not_there_says_so(source: SocketSource) -> None:
    with pytest.raises(SourceLostError):
        await anext(source.content.tail("s-none", M))
