"""The probe: what a round trip takes, that one which fails is told in time, and that nothing is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
from redis.asyncio import Redis

from rlb.domain.keys import Keys
from rlb.domain.stream_key import parse_stream_key
from rlb.monitor import probe as module
from rlb.monitor.probe import GROUP, KEPT, Probe
from rlb.redis_io.topology import Standalone
from rlb.settings import RedisSettings
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.assertions import eventually

SHORT_S = 1.0
"""For a round trip that has to fail."""
LONG_S = 30.0
"""For one that has to go well, even where the machine stands still for a while."""


class Probing:
    """A probe and what it has told; each round trip may take `timeout_s`."""

    def __init__(self, url: str, every_s: float, prefix: str, timeout_s: float) -> None:
        self.done: list[float | None] = []
        self.topology = Standalone(RedisSettings(url=url, backoff_min_s=0.005, backoff_max_s=0.02), timeout_s / 2)
        self.probe = Probe(self.topology, Keys(prefix), every_s, self.done.append, timeout_s)
        self.topology.start()
        self.probe.start()

    @property
    def last(self) -> float | None:
        return self.done[-1]

    def allow(self, timeout_s: float) -> None:
        """Let round trips that begin from now on take so long."""
        self.probe._timeout_s = timeout_s

    async def next(self) -> float | None:
        """What comes of a round trip that begins from now on."""
        count = len(self.done)
        await eventually(lambda: len(self.done) > count + 1)
        return self.last

    async def close(self) -> None:
        await self.probe.close()
        await self.topology.close()


class MakeProbing(Protocol):
    def __call__(
        self, url: str, every_s: float = 0.02, prefix: str = "llm:stream", timeout_s: float = LONG_S
    ) -> Probing: ...


@pytest.fixture
async def make_probing() -> AsyncIterator[MakeProbing]:
    """A factory of probes, closed with the test."""
    async with AsyncExitStack() as at_exit:

        def make(url: str, every_s: float = 0.02, prefix: str = "llm:stream", timeout_s: float = LONG_S) -> Probing:
            probing = Probing(url, every_s, prefix, timeout_s)
            at_exit.push_async_callback(probing.close)
            return probing

        yield make


async def test_round_trips_are_timed(server: RedisServer, redis: Redis, make_probing: MakeProbing) -> None:
    probing = make_probing(server.url)
    await eventually(lambda: len(probing.done) >= 30)
    assert all(seconds is not None and 0 < seconds < LONG_S for seconds in probing.done)
    assert probing.probe.reason is None
    key = probing.probe.key
    assert await redis.xlen(key) <= KEPT
    assert 0 < await redis.pttl(key) <= 60_000
    # All but the last, whose acknowledgement may be on its way.
    assert (await redis.xpending(key, GROUP))["pending"] <= 1


async def test_a_slow_way_takes_its_time(own_server: OwnServer, make_probing: MakeProbing) -> None:
    server = own_server()
    probing = make_probing(server.url, every_s=0.3)
    await probing.next()
    await eventually(lambda: not probing.probe._waiting)
    server.pause()
    await eventually(lambda: probing.probe._waiting)
    await asyncio.sleep(0.5)
    server.resume()
    await eventually(lambda: any(seconds is not None and seconds > 0.4 for seconds in probing.done))


async def test_a_silent_redis_is_a_failure_in_time_and_then_over(
    own_server: OwnServer, make_probing: MakeProbing
) -> None:
    server = own_server()
    probing = make_probing(server.url)
    assert await probing.next() is not None
    probing.allow(SHORT_S)
    await probing.next()
    server.pause()
    count = len(probing.done)
    await eventually(lambda: len(probing.done) > count and probing.last is None, timeout_s=10)
    assert probing.probe.reason == "no answer within 1 s"
    probing.allow(LONG_S)
    server.resume()
    await eventually(lambda: probing.last is not None)
    assert probing.probe.reason is None
    count = len(probing.done)
    await eventually(lambda: len(probing.done) >= count + 20)
    # Nothing that came late was taken for what came after it.
    assert all(seconds is not None for seconds in probing.done[count:])


async def test_without_redis_it_fails_and_with_it_it_recovers(own_server: OwnServer, make_probing: MakeProbing) -> None:
    server = own_server()
    server.stop()
    probing = make_probing(server.url, timeout_s=SHORT_S)
    await eventually(lambda: probing.done[:1] == [None])
    assert probing.probe.reason is not None
    server.start()
    await eventually(lambda: probing.last is not None)
    server.kill()
    await eventually(lambda: probing.last is None)
    server.start()
    await eventually(lambda: probing.last is not None)


async def test_a_stream_that_somebody_deletes_is_made_anew(
    server: RedisServer, redis: Redis, make_probing: MakeProbing
) -> None:
    probing = make_probing(server.url)
    assert await probing.next() is not None
    probing.allow(SHORT_S)
    await probing.next()
    for _ in range(10):
        await redis.delete(probing.probe.key)
        await asyncio.sleep(0.01)
    # The one that was under way then has failed at most.
    probing.allow(LONG_S)
    await probing.next()
    count = len(probing.done)
    await eventually(lambda: len(probing.done) >= count + 10)
    assert all(seconds is not None for seconds in probing.done[count:])


async def test_a_key_of_another_kind_is_only_a_failure(
    valkey: RedisServer, redis: Redis, make_probing: MakeProbing
) -> None:
    probing = make_probing(valkey.url)
    assert await probing.next() is not None
    probing.allow(SHORT_S)
    await probing.next()
    await redis.set(probing.probe.key, "x")
    await eventually(lambda: None in probing.done)
    await eventually(lambda: probing.last is not None)


async def test_a_user_who_may_not_is_told(own_server: OwnServer, make_probing: MakeProbing) -> None:
    server = own_server(config=("user default on nopass ~llm:stream* +@all",))
    probing = make_probing(server.url)
    await eventually(lambda: probing.done[:1] == [None])
    assert probing.probe.reason == "Redis answered NOPERM (a key)"


async def test_nothing_is_left_of_it(
    valkey: RedisServer, redis: Redis, make_probing: MakeProbing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMOVE_S", 10.0)
    first, second = make_probing(valkey.url), make_probing(valkey.url)
    assert first.probe.key != second.probe.key
    assert await first.next() is not None
    assert await second.next() is not None
    await first.probe.close()
    assert await redis.keys("*") == [second.probe.key.encode()]


@pytest.mark.parametrize("prefix", ["llm:stream", "llm", "a:b:c", "s"])
def test_its_key_is_no_stream_of_ours(prefix: str) -> None:
    assert parse_stream_key(prefix, Keys(prefix).probe("0123456789ab")) is None
    assert parse_stream_key(prefix, Keys(prefix).observer) is None
