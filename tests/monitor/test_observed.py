"""Whether an observer leads, as sidecars find out: with each poll, and without a poll being any worse for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.domain.keys import Keys
from rlb.monitor import observed
from rlb.monitor.build import build_monitor
from rlb.monitor.duty import Duty
from rlb.monitor.lease import lease_name
from rlb.redis_io.topology import Standalone
from rlb.settings import Settings
from tests.conftest import OwnServer
from tests.redis_io.acl_servers import make_user
from tests.servers.process import RedisServer
from tests.support.acl_workload import PASSWORD, USER
from tests.support.assertions import eventually

KEY = "llm:observer"
LEASE_S = 0.6


class Deaf:
    """Is told of nothing."""

    def removed(self, group: str) -> None: ...
    def probed(self, seconds: float | None) -> None: ...


class Process:
    """The duty of a sidecar or an observer, with a monitor of its own."""

    def __init__(self, settings: Settings) -> None:
        self.topology = Standalone(settings.redis, 1.0)
        self.monitor = build_monitor(settings, self.topology)
        keys = Keys(settings.stream.prefix)
        self.duty = Duty(self.topology, keys, settings.monitor, self.monitor, "somebody", Deaf())
        self.topology.start()
        self.duty.start()

    async def close(self) -> None:
        await self.duty.close()
        await self.topology.close()


Start = Callable[..., Process]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """A factory of processes by their settings of `monitor`, closed with the test."""
    async with AsyncExitStack() as at_exit:

        def make(url: str, scope: str = "own", **redis: Any) -> Process:
            monitor = {"scope": scope, "interval_seconds": 0.05, "lease_seconds": LEASE_S}
            settings = {"redis": {"url": url, "backoff_max_s": 0.05, **redis}, "monitor": monitor}
            process = Process(Settings.model_validate(settings))
            at_exit.push_async_callback(process.close)
            return process

        yield make


async def test_a_sidecar_knows_whether_an_observer_leads_and_which(server: RedisServer, start: Start) -> None:
    sidecar = start(server.url)
    assert (sidecar.duty.observed, sidecar.duty.lease) == (None, None)
    await eventually(lambda: sidecar.duty.observed is False)
    assert sidecar.duty.lease is None
    observer = start(server.url, "all")
    await eventually(lambda: observer.duty.leads and sidecar.duty.observed)
    assert sidecar.duty.lease == observer.duty.lease
    # As if its process had died: nothing is given up.
    lease = observer.duty._lease
    assert lease is not None
    assert lease._task is not None
    lease._task.cancel()
    await eventually(lambda: sidecar.duty.observed is False)
    assert sidecar.duty.lease is None
    another = start(server.url, "all")
    await eventually(lambda: sidecar.duty.lease == another.duty.lease)
    assert another.duty.lease != observer.duty.lease


async def test_an_observer_is_not_beside_itself(valkey: RedisServer, start: Start) -> None:
    """Those that elect say who leads, not whether anybody does."""
    first, second = start(valkey.url, "all"), start(valkey.url, "all")
    await eventually(lambda: first.duty.leads or second.duty.leads)
    await eventually(lambda: first.monitor.is_fresh or second.monitor.is_fresh)
    assert (first.duty.observed, second.duty.observed) == (None, None)
    assert first.duty.lease != second.duty.lease


def make_older_user(server: RedisServer) -> None:
    """A sidecar's user as it was when nobody asked."""
    make_user(server, "sidecar", Settings())
    if server.kind.version >= (7, 0):
        server.command("ACL", "SETUSER", USER, "clearselectors", "(%R~llm:streams +zrangebyscore)")
    else:
        server.command("ACL", "SETUSER", USER, "-get")


async def test_a_user_who_may_not_ask_polls_as_well_as_before(server: RedisServer, start: Start) -> None:
    """It is not known then, nothing else is missing, and the server's log does not fill with denials."""
    make_older_user(server)
    server.command("ACL", "LOG", "RESET")
    sidecar = start(server.url, username=USER, password=PASSWORD)
    await eventually(lambda: sidecar.monitor.is_fresh)
    for _ in range(5):
        await sidecar.monitor.turn()
        assert sidecar.duty.observed is None
        assert sidecar.monitor.trouble is None
        assert sidecar.duty.state.state == "up"
    (denial,) = server.command("ACL", "LOG")
    entry = dict(zip(denial[::2], denial[1::2], strict=True))
    assert (entry[b"count"], entry[b"object"]) in ((1, b"get"), (1, KEY.encode()))
    server.command("ACL", "DELUSER", USER)


async def test_a_user_who_is_given_the_right_is_answered(
    server: RedisServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observed, "DENIED_S", 0.2)
    make_older_user(server)
    server.command("SET", KEY, "somebody")
    sidecar = start(server.url, username=USER, password=PASSWORD)
    await eventually(lambda: sidecar.monitor.is_fresh)
    assert sidecar.duty.observed is None
    make_user(server, "sidecar", Settings())
    await eventually(lambda: sidecar.duty.observed)
    assert sidecar.duty.lease == lease_name(b"somebody")
    # And taken away again: what was found before is not told for ever.
    make_older_user(server)
    await eventually(lambda: sidecar.duty.observed is None)
    assert sidecar.monitor.is_fresh
    server.command("ACL", "DELUSER", USER)


async def test_a_key_of_another_kind_is_no_lease(valkey: RedisServer, redis: Redis, start: Start) -> None:
    await redis.rpush(KEY, "x")
    sidecar = start(valkey.url)
    await eventually(lambda: sidecar.monitor.is_fresh)
    assert sidecar.duty.observed is None
    assert sidecar.monitor.trouble is None
    await redis.delete(KEY)
    await eventually(lambda: sidecar.duty.observed is False)


async def test_while_it_is_asked_the_last_answer_holds(own_server: OwnServer) -> None:
    """A scrape may come at any moment: one without an answer would count the sidecar beside the observer."""
    server = own_server()
    server.command("SET", KEY, "somebody")
    topology = Standalone(Settings.model_validate({"redis": {"url": server.url}}).redis, 1.0)
    asks = observed.Observed(topology.main, Keys("llm:stream"))
    topology.main.start()
    try:
        await asks.ask()
        before = asks.leading
        assert before == observed.Leading(lease_name(b"somebody"))
        server.pause()
        asking = asyncio.create_task(asks.ask())
        await eventually(lambda: topology.main.in_flight_bytes)
        assert asks.leading == before
        server.resume()
        await asking
        assert asks.leading == before
    finally:
        await topology.main.close()


async def test_without_redis_it_is_not_known(own_server: OwnServer, start: Start) -> None:
    server = own_server()
    server.command("SET", KEY, "somebody")
    sidecar = start(server.url)
    await eventually(lambda: sidecar.duty.observed)
    server.stop()
    await eventually(lambda: sidecar.duty.observed is None)
    assert sidecar.duty.lease is None
    server.start()
    await eventually(lambda: sidecar.duty.observed is False)
