"""The monitor on real servers: which streams it watches, when it polls them, and how it keeps within its bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from rlb.monitor import watchlist
from rlb.monitor.budget import Budget
from rlb.monitor.reading import Outcome
from rlb.monitor.rounds import MAX_QUIET
from rlb.monitor.state import StreamState
from tests.conftest import OwnServer
from tests.monitor.watching import KEY, Watching, add
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.cores import StartCore


async def test_all_streams_that_match_are_watched(server: RedisServer, redis: Redis) -> None:
    """Those in the index at once, those of others by a sweep; other keys and other types never."""
    await add(redis, KEY)
    await add(redis, "orders:eu:1")
    await add(redis, "orders:us:2")
    await add(redis, "jobs")
    await redis.set("orders:us:text", "x")
    patterns = ["llm:stream:{session}:{model}", "orders:{region}:*"]
    async with Watching(server.url, patterns=patterns, sweep_seconds=0.1) as watching:
        assert set(await watching.poll()) == {KEY, "orders:eu:1", "orders:us:2"}
        census = watching.monitor.census
        assert {model: counted.streams for model, counted in census.models.items()} == {"m-1": 1, "eu": 1, "us": 1}
        await redis.delete("orders:eu:1")
        assert set(await watching.poll()) == {KEY, "orders:us:2"}
        assert watching.monitor.watched == 2
        assert watching.counts.failures == {}


async def test_own_streams_are_those_in_use(valkey: RedisServer, redis: Redis) -> None:
    """And those that were, for a while; what does not exist (yet) is no stream."""
    await add(redis, KEY)
    await add(redis, "llm:stream:s-2:m-1")
    async with Watching(valkey.url, {KEY, "llm:stream:none:m-1"}, scope="own", forget_seconds=2.5) as watching:
        assert set(await watching.poll()) == {KEY}
        watching.own.clear()
        assert set(await watching.poll()) == {KEY}
        await asyncio.sleep(2.6)
        assert set(await watching.poll()) == set()


async def test_an_own_stream_with_a_backlog_is_not_forgotten(valkey: RedisServer, redis: Redis) -> None:
    """A group that has stopped is watched for as long as there is something for it to read or to acknowledge."""
    await add(redis, KEY, 2)
    await redis.xgroup_create(KEY, "g", "0")
    async with Watching(valkey.url, {KEY}, scope="own", forget_seconds=1.0) as watching:
        await watching.poll()
        watching.own.clear()
        await asyncio.sleep(1.1)
        assert set(await watching.poll()) == {KEY}
        await redis.xreadgroup("g", "c", {KEY: ">"})
        assert set(await watching.poll()) == {KEY}
        await redis.xack(KEY, "g", *[entry for entry, _ in await redis.xrange(KEY)])
        await watching.poll()
        assert set(await watching.poll()) == set()


async def test_a_poll_that_is_refused_throughout_is_no_success(own_server: OwnServer) -> None:
    """The time of the last success stays, so that nobody takes what is known for the present."""
    server = own_server(VALKEY_9, config=("user watcher on >pw ~* &* +@all",))
    async with server.client() as redis:
        await add(redis, KEY)
        url = server.url.replace("unix://", "unix://watcher:pw@")
        async with Watching(url) as watching:
            await watching.poll()
            before_s = watching.monitor.last_success_s
            await redis.execute_command("ACL", "SETUSER", "watcher", "-xinfo")
            await watching.poll()
            assert watching.monitor.last_success_s == before_s
            assert watching.counts.failures == {"NOPERM": 1}
            await redis.execute_command("ACL", "SETUSER", "watcher", "+xinfo")
            await watching.poll()
            assert watching.monitor.last_success_s != before_s


async def test_a_core_uses_what_its_apps_write_and_read(valkey: RedisServer, start_core: StartCore) -> None:
    core = await start_core(valkey.url).ready()
    other = await start_core(valkey.url).ready()
    assert core.core.keys_in_use() == set()
    await core.write("a")
    assert core.core.keys_in_use() == {core.stream().key}
    await other.core.groups.create(other.stream(), "g")
    await other.read("g", "c")
    assert other.core.keys_in_use() == {core.stream().key}
    third = await start_core(valkey.url).ready()
    follower = await third.follow()
    assert third.core.keys_in_use() == {core.stream().key}
    await follower.close()


async def test_a_stream_that_is_refused_is_asked_at_every_poll(
    valkey: RedisServer, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """So that health and logs do not go up and down with every second one."""
    await add(redis, KEY)
    await redis.execute_command("ACL", "SETUSER", "default", "-xinfo|groups")
    try:
        async with Watching(valkey.url, interval_seconds=0.1) as watching:
            watching.monitor.resume()
            await eventually(lambda: watching.counts.failures.get("NOPERM", 0) >= 1)
            polls, failures = watching.counts.polls, watching.counts.failures["NOPERM"]
            await eventually(lambda: watching.counts.polls >= polls + 10)
            assert watching.counts.failures["NOPERM"] - failures >= watching.counts.polls - polls - 1
            # Said once, the first time.
            assert [record.message for record in caplog.records].count("monitor.incomplete") == 1
    finally:
        await redis.execute_command("ACL", "SETUSER", "default", "+@all")


async def test_a_poll_that_takes_long_puts_no_stream_off(
    valkey: RedisServer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the interval goes by until the answers are there; the next poll is of the same streams all the same."""
    await add(redis, KEY)
    await redis.xgroup_create(KEY, "g", "0")
    async with Watching(valkey.url, interval_seconds=0.2) as watching:
        poller = watching.monitor._rounds.poller
        read, found = poller.read, 0

        async def read_slowly(states: Sequence[StreamState], budget: Budget) -> list[Outcome]:
            nonlocal found
            outcomes = await read(states, budget)
            await asyncio.sleep(0.1)
            found += len(outcomes)
            return outcomes

        monkeypatch.setattr(poller, "read", read_slowly)
        watching.monitor.resume()
        await eventually(lambda: watching.counts.polls >= 6)
        assert found >= watching.counts.polls


async def test_an_answer_that_takes_long_makes_no_difference_of_clocks(
    valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever on its way it was held up; a difference that there is shows at once, and stays."""
    async with Watching(valkey.url) as watching:
        rounds = watching.monitor._rounds
        ask = rounds.poller.now_ms
        before_s = after_s = ahead_s = 0.0

        async def ask_slowly() -> int:
            await asyncio.sleep(before_s)
            now_ms = await ask()
            await asyncio.sleep(after_s)
            return now_ms + round(ahead_s * 1000)

        monkeypatch.setattr(rounds.poller, "now_ms", ask_slowly)
        before_s = 0.2
        await watching.poll()
        assert watching.monitor.clock_skew_s == 0
        before_s, after_s = 0.0, 0.2
        await watching.poll()
        assert watching.monitor.clock_skew_s == 0
        after_s, ahead_s = 0.0, 60.0
        asked_s = time.time()
        await watching.poll()
        found_s = watching.monitor.clock_skew_s
        assert found_s is not None
        # Redis tells whole milliseconds.
        assert 59.999 - (time.time() - asked_s) <= found_s <= 60.001
        before_s = after_s = 0.2
        await watching.poll()
        assert watching.monitor.clock_skew_s == found_s


async def test_a_stream_at_rest_is_polled_less_often(valkey: RedisServer, redis: Redis) -> None:
    """Until the index tells that it is active."""
    busy = "llm:stream:busy:m-1"
    await add(redis, KEY)
    await add(redis, busy)
    async with Watching(valkey.url, interval_seconds=0.05, idle_interval_seconds=60) as watching:
        watching.monitor.resume()
        await eventually(lambda: [state.quiet >= 3 for state in watching.states(KEY, busy)] == [True, True])
        resting, other = watching.states(KEY, busy)
        # As if it had rested for long; each of its polls doubles the pause.
        resting.quiet, quiet_ms = MAX_QUIET, resting.at_ms
        await eventually(lambda: resting.at_ms > quiet_ms)
        resting_ms, polls = resting.at_ms, watching.counts.polls
        while watching.counts.polls < polls + 3:
            await add(redis, busy)
            await redis.zadd("llm:streams", {busy: 2e15})
            await asyncio.sleep(0.02)
        assert resting.at_ms == resting_ms
        assert other.at_ms > resting_ms


async def test_polls_keep_to_their_budget(valkey: RedisServer, redis: Redis) -> None:
    """What does not fit waits, is counted, and comes first next time."""
    for number in range(300):
        await add(redis, f"llm:stream:s-{number}:m-1")
    limits = {"interval_seconds": 0.5, "commands_per_second": 200, "idle_interval_seconds": 30}
    async with Watching(valkey.url, **limits) as watching:
        watching.monitor.resume()
        await eventually(lambda: watching.counts.polls >= 1)
        assert watching.counts.skips > 0
        assert watching.monitor.waiting > 0
        await eventually(lambda: watching.monitor.waiting == 0)
        assert watching.monitor.census.models["m-1"].streams == 300


async def test_no_more_streams_are_watched_than_may_be(valkey: RedisServer, redis: Redis) -> None:
    for number in range(10):
        await add(redis, f"llm:stream:s-{number}:m-1")
    async with Watching(valkey.url, max_streams=4) as watching:
        assert len(await watching.poll()) == 4
        assert watching.counts.skips == 6


async def test_labels_are_bounded(valkey: RedisServer, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that puts an id into the label does not make a model of each."""
    monkeypatch.setattr(watchlist, "MAX_LABELS", 3)
    for number in range(10):
        await add(redis, f"orders:{number}")
    async with Watching(valkey.url, patterns=["orders:{id}"]) as watching:
        await watching.poll()
        models = watching.monitor.census.models
        assert len(models) == 4
        assert models["other"].streams == 7
