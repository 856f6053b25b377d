"""The bridge for threads: the same calls, blocking, from any number of threads, and no thread left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge, StreamMessage, SyncBridge
from rlb.errors import ConsumerBusyError, FencedError, SidecarUnreachableError, StreamNotFoundError
from tests.client.conftest import OwnSidecar
from tests.client.sidecars import SidecarProcess
from tests.client.streams import tokens_in


@pytest.fixture
def process(own_sidecar: OwnSidecar) -> SidecarProcess:
    """A sidecar outside of this thread's loop, which blocking calls would stop."""
    return own_sidecar()


def bridge_threads() -> int:
    return sum(thread.name == "rlb-bridge" for thread in threading.enumerate())


def write(bridge: SyncBridge, session_id: str, count: int) -> None:
    with bridge.generation(session_id, "m") as generation:
        for number in range(count):
            generation.produce(str(number))


def test_a_generation_is_written_and_read(process: SidecarProcess) -> None:
    """A plain loop writes an answer, another reads it, with everything that a tail and a generation tell."""
    with SyncBridge(process.path) as bridge:
        with bridge.generation("s", "m", temperature=0.5) as generation:
            for number in range(300):
                generation.produce(str(number))
            generation.flush()
            assert (generation.acked, generation.unacked) == (300, 0)
            ack = generation.complete("length")
        assert generation.last_ack == ack
        assert generation.last_entry_id == ack.entry_id
        tail = bridge.tail("s", "m")
        messages = list(tail)
        assert [message.token for message in messages] == [*map(str, range(300)), ""]
        assert messages[-1].payload.finish_reason == "length"
        assert (tail.last_entry_id, tail.gaps, tail.missing) == (ack.entry_id, 0, 0)


def test_a_block_that_raises_ends_with_error(process: SidecarProcess) -> None:
    """As with the bridge of asyncio."""

    def answer(bridge: SyncBridge) -> None:
        with bridge.generation("s", "m") as generation:
            generation.produce("a")
            raise ZeroDivisionError

    with SyncBridge(process.path) as bridge:
        with pytest.raises(ZeroDivisionError):
            answer(bridge)
        assert [message.payload.finish_reason for message in bridge.tail("s", "m")] == [None, "error"]


async def test_threads_share_one_bridge(process: SidecarProcess, redis: Redis) -> None:
    """Sixteen threads write at once through one loop: each stream has its own tokens in order."""
    with SyncBridge(process.path) as bridge:
        before = bridge_threads()
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda number: write(bridge, f"s-{number}", 100), range(16)))
        assert before == 1
    for number in range(16):
        assert await tokens_in(redis, f"s-{number}") == [*map(str, range(100)), ""]


def test_deliveries_are_settled_and_given_back(process: SidecarProcess) -> None:
    """A subscription is a loop over deliveries, which are acknowledged or given back by blocking calls."""
    with SyncBridge(process.path) as bridge:
        bridge.produce_token("s", "m", "a")
        bridge.produce_token("s", "m", "b")
        counts: dict[str, int] = {}
        subscription = bridge.subscribe("g", consumer="c")
        assert subscription.consumer == "c"
        for delivery in subscription:
            assert (delivery.session_id, delivery.model_id) == ("s", "m")
            assert delivery.entry_id in repr(delivery)
            counts[delivery.message.token] = delivery.delivery_count
            if counts == {"a": 1, "b": 2}:
                delivery.ack()
                break
            if delivery.message.token == "a":
                delivery.ack()
            else:
                delivery.nack("later")
        (group,) = bridge.stream_info("s", "m").groups
        assert (group.lag, group.pending) == (0, 0)


def test_reads_by_hand(process: SidecarProcess) -> None:
    """ReadMessages gives deliveries that block, too."""
    with SyncBridge(process.path) as bridge:
        bridge.produce_token("s", "m", "a")
        assert bridge.create_group("s", "m", "g")
        (delivery,) = bridge.read_messages("s", "m", "g", "c", count=5)
        delivery.ack()
        assert bridge.read_messages("s", "m", "g", "c", block_ms=10) == []


def test_snapshots_are_watched_one_by_one(own_sidecar: OwnSidecar) -> None:
    """A plain loop gets one now and one after each poll; let go of, it leaves the bridge as it was."""
    process = own_sidecar(RLB_MONITOR__INTERVAL_SECONDS="0.1")
    with SyncBridge(process.path) as bridge:
        bridge.produce_token("s", "m", "a")
        for snapshot in bridge.watch(limit=5):
            if snapshot.totals.streams == 1:
                break
        assert [stream.session_id for stream in snapshot.streams] == ["s"]
        assert bridge.ready()
        watching = bridge.watch()
        assert len({next(watching).at for _ in range(4)}) > 1
        watching.close()
        process.stop()
    assert bridge_threads() == 0


def test_pending_entries_are_moved_by_hand(process: SidecarProcess) -> None:
    """With the calls and the errors of the bridge of asyncio."""
    with SyncBridge(process.path) as bridge:
        bridge.produce_token("s", "m", "a")
        bridge.create_group("s", "m", "g")
        (delivery,) = bridge.read_messages("s", "m", "g", "one")
        with pytest.raises(ConsumerBusyError):
            bridge.remove_consumer("s", "m", "g", "one")
        assert bridge.claim("s", "m", "g", "two", [delivery.entry_id]) == 1
        assert [entry.consumer for entry in bridge.pending("s", "m", "g").pending] == ["two"]
        assert bridge.bury("s", "m", "g", [delivery.entry_id]) == 1
        assert bridge.remove_consumer("s", "m", "g", "one")


def test_every_call_of_the_bridge_is_there() -> None:
    """Whatever is public on `Bridge` is public on `SyncBridge`, with the same parameters."""
    for name, member in inspect.getmembers(Bridge):
        if name.startswith("_"):
            continue
        twin = getattr(SyncBridge, name)
        if callable(member):
            ours, theirs = (list(inspect.signature(method).parameters) for method in (twin, member))
            assert ours == theirs, name


def test_errors_keep_their_class(process: SidecarProcess, short_tmp: Path) -> None:
    """What the call of asyncio raises is what the blocking one raises."""

    def fence(bridge: SyncBridge) -> None:
        with bridge.generation("s", "m") as old:
            old.produce("old")
            with bridge.generation("s", "m") as new:
                new.produce("new")
            old.produce("late")

    with SyncBridge(process.path) as bridge:
        with pytest.raises(StreamNotFoundError):
            bridge.stream_info("never", "m")
        with pytest.raises(StreamNotFoundError):
            list(bridge.tail("never", "m"))
        with pytest.raises(FencedError):
            fence(bridge)
    with SyncBridge(short_tmp / "none.sock") as bridge, pytest.raises(SidecarUnreachableError, match="none.sock"):
        bridge.produce_token("s", "m", "a")


def test_an_answer_is_relayed_from_a_plain_iterable(process: SidecarProcess) -> None:
    """An iterator that blocks, as a synchronous HTTP client gives one, is relayed as it comes."""

    def events() -> Iterator[bytes]:
        for text in ("Hel", "lo"):
            time.sleep(0.01)
            yield b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode()
        yield b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    with SyncBridge(process.path) as bridge:
        relayed = bridge.relay("s", "m", events())
        assert relayed.last_ack is not None
        assert "".join(message.token for message in bridge.tail("s", "m")) == "Hello"


def test_no_thread_is_left_behind(process: SidecarProcess, short_tmp: Path) -> None:
    """Closing joins the thread; so does an error in the block, and forgetting the bridge ends it too."""
    assert bridge_threads() == 0
    for _ in range(5):
        with SyncBridge(process.path) as bridge:
            assert bridge.ready()
            assert bridge_threads() == 1
        assert bridge_threads() == 0
    with pytest.raises(ZeroDivisionError), SyncBridge(process.path):
        raise ZeroDivisionError
    assert bridge_threads() == 0
    forgotten = SyncBridge(short_tmp / "none.sock")
    forgotten.__enter__()
    asyncio.run_coroutine_threadsafe(forgotten._bridge._close(), forgotten._loop_thread._shared.loop).result()
    del forgotten
    gc.collect()
    until_s = time.monotonic() + 15
    while bridge_threads() and time.monotonic() < until_s:
        time.sleep(0.01)
    assert bridge_threads() == 0


def test_closing_ends_the_waiting_of_other_threads(process: SidecarProcess) -> None:
    """A thread that waits for a token when the bridge is closed is told, and does not wait for ever."""
    outcome: list[BaseException] = []
    with SyncBridge(process.path) as bridge:
        bridge.produce_token("s", "m", "a")
        messages = iter(bridge.tail("s", "m"))
        first: StreamMessage = next(messages)
        assert first.token == "a"

        def wait() -> None:
            try:
                next(messages)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the test asks for
                outcome.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
    waiting.join(15)
    assert not waiting.is_alive()
    assert isinstance(outcome[0], RuntimeError | SidecarUnreachableError)


def test_a_closed_bridge_says_so(process: SidecarProcess) -> None:
    """Before and after its block, and entered twice, the error says what to do."""
    bridge = SyncBridge(process.path)
    with pytest.raises(RuntimeError, match="with SyncBridge"):
        bridge.ready()
    with bridge:
        thread = bridge._loop_thread
        with pytest.raises(RuntimeError, match="open already"):
            bridge.__enter__()
    with pytest.raises(RuntimeError, match="with SyncBridge"):
        bridge.ready()
    with pytest.raises(RuntimeError, match="closed"):
        thread.call(asyncio.sleep(0))
    with bridge:
        assert bridge.ready()


def test_the_bridge_must_not_be_called_from_its_own_thread(process: SidecarProcess) -> None:
    """A callback that calls the bridge would wait for itself; it gets an error instead."""
    with SyncBridge(process.path) as bridge:

        async def call_back() -> None:
            bridge.ready()

        with pytest.raises(RuntimeError, match="own thread"):
            bridge._loop_thread.call(call_back())


def test_a_fork_does_not_wait_for_a_thread_that_stayed_behind(
    process: SidecarProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a forked process the bridge of its parent is an error, not a wait for ever."""
    with SyncBridge(process.path) as bridge:
        with monkeypatch.context() as forked:
            parent = os.getpid()
            forked.setattr(os, "getpid", lambda: parent + 1)
            with pytest.raises(RuntimeError, match="fork"):
                bridge.ready()
        assert bridge.ready()
