"""The stream processor: order, retries, dead letters, and no ack without a handler that has returned."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Backoff, Bridge, StreamMessage, StreamProcessor
from rlb.errors import InvalidMessageError, SidecarUnreachableError
from tests.client.conftest import REDELIVERING, OwnSidecar
from tests.client.processing import has_dead_letters, write
from tests.client.streams import eventually, pending_in
from tests.servers.proxy import FaultProxy

QUICK = Backoff(first_s=0.01, longest_s=0.02)


async def test_messages_are_handled_in_order_within_a_stream(patient_bridge: Bridge, redis: Redis) -> None:
    """Streams side by side, at most as many as allowed; the messages of each one after the other, then acknowledged."""
    seen: dict[str, list[str]] = defaultdict(list)
    running: set[str] = set()
    most = 0

    async def handle(message: StreamMessage) -> None:
        nonlocal most
        assert message.session_id not in running
        running.add(message.session_id)
        most = max(most, len(running))
        await asyncio.sleep(0.001)
        running.remove(message.session_id)
        seen[message.session_id].append(message.token)

    tokens = [str(number) for number in range(30)]
    async with patient_bridge as bridge:
        async with StreamProcessor(bridge, "g", handle, concurrency=4) as processor:
            await asyncio.gather(*(write(bridge, f"s-{number}", tokens) for number in range(8)))
            await eventually(lambda: processor.statistics.handled == 8 * 31)
            assert processor.statistics.held == 0
        assert dict(seen) == {f"s-{number}": [*tokens, ""] for number in range(8)}
        assert most == 4
        for number in range(8):
            assert await pending_in(redis, f"s-{number}", "g") == 0


async def test_a_handler_that_fails_is_called_again_in_place(patient_bridge: Bridge) -> None:
    """Within its attempts a message keeps its place, and is acknowledged once."""
    calls: list[str] = []

    async def handle(message: StreamMessage) -> None:
        calls.append(message.token)
        if message.token == "b" and calls.count("b") < 3:
            raise ValueError("not yet")

    async with patient_bridge as bridge:
        await write(bridge, "s", ["a", "b", "c"])
        async with StreamProcessor(bridge, "g", handle, attempts=3, pauses=QUICK) as processor:
            await eventually(lambda: processor.statistics.handled == 4)
        assert calls == ["a", "b", "b", "b", "c", ""]
        assert processor.statistics.retried == 2
        assert processor.statistics.refused == 0


async def test_a_poison_message_becomes_a_dead_letter_and_the_others_go_on(
    bridge: Bridge, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """After its attempts it is given back with the reason, three times, then set aside. Nothing quotes it."""
    seen: list[str] = []

    async def handle(message: StreamMessage) -> None:
        if message.token == "poison-token":
            raise ValueError(message.token)
        seen.append(message.token)

    await write(bridge, "s", ["a", "poison-token", "b"])
    async with StreamProcessor(bridge, "g", handle, attempts=2, pauses=QUICK) as processor:
        await eventually(lambda: has_dead_letters(bridge, "g", 1))
        await eventually(lambda: len(seen) == 3)
    (letter,) = await bridge.dead_letters("g")
    assert letter.message is not None
    assert letter.message.token == "poison-token"
    assert letter.reason == "ValueError in attempt 2 of 2"
    assert seen == ["a", "b", ""]
    assert processor.statistics.refused == 3
    assert processor.statistics.retried == 3
    assert await pending_in(redis, "s", "g") == 0
    assert "poison-token" not in caplog.text
    assert "processor.attempt_failed" in caplog.messages


async def test_a_plain_function_runs_in_a_thread(patient_bridge: Bridge) -> None:
    """A handler may block: the loop turns meanwhile, and as many run at once as are allowed."""
    threads: set[str] = set()
    all_run = threading.Barrier(8, timeout=10)

    def handle(message: StreamMessage) -> None:
        all_run.wait()
        threads.add(threading.current_thread().name)

    async with patient_bridge as bridge:
        await asyncio.gather(*(bridge.produce_token(f"s-{number}", "m", "a") for number in range(8)))
        async with StreamProcessor(bridge, "g", handle, concurrency=8) as processor:
            await eventually(lambda: processor.statistics.handled == 8)
    assert len(threads) == 8
    assert all(name.startswith("rlb-handler") for name in threads)


@REDELIVERING
async def test_a_slow_handler_is_not_run_twice_at_once(bridge: Bridge, redis: Redis) -> None:
    """The sidecar offers again what has been idle for long; while the handler works on it that is passed over."""
    calls = 0

    async def handle(message: StreamMessage) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.7)

    await bridge.produce_token("s", "m", "a")
    async with StreamProcessor(bridge, "g", handle) as processor:
        await eventually(lambda: processor.statistics.handled == 1)
        assert await pending_in(redis, "s", "g") == 0
    assert calls == 1


async def test_a_stop_acknowledges_what_is_done_and_nothing_else(patient_bridge: Bridge, redis: Redis) -> None:
    """Running handlers finish within the deadline; what was cut off or not begun stays pending."""
    begun: list[str] = []
    go_on, never = asyncio.Event(), asyncio.Event()

    async def handle(message: StreamMessage) -> None:
        begun.append(message.token)
        await (never if message.token == "slow" else go_on).wait()

    async with patient_bridge as bridge:
        await bridge.produce_token("s", "m", "slow")
        await bridge.produce_token("s", "m", "behind")
        await bridge.produce_token("t", "m", "quick")
        processor = StreamProcessor(bridge, "g", handle)
        running = asyncio.create_task(processor.run())
        await eventually(lambda: set(begun) == {"slow", "quick"})
        await processor.stop(2.0)
        go_on.set()
        async with asyncio.timeout(15):
            await running
        assert await pending_in(redis, "s", "g") == 2
        assert await pending_in(redis, "t", "g") == 0
    assert sorted(begun) == ["quick", "slow"]


async def test_a_cancelled_run_acknowledges_nothing_more(patient_bridge: Bridge, redis: Redis) -> None:
    """Cancellation is no success of the handler that it hits."""

    async def handle(message: StreamMessage) -> None:
        await asyncio.sleep(60)

    async with patient_bridge as bridge:
        await bridge.produce_token("s", "m", "a")
        processor = StreamProcessor(bridge, "g", handle)
        running = asyncio.create_task(processor.run())
        await eventually(lambda: processor.statistics.held == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await pending_in(redis, "s", "g") == 1


@REDELIVERING
async def test_what_a_crash_leaves_is_handled_by_the_next_run(bridge: Bridge, redis: Redis) -> None:
    """A message whose handler never returned is handled again."""

    async def hang(message: StreamMessage) -> None:
        await asyncio.sleep(60)

    seen: list[str] = []

    async def handle(message: StreamMessage) -> None:
        seen.append(message.token)

    await bridge.produce_token("s", "m", "a")
    first = StreamProcessor(bridge, "g", hang, consumer="one")
    running = asyncio.create_task(first.run())
    await eventually(lambda: first.statistics.held == 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with StreamProcessor(bridge, "g", handle, consumer="two") as second:
        await eventually(lambda: second.statistics.handled == 1)
    assert seen == ["a"]
    assert await pending_in(redis, "s", "g") == 0


async def test_processing_goes_on_over_a_restart(own_sidecar: OwnSidecar, redis: Redis) -> None:
    """Every message is handled, whatever becomes of the sidecar; those that were at work are not handled twice."""
    sidecar = own_sidecar()
    seen: list[str] = []

    async def handle(message: StreamMessage) -> None:
        await asyncio.sleep(0.001)
        seen.append(message.token)

    async with Bridge(sidecar.path) as bridge, StreamProcessor(bridge, "g", handle, consumer="c") as processor:
        await bridge.ready()
        async with bridge.generation("s", "m") as generation:
            for number in range(200):
                await generation.produce(str(number))
                await asyncio.sleep(0.003)
                if number == 100:
                    await asyncio.to_thread(sidecar.kill)
                    await asyncio.to_thread(sidecar.start)
        await eventually(lambda: processor.statistics.handled >= 201)
    assert {*map(str, range(200)), ""} == set(seen)
    assert await pending_in(redis, "s", "g") == 0


async def test_what_ends_the_processing_is_raised(shaky: Bridge, proxy: FaultProxy, sidecar: Path) -> None:
    """A refused subscription, and a sidecar that stays away, end `run`, `wait` and the block with their error."""

    async def handle(message: StreamMessage) -> None:
        raise AssertionError

    with pytest.raises(InvalidMessageError, match="group"):
        await StreamProcessor(shaky, "no spaces", handle).run()
    async with Bridge(proxy.listen_path, patience_s=0.2) as bridge:

        async def wait() -> None:
            async with StreamProcessor(bridge, "g", handle) as processor:
                await eventually(lambda: proxy.connection_count > 0)
                await proxy.down()
                await processor.wait()

        await bridge.ready()
        with pytest.raises(SidecarUnreachableError):
            await wait()
