"""Every kind of Redis as a source, without a sidecar: it is found out about, and never written to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.domain.snapshot import Snapshot
from rlb.errors import SettingsError
from rlb.settings import Settings
from rlb_top.actions import ActionFailedError, StreamName
from rlb_top.following import follow
from rlb_top.source import SourceLostError
from rlb_top.sources.redis import RedisSource
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.top.sources import PATIENCE_S, next_loss, next_snapshot, snapshot_of

FAST = {"interval_seconds": 0.1, "idle_interval_seconds": 0.1, "sweep_seconds": 0.1}
READER = "user reader on >secret ~* +@all -@write -@dangerous +info +keys"
ORDERS = StreamName("orders:eu", None, None)


def settings(url: str, *patterns: str, deadline_ms: int = 10_000, **redis: Any) -> Settings:
    monitor = {**FAST, "patterns": patterns}
    return Settings.model_validate(
        {"redis": {"url": url, **redis}, "monitor": monitor, "append": {"deadline_ms": deadline_ms}}
    )


@pytest.fixture
async def source(server: RedisServer) -> AsyncIterator[RedisSource]:
    made = RedisSource(settings(server.url), limit=100)
    yield made
    await made.close()


async def fill(redis: Redis, key: str = "orders:eu", count: int = 5) -> None:
    for number in range(count):
        await redis.xadd(key, {"n": number})


async def test_any_stream_is_found_with_its_groups_and_its_lag(source: RedisSource, redis: Redis) -> None:
    await fill(redis)
    await fill(redis, "llm:stream:s-1:m")
    await redis.set("no-stream", "x")
    await redis.xgroup_create("orders:eu", "app", "0")
    await redis.xreadgroup("app", "c-1", {"orders:eu": ">"}, count=2)
    found = await snapshot_of(source, lambda each: each.totals.streams == 2 and each.totals.groups == 1)
    streams = {each.key: each for each in found.streams}
    assert streams["orders:eu"].session_id is None
    assert streams["llm:stream:s-1:m"].session_id == "s-1"
    (app,) = streams["orders:eu"].groups
    assert (app.lag, app.pending, [each.consumer for each in app.consumers]) == (3, 2, ["c-1"])
    assert (found.sidecar.scope, found.redis.up) == ("all", True)


async def test_what_changes_later_is_seen(source: RedisSource, redis: Redis) -> None:
    await fill(redis)
    await redis.xgroup_create("orders:eu", "app", "0")
    await snapshot_of(source, lambda each: each.totals.groups == 1 and each.streams[0].groups[0].lag == 5)
    await fill(redis, count=2)
    await fill(redis, "another")
    await snapshot_of(source, lambda each: each.totals.streams == 2 and each.streams[0].groups[0].lag == 7)


async def test_nothing_is_written_and_it_may_not_even_write(
    own_server: OwnServer,
) -> None:
    """Watched by a user without any right to write; what the server counts as written is what the test wrote."""
    server = own_server(config=(READER,))
    async with server.client() as redis:
        await fill(redis)
        await redis.xgroup_create("orders:eu", "app", "0")
        await redis.xreadgroup("app", "c-1", {"orders:eu": ">"})
        before = await redis.info("persistence"), await redis.keys()
        source = RedisSource(settings(server.url, username="reader", password="secret"), limit=100)
        polls: set[float | None] = set()

        def is_enough(snapshot: Snapshot) -> bool:
            assert snapshot.redis.reason is None
            polls.add(snapshot.at)
            return len(polls) > 5

        found = await snapshot_of(source, is_enough)
        assert found.streams[0].groups[0].pending == 5
        assert [each.consumer for each in await source.pending(ORDERS, "app")] == ["c-1"] * 5
        await source.close()
        after = await redis.info("persistence"), await redis.keys()
    changes = "rdb_changes_since_last_save"
    assert (after[0][changes], after[1]) == (before[0][changes], before[1])


async def test_only_what_the_patterns_name_is_watched(server: RedisServer, redis: Redis) -> None:
    await fill(redis)
    await fill(redis, "jobs:1")
    source = RedisSource(settings(server.url, "orders:{region}"), limit=100)
    found = await snapshot_of(source, lambda each: each.totals.streams > 0)
    assert [each.key for each in found.streams] == ["orders:eu"]
    await source.close()


async def test_the_totals_are_of_all_streams_and_the_rows_are_the_worst(server: RedisServer, redis: Redis) -> None:
    for number in range(5):
        await fill(redis, f"orders:{number}", 1 + number)
        await redis.xgroup_create(f"orders:{number}", "app", "0")
    source = RedisSource(settings(server.url), limit=2)
    found = await snapshot_of(source, lambda each: each.totals.groups == 5)
    assert len(found.streams) == 2
    assert found.totals.streams == 5
    await source.close()


async def test_pending_entries_can_be_looked_at(source: RedisSource, redis: Redis) -> None:
    await fill(redis)
    await redis.xgroup_create("orders:eu", "app", "0")
    await redis.xreadgroup("app", "c-1", {"orders:eu": ">"}, count=2)
    await redis.xreadgroup("app", "c-2", {"orders:eu": ">"}, count=1)
    assert [each.consumer for each in await source.pending(ORDERS, "app")] == ["c-1", "c-1", "c-2"]
    (entry,) = await source.pending(ORDERS, "app", "c-2")
    assert entry.deliveries == 1
    assert len(await source.pending(ORDERS, "app", limit=1)) == 1
    with pytest.raises(ActionFailedError):
        await source.pending(ORDERS, "no-group")


async def test_the_interval_can_be_changed_while_it_polls(server: RedisServer) -> None:
    slow = settings(server.url).model_copy()
    slow = slow.model_copy(update={"monitor": slow.monitor.model_copy(update={"interval_seconds": 3000.0})})
    source = RedisSource(slow, limit=10)
    snapshots = source.watch()
    async with asyncio.timeout(PATIENCE_S):
        first = await anext(snapshots)
        await source.set_interval(0.2)
        latest = first
        while latest.at == first.at:
            latest = await anext(snapshots)
    assert source.interval_s == 0.2
    await snapshots.aclose()
    await source.close()


async def test_a_redis_that_goes_is_lost_and_found_again(own_server: OwnServer) -> None:
    server = own_server()
    source = RedisSource(settings(server.url), limit=10)
    events = follow(source)
    async with asyncio.timeout(PATIENCE_S):
        await next_snapshot(events)
        server.kill()
        assert "not connected" in (await next_loss(events)).reason
        assert [each.state for each in await source.health() if each.name == "redis"] == ["down"]
        server.start()
        await next_snapshot(events)
    await events.aclose()
    assert [each.state for each in await source.health() if each.name == "redis"] == ["up"]
    await source.close()


async def refused(source: RedisSource) -> str:
    """What connecting says, once it was tried; closes the source."""
    monitor = await source._opened()
    await eventually(lambda: monitor.reason not in {None, "not connected yet"})
    with pytest.raises(SourceLostError) as lost:
        await source.connect()
    await source.close()
    return str(lost.value)


async def test_nobody_there_and_wrong_credentials_are_told_without_secrets(own_server: OwnServer) -> None:
    server = own_server(config=("user default on >right ~* +@all",), tcp=True)
    wrong = server.tcp_url.replace("redis://", "redis://:wrong-secret@")
    source = RedisSource(settings(wrong, deadline_ms=100), limit=10)
    assert "wrong-secret" not in source.name
    refusal = await refused(source)
    assert "authentication refused" in refusal
    assert "wrong-secret" not in refusal
    source = RedisSource(settings("redis://127.0.0.1:1", deadline_ms=100), limit=10)
    assert "cannot connect to 127.0.0.1:1" in await refused(source)
    with pytest.raises(SettingsError, match="RLB_REDIS__URL"):
        await RedisSource(Settings(), limit=10).connect()
