"""The lease: one leader at a time, another soon after it falls silent, and none that leads beyond its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
from redis.asyncio import Redis

from rlb.domain.keys import Keys
from rlb.monitor import lease as module
from rlb.monitor.lease import Lease
from rlb.redis_io.topology import Standalone
from rlb.settings import RedisSettings
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.assertions import eventually

KEYS = Keys("llm:stream")
KEY = "llm:observer"
SECONDS = 0.6
LONG_S = 30.0
"""A life that no test outlasts, even where the machine stands still for a while."""


class Candidate:
    """A lease and the changes that it told."""

    def __init__(self, url: str, name: str, seconds: float) -> None:
        self.changes: list[bool] = []
        topology = Standalone(RedisSettings(url=url, backoff_min_s=0.005, backoff_max_s=0.02), 1.0)
        self.lease = Lease(topology, KEYS, name, seconds, self._on_taken, self._on_lost)
        self.lease.start()

    def _on_taken(self) -> None:
        self.changes.append(True)

    def _on_lost(self) -> None:
        self.changes.append(False)

    @property
    def leads(self) -> bool:
        return self.lease.is_leader


class Propose(Protocol):
    def __call__(self, url: str, name: str = "a", seconds: float = SECONDS) -> Candidate: ...


@pytest.fixture
async def propose() -> AsyncIterator[Propose]:
    """A factory of candidates, closed with the test."""
    async with AsyncExitStack() as at_exit:

        def make(url: str, name: str = "a", seconds: float = SECONDS) -> Candidate:
            candidate = Candidate(url, name, seconds)
            at_exit.push_async_callback(candidate.lease.close)
            return candidate

        yield make


async def test_one_leads_and_keeps_leading(
    server: RedisServer, redis: Redis, propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It renews in time, and the others, who ask as often, get nothing."""
    monkeypatch.setattr(module, "RENEWALS", 300)
    candidates = [propose(server.url, "same name", LONG_S) for _ in range(4)]
    await eventually(lambda: any(each.leads for each in candidates))
    until_s = time.monotonic() + 1.5
    while time.monotonic() < until_s:
        assert sum(each.leads for each in candidates) == 1
        await asyncio.sleep(0.01)
    for _ in range(2):
        await redis.pexpire(KEY, 20_000)
        await eventually(lambda: left_is_above(redis, 20_000))
    assert await redis.pttl(KEY) <= LONG_S * 1000
    assert sorted(each.changes for each in candidates) == [[], [], [], [True]]
    await eventually(lambda: all(each.lease.reason is None for each in candidates))


async def left_is_above(redis: Redis, ms: int) -> bool:
    """Whether the lease has been renewed."""
    left_ms: int = await redis.pttl(KEY)
    return left_ms > ms


async def test_one_that_stops_gives_the_lease_up(
    valkey: RedisServer, redis: Redis, propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RELEASE_S", 10.0)
    first = propose(valkey.url, "first", LONG_S)
    await eventually(lambda: first.leads)
    await first.lease.close()
    assert first.changes == [True, False]
    assert not first.leads
    assert await redis.get(KEY) is None


async def test_one_that_does_not_lead_leaves_the_lease_alone(
    valkey: RedisServer, redis: Redis, propose: Propose
) -> None:
    first = propose(valkey.url, "first", LONG_S)
    await eventually(lambda: first.leads)
    second = propose(valkey.url, "second", LONG_S)
    await eventually(lambda: second.lease.reason is None)
    held = await redis.get(KEY)
    await second.lease.close()
    assert await redis.get(KEY) == held
    assert second.changes == []


async def test_another_takes_over_from_a_silent_leader(valkey: RedisServer, propose: Propose) -> None:
    first = propose(valkey.url, "first")
    await eventually(lambda: first.leads)
    second = propose(valkey.url, "second")
    await eventually(lambda: second.lease.reason is None)
    # As if its process had died: nothing is given up.
    assert first.lease._task is not None
    first.lease._task.cancel()
    await eventually(lambda: second.leads, timeout_s=10)
    assert not first.leads
    await eventually(lambda: not first.changes[-1])


async def test_a_leader_that_cannot_renew_stops_before_its_key_ends(own_server: OwnServer, propose: Propose) -> None:
    server = own_server()
    leader = propose(server.url)
    await eventually(lambda: leader.leads)
    await eventually(lambda: leader.leads and leader.lease._link.in_flight_bytes == 0)
    # Until the loop turns, it does not renew.
    left_ms = server.command("PTTL", KEY)
    asked_s = time.monotonic()
    server.pause()
    led_s = asked_s
    while leader.leads or leader.changes[-1]:
        await asyncio.sleep(0.005)
        at_s = time.monotonic()
        led_s = at_s if leader.leads else led_s
    assert led_s < asked_s + left_ms / 1000
    await eventually(lambda: leader.lease.reason == "Redis does not answer")
    server.resume()
    await eventually(lambda: leader.leads)


async def test_a_blocked_loop_does_not_lead_beyond_its_time(valkey: RedisServer, propose: Propose) -> None:
    leader = propose(valkey.url)
    await eventually(lambda: leader.leads)
    changes = list(leader.changes)
    time.sleep(SECONDS * 1.1)
    # Nothing else has run in this loop since.
    assert not leader.leads
    assert leader.changes == changes
    assert changes[-1] is True
    await eventually(lambda: leader.leads)


async def test_without_redis_nobody_leads_until_it_is_there(own_server: OwnServer, propose: Propose) -> None:
    server = own_server()
    server.stop()
    candidate = propose(server.url)
    await eventually(lambda: candidate.lease.reason not in (None, "not asked yet"))
    assert not candidate.leads
    server.start()
    await eventually(lambda: candidate.leads)


async def test_a_lease_that_somebody_took_away_is_let_go(valkey: RedisServer, redis: Redis, propose: Propose) -> None:
    leader = propose(valkey.url)
    await eventually(lambda: leader.leads)
    await redis.set(KEY, "somebody", px=300)
    await eventually(lambda: leader.changes[:2] == [True, False])
    await eventually(lambda: leader.leads)


async def test_a_lease_without_an_end_ends(valkey: RedisServer, redis: Redis, propose: Propose) -> None:
    await redis.set(KEY, "for ever")
    candidate = propose(valkey.url)
    await eventually(lambda: candidate.leads)


async def test_a_key_of_another_kind_is_told(valkey: RedisServer, redis: Redis, propose: Propose) -> None:
    await redis.rpush(KEY, "x")
    candidate = propose(valkey.url)
    await eventually(lambda: candidate.lease.reason is not None and "WRONGTYPE" in candidate.lease.reason)
    assert not candidate.leads
