"""Everything that rlb does in Redis, once: what a user that it signs in as has to be allowed, and nothing more.

What happens only when something fails is made to fail: a cut connection, a key of another kind, a lease without an end.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from rlb import Bridge
from rlb.domain.message import StreamConfig
from rlb.errors import ConsumerBusyError, StreamNotFoundError
from rlb.monitor.standalone import StandaloneMonitor
from rlb.observing import Observer
from rlb.service import Service
from rlb.settings import Settings
from tests.servers.process import RedisServer
from tests.servers.proxy import FaultProxy
from tests.support.assertions import eventually

M = "meta-llama/Llama-3.1-8B"
FOREIGN = "orders:eu"
OWN = "llm:stream:s-0:m-0"
NO_STREAM = "llm:stream:no-stream:m"
USER, PASSWORD = "rlb", "not-a-secret"

MONITOR = {
    "scope": "all",
    "patterns": ["llm:stream:{session}:{model}", "orders:{region}"],
    "interval_seconds": 0.1,
    "idle_interval_seconds": 0.1,
    "sweep_seconds": 0.3,
    "lease_seconds": 0.6,
    "probe_seconds": 0.3,
    "remove_consumers_after_seconds": 0.2,
}


def settings_of(url: str, path: Path | None = None, monitor: dict[str, Any] | None = None) -> Settings:
    """Of a process that signs in as the user; unless `monitor` is given, with everything switched on."""
    return Settings.model_validate(
        {
            "redis": {"url": url, "username": USER, "password": PASSWORD},
            "socket": {"path": str(path)} if path is not None else {},
            "metrics": {"port": 0},
            "monitor": MONITOR if monitor is None else monitor,
            "groups": {"claim_idle_ms": 200, "max_deliveries": 2},
            "tail": {"block_ms": 300, "feed_idle_ms": 50},
            "append": {"deadline_ms": 20_000},
            "drain_s": 2.0,
        }
    )


def prepare(server: RedisServer) -> None:
    """What others have left in Redis: streams with groups, a key of another kind, a lease that never ends."""
    for key in (FOREIGN, OWN):
        for number in range(20):
            server.command("XADD", key, f"1-{number + 1}", "n", number)
        server.command("XGROUP", "CREATE", key, "billing", "0")
        server.command("XREADGROUP", "GROUP", "billing", "till-1", "COUNT", 2, "STREAMS", key, ">")
        server.command("XGROUP", "CREATE", key, "idle", "0")
        server.command("XGROUP", "CREATECONSUMER", key, "idle", "gone")
        server.command("XDEL", key, "1-9")
    server.command("SET", NO_STREAM, "text")
    server.command("ZADD", "llm:streams", 1, "llm:stream:long:gone")
    server.command("SET", "llm:observer", "somebody")


async def use_sidecar(settings: Settings, proxy: FaultProxy) -> None:
    """All calls of a sidecar, and all that it does by itself."""
    path = Path(settings.socket.path)
    async with Service(settings), Bridge(path, patience_s=20) as bridge:
        await bridge.wait_until_ready(redis=True)
        await _produce(bridge, proxy)
        await _tail(bridge)
        await _read_in_groups(bridge)
        await _manage(bridge, is_watched=settings.monitor.scope != "off")
        if settings.monitor.scope == "all":
            await _watched(bridge)


async def _produce(bridge: Bridge, proxy: FaultProxy) -> None:
    async with bridge.generation("s-1", M) as generation:
        for number in range(10):
            await generation.produce(str(number))
    ack = await bridge.produce_token("s-1", M, "again", message_id="one-id")
    proxy.reset_peer()
    # The same once more, and on a new connection: the claim has to look for it.
    assert (await bridge.produce_token("s-1", M, "again", message_id="one-id")).entry_id == ack.entry_id
    # Replies get lost on the way: what was written is read back.
    struck = proxy.timeout_replies(carrying=b"XADD")
    async with bridge.generation("s-2", M) as generation:
        for number in range(400):
            await generation.produce(str(number))
    assert struck.is_set()
    await bridge.produce_token("s-3", M, "safe", durability="replicated")
    await bridge.produce_token("s-3", M, "safe", durability="fsynced")


async def _tail(bridge: Bridge) -> None:
    async with asyncio.timeout(20):
        assert [message.token async for message in bridge.tail("s-1", M)][:3] == ["0", "1", "2"]
        info = await bridge.stream_info("s-1", M)
        tail = bridge.tail("s-1", M, start=info.last_entry_id or "0", wait_s=0)
        reading = asyncio.create_task(_all_of(tail))
        other = asyncio.create_task(_all_of(bridge.tail("s-9", M, wait_s=10)))
        wrong = asyncio.create_task(_all_of(bridge.tail("no-stream", "m", start="$")))
        await asyncio.sleep(1.0)  # long enough for a read to block in Redis, and to come back with nothing
        await bridge.produce_token("s-9", M, "x")
        await bridge.mark_complete("s-9", M)
        await bridge.mark_complete("s-1", M)
        await asyncio.gather(reading, other)
        wrong.cancel()
        await asyncio.gather(wrong, return_exceptions=True)
    with contextlib.suppress(StreamNotFoundError):
        await _all_of(bridge.tail("never", M))


async def _all_of(tail: Any) -> list[Any]:
    return [message async for message in tail]


async def _read_in_groups(bridge: Bridge) -> None:
    await bridge.create_group("s-1", M, "g")
    await bridge.create_group("s-1", M, "from", start=(await bridge.stream_info("s-1", M)).last_entry_id or "0")
    first = await bridge.read_messages("s-1", M, "g", "c-1", count=5)
    await first[0].ack()
    await bridge.nack("s-1", M, "g", [first[1].entry_id])
    assert (await bridge.pending("s-1", M, "g")).pending
    await bridge.claim("s-1", M, "g", "c-2", [first[2].entry_id])
    await bridge.bury("s-1", M, "g", [first[3].entry_id])
    with contextlib.suppress(ConsumerBusyError):
        await bridge.remove_consumer("s-1", M, "g", "c-1")
    letters = await bridge.dead_letters("g")
    await bridge.replay_dead_letters("g", [letters[0].id])
    await bridge.bury("s-1", M, "g", [first[4].entry_id])
    await bridge.drop_dead_letters("g", [letter.id for letter in await bridge.dead_letters("g")])
    await bridge.read_messages("s-1", M, "g", "c-3", count=5, block_ms=300)
    await asyncio.sleep(0.3)
    await bridge.read_messages("s-1", M, "g", "c-2", count=100, block_ms=300)
    async with asyncio.timeout(20), bridge.subscribe("all") as subscription:
        async for delivery in subscription:
            await delivery.ack()
            if delivery.message.token == "safe":
                break


async def _manage(bridge: Bridge, *, is_watched: bool) -> None:
    await bridge.create_stream("s-4", M, StreamConfig(max_length=100, retention_ms=60_000))
    await bridge.produce_token("s-4", M, "x")
    await bridge.create_stream("s-5", M)
    assert await bridge.streams(sort="lag")
    await bridge.create_group("s-2", M, "slow")
    if is_watched:
        await eventually(lambda: _lags_on(bridge, 401))
    await bridge.trim_stream("s-2", M, max_length=300)
    if is_watched:
        await eventually(lambda: _lags_on(bridge, 300))
    await bridge.trim_stream("s-2", M, older_than_ms=60_000)
    await bridge.create_group("s-4", M, "left")
    await bridge.read_messages("s-4", M, "left", "gone", count=5)
    await bridge.acknowledge("s-4", M, "left", [(await bridge.stream_info("s-4", M)).last_entry_id or "0"])
    await bridge.remove_consumer("s-4", M, "left", "gone")
    await bridge.delete_stream("s-4", M)
    with contextlib.suppress(StreamNotFoundError):
        await bridge.stream_info("never", M)


async def _lags_on(bridge: Bridge, length: int) -> bool:
    """The monitor has seen a stream of that length, and how a group lags there that has read nothing."""
    streams = (await bridge.snapshot()).streams
    return any(
        (stream.length, group.group, group.lag) == (length, "slow", length)
        for stream in streams
        for group in stream.groups
    )


async def _watched(bridge: Bridge) -> None:
    """The monitor has the lease, has counted all groups, and the probe goes round."""

    async def is_known() -> bool:
        found = {stream.key: stream for stream in (await bridge.snapshot()).streams}
        groups = {group.group: group for group in found[FOREIGN].groups} if FOREIGN in found else {}
        return "billing" in groups and groups["billing"].lag == 17 and found[FOREIGN].bytes is not None

    async def is_well() -> bool:
        return (await bridge.health()).status == "ok"

    await eventually(is_known)
    await eventually(is_well)


async def use_observers(settings: Settings) -> None:
    """Two observers: one leads, the other stands by and takes over."""
    async with contextlib.AsyncExitStack() as at_exit:
        async with Observer(settings) as first:
            await eventually(lambda: _leads(first))
            second = await at_exit.enter_async_context(Observer(settings))
            # One of the two: after a pause that outlasts the lease it may be the other.
            await eventually(lambda: {_leads(first), _leads(second)} == {True, False})
            await asyncio.sleep(1.0)  # one asks for the lease now and then, and is told how long it lasts
        await eventually(lambda: _leads(second))
        await asyncio.sleep(1.0)


def _leads(observer: Observer) -> bool | None:
    """Whether it polls; None if that is not known."""
    parts = {part.name: part for part in observer.health.report().components}
    monitor = parts["monitor"]
    return None if monitor.state != "up" else not (monitor.reason or "").startswith("stands by")


async def use_top(settings: Settings) -> None:
    """What `rlb-top --redis` does: pictures of all streams, and what is pending."""
    async with StandaloneMonitor(settings) as monitor:
        await monitor.ready()

        async def is_known() -> bool:
            found = {stream.key: stream for stream in (await monitor.take(100)).streams}
            groups = {group.group: group for group in found[FOREIGN].groups} if FOREIGN in found else {}
            return "billing" in groups and groups["billing"].lag == 17

        await eventually(is_known)
        assert len(await monitor.pending(FOREIGN, "billing", None, 10)) == 2
        assert len(await monitor.pending(FOREIGN, "billing", "till-1", 10)) == 2
        monitor.set_interval(600)
        await asyncio.sleep(1.0)
