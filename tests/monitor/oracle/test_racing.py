"""Polls in the midst of traffic: the answers to one poll are of different moments, and must not add up wrongly."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.conftest import MakeFaultProxy
from tests.monitor.oracle.subject import known, monitor_of
from tests.monitor.oracle.wire import Command, Wire
from tests.servers.process import RedisServer
from tests.support.cores import settings_of
from tests.support.loops import allow

STREAMS = 60
PIECE_BYTES = 100
"""The questions of a poll arrive in such pieces, with other commands in between: as they may over a network."""
POLLS = 25
READ = 3
"""At most as many as are added, so that something is left to read now and then."""


def _key(number: int) -> str:
    return f"llm:stream:s-{number}:m"


def _removals(number: int, ids: list[bytes]) -> Iterator[Command]:
    """After a read: of a work queue what was read is deleted, of a capped stream all but the last of it is trimmed."""
    key = _key(number)
    if number % 2:
        yield ("XACK", key, "g", *ids)
        yield ("XDEL", key, *ids)
    else:
        yield ("XTRIM", key, "MINID", "=", ids[-1])


@contextmanager
def _traffic(server: RedisServer) -> Iterator[None]:
    """Adds, reads and removals on all streams for the length of the block; nothing is removed before it was read."""
    over = threading.Event()

    def run() -> None:
        everything = range(STREAMS)
        with Wire(server) as wire:
            while not over.is_set():
                wire.ask([("XADD", _key(number), "*", "data", "x") for number in everything for _ in range(number % 4)])
                read = ("GROUP", "g", "c", "COUNT", READ, "STREAMS")
                replies = wire.ask([("XREADGROUP", *read, _key(number), ">") for number in everything])
                ids = {number: [row[0] for row in reply[0][1]] for number, reply in enumerate(replies) if reply}
                wire.ask([command for number in ids for command in _removals(number, ids[number])])

    with Wire(server) as wire:
        wire.ask([("XGROUP", "CREATE", _key(number), "g", "0", "MKSTREAM") for number in range(STREAMS)])
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)


@pytest.mark.timeout(120)
async def test_nothing_is_lost_that_was_read_in_time(server: RedisServer, fault_proxy: MakeFaultProxy) -> None:
    """A poll's answers are of different moments; what was read and removed between them was not lost unread."""
    allow(110)
    proxy = await fault_proxy(server)
    proxy.slicer(PIECE_BYTES)
    monitor = monitor_of(settings_of(proxy.url))
    keys = [_key(number) for number in range(STREAMS)]
    monitor.watch(keys)
    monitor.connect()
    try:
        with _traffic(server):
            for _ in range(POLLS):
                await monitor.poll()
                await asyncio.sleep(0.01)
        lost = {info.key: info.groups[0].lost_unread for info in known(monitor)}
        assert len(lost) == STREAMS
        assert {key: count for key, count in lost.items() if count} == {}
        # And once it is quiet, all is told as it is: nobody has anything left to read but what was added last.
        with Wire(server) as wire:
            wire.ask([("XREADGROUP", "GROUP", "g", "c", "COUNT", 1000, "STREAMS", key, ">") for key in keys])
        await monitor.poll()
        groups = [info.groups[0] for info in known(monitor)]
        assert {(group.lag, group.lag_quality, group.lost_unread or 0) for group in groups} == {(0, "exact", 0)}
    finally:
        await monitor.close()


@pytest.mark.timeout(120)
async def test_lag_under_traffic_is_a_lag_that_there_was(server: RedisServer) -> None:
    """Never below the least, never above the most that the group had to read while the poll ran."""
    allow(110)
    monitor = monitor_of(settings_of(server.url))
    key = _key(0)
    monitor.watch([key])
    monitor.connect()
    steps: list[tuple[float, int]] = []
    over = threading.Event()

    def run() -> None:
        """Let the lag go up and down between 0 and 40, and note it after each change."""
        lag, up = 0, True
        with Wire(server) as wire:
            while not over.is_set():
                if up:
                    wire.ask([("XADD", key, "MAXLEN", "~", 500, "*", "data", "x")] * 4)
                    lag += 4
                else:
                    wire.ask([("XREADGROUP", "GROUP", "g", "c", "NOACK", "COUNT", 4, "STREAMS", key, ">")])
                    lag -= 4
                steps.append((time.monotonic(), lag))
                up = lag <= 0 if not up else lag < 40

    with Wire(server) as wire:
        wire.ask([("XGROUP", "CREATE", key, "g", "0", "MKSTREAM")])
    thread = threading.Thread(target=run)
    polls: list[tuple[float, int | None, str, float]] = []
    thread.start()
    try:
        for _ in range(200):
            begin_s = time.monotonic()
            await monitor.poll()
            group = known(monitor)[0].groups[0]
            polls.append((begin_s, group.lag, group.lag_quality, time.monotonic()))
            await asyncio.sleep(0)
    finally:
        over.set()
        thread.join(20)
        await monitor.close()
    checked = 0
    for begin_s, lag, quality, end_s in polls:
        before = [at for at, (at_s, _) in enumerate(steps) if at_s < begin_s]
        after = [at for at, (at_s, _) in enumerate(steps) if at_s > end_s]
        if not before or not after:
            continue
        seen = [number for _, number in steps[before[-1] : after[0] + 1]]
        # The group is asked before the stream, so what is added in between may come on top, and no more than that.
        most = max(seen) + sum(max(0, now - then) for then, now in pairwise(seen))
        assert quality in ("exact", "server")
        assert lag is not None
        assert min(seen) <= lag <= most, (lag, seen)
        checked += 1
    assert checked > 20
