"""The monitor on real servers: which streams it watches, what it makes of them, and how it keeps within its bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Self

import pytest
from redis.asyncio import Redis

from rlb.domain.stream_info import GroupInfo, StreamInfo
from rlb.monitor import watchlist
from rlb.monitor.budget import Budget
from rlb.monitor.build import build_monitor
from rlb.monitor.monitor import Monitor
from rlb.monitor.reading import Outcome
from rlb.monitor.rounds import MAX_QUIET
from rlb.monitor.state import StreamState
from rlb.redis_io.topology import Standalone
from tests.conftest import OwnServer
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.cores import RunningCore, StartCore, settings_of

KEY = "llm:stream:s-1:m-1"


class Counts:
    """What polls are told to have cost."""

    def __init__(self) -> None:
        self.polls = 0
        self.skips = 0
        self.failures: dict[str, int] = {}

    def polled(self, seconds: float) -> None:
        assert seconds >= 0
        self.polls += 1

    def poll_failed(self, kind: str, count: int) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + count

    def skipped(self, streams: int) -> None:
        self.skips += streams


class Watching:
    """A monitor of its own, with a scope that the test chooses."""

    def __init__(self, url: str, own: set[str] | None = None, **monitor: Any) -> None:
        settings = settings_of(url, monitor={"scope": "all", **monitor})
        self.counts = Counts()
        self.own = own if own is not None else set()
        self.topology = Standalone(settings.redis, 5.0)
        self.monitor: Monitor = build_monitor(settings, self.topology, lambda: self.own, self.counts)

    async def __aenter__(self) -> Self:
        self.topology.start()
        self.monitor.connect()
        await self.topology.main.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.monitor.close()
        await self.topology.close()

    def states(self, *keys: str) -> list[StreamState]:
        """What is kept of these streams."""
        found = {state.key: state for state in self.monitor.states}
        return [found[key] for key in keys if key in found]

    async def poll(self) -> dict[str, StreamInfo]:
        """What there is after one more poll, by key."""
        await self.monitor.poll()
        return {info.key: info for info in map(self.monitor.told, self.monitor.worst(1000))}

    async def group(self, key: str = KEY) -> GroupInfo:
        """The only group of a stream, after one more poll."""
        (group,) = (await self.poll())[key].groups
        return group


async def add(redis: Redis, key: str, count: int = 1) -> None:
    for _ in range(count):
        await redis.xadd(key, {"data": "{}"})


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


async def test_what_went_with_its_stream_is_counted(server: RedisServer, redis: Redis) -> None:
    await add(redis, KEY, 5)
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c", {KEY: ">"}, count=2)
    async with Watching(server.url) as watching:
        await watching.poll()
        await redis.pexpire(KEY, 1)
        await asyncio.sleep(0.05)
        assert await watching.poll() == {}
        assert watching.monitor.totals.groups["m-1", "g"].gone == 3


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


async def test_a_group_is_told_with_all_that_is_known(server: RedisServer, redis: Redis) -> None:
    await add(redis, KEY, 10)
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c-1", {KEY: ">"}, count=4)
    await redis.xack(KEY, "g", (await redis.xrange(KEY))[0][0])
    await asyncio.sleep(0.05)
    async with Watching(server.url) as watching:
        group = await watching.group()
    assert (group.lag, group.pending, group.status, group.reason) == (6, 3, "ok", None)
    assert group.lag_quality in ("exact", "server")
    for age in (group.lag_seconds, group.oldest_pending_seconds, group.longest_idle_seconds):
        assert age is not None
        assert 0.04 < age < 10
    (consumer,) = group.consumers
    assert (consumer.consumer, consumer.pending, consumer.state) == ("c-1", 3, "active")
    assert group.poison == 0


async def test_rates_are_those_of_the_time_between_polls(server: RedisServer, redis: Redis) -> None:
    """In and out; what was there before the first poll is not counted."""
    await add(redis, KEY, 50)
    await redis.xgroup_create(KEY, "g", "0")
    async with Watching(server.url) as watching:
        await watching.poll()
        await add(redis, KEY, 30)
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=20)
        await asyncio.sleep(0.3)
        stream = (await watching.poll())[KEY]
        (group,) = stream.groups
        totals = watching.monitor.totals
        if stream.entries_added is None:  # Redis 6.2 counts nothing
            assert (stream.write_rate, group.read_rate, group.lost_unread) == (None, None, None)
            return
        assert totals.models["m-1"].entries_added == 30
        assert totals.groups["m-1", "g"].entries_read == 20
        assert stream.write_rate is not None
        assert group.read_rate is not None
        assert 0 < stream.write_rate <= 100
        assert group.read_rate == pytest.approx(stream.write_rate * 20 / 30)


async def test_a_stream_that_is_written_while_it_is_watched_counts_from_its_first_entry(
    valkey: RedisServer, redis: Redis
) -> None:
    """However short it is: it may be written, read and complete between two polls."""
    async with Watching(valkey.url) as watching:
        await watching.poll()
        await asyncio.sleep(0.01)
        await redis.xgroup_create(KEY, "g", "0", mkstream=True)
        await add(redis, KEY, 7)
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=5)
        await redis.zadd("llm:streams", {KEY: 2e15})
        await watching.poll()
        assert watching.monitor.totals.models["m-1"].entries_added == 7
        assert watching.monitor.totals.groups["m-1", "g"].entries_read == 5
        await redis.delete(KEY)
        await add(redis, KEY, 2)
        await watching.poll()
        assert watching.monitor.totals.models["m-1"].entries_added == 9


async def test_what_is_trimmed_unread_is_lost(server: RedisServer, redis: Redis) -> None:
    """At once `losing`, in the totals, and on no other group's account."""
    await add(redis, KEY, 10)
    await redis.xgroup_create(KEY, "g", "0")
    async with Watching(server.url) as watching:
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=3)
        before = await watching.group()
        await redis.xtrim(KEY, maxlen=2, approximate=False)
        group = await watching.group()
        assert group.lag == 2
        if before.lost_unread is None:
            assert group.lost_unread is None
            return
        assert (before.lost_unread, group.lost_unread) == (0, 5)
        assert group.status == "losing"
        assert group.reason == "5 entries were removed unread in the last 60 s"
        assert watching.monitor.totals.groups["m-1", "g"].lost == 5
        assert watching.monitor.census.lost == 5
        await redis.xreadgroup("g", "c", {KEY: ">"}, count=10)
        again = await watching.group()
        assert (again.lag, again.lost_unread) == (0, 5)


async def test_what_goes_with_its_stream_is_trimmed(valkey: RedisServer, redis: Redis) -> None:
    """The entries of a stream that expires or is deleted are gone like any that were trimmed."""
    await add(redis, KEY, 10)
    async with Watching(valkey.url) as watching:
        await watching.poll()
        await redis.delete(KEY)
        await watching.poll()
        assert watching.monitor.totals.models["m-1"].trimmed == 10


async def test_ids_that_are_no_times_have_no_age(valkey: RedisServer, redis: Redis) -> None:
    """Of a stream whose writer chooses ids such as 1-0, the lag is known, and how old it is is not."""
    for number in range(1, 4):
        await redis.xadd(KEY, {"data": "{}"}, f"{number}-0")
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c", {KEY: ">"}, count=1)
    async with Watching(valkey.url) as watching:
        group = await watching.group()
        assert (group.lag, group.lag_seconds, group.oldest_pending_seconds) == (2, None, None)
        census = watching.monitor.census
        counted = census.groups["m-1", "g"]
        assert (counted.lag, counted.lag_age_s, counted.pending_age_s) == (2, None, None)
        assert census.models["m-1"].retention_age_s is None


async def test_bounds_that_are_no_numbers_are_passed_over(valkey: RedisServer, redis: Redis) -> None:
    """Somebody else's fingers in one stream's settings end the polls of no other."""
    await add(redis, KEY)
    await redis.hset("llm:stream-config:{" + KEY + "}", mapping={"maxLength": "many", "retentionMs": "5000"})  # type: ignore[misc]
    async with Watching(valkey.url) as watching:
        info = (await watching.poll())[KEY]
        assert info.retention_ms == 5000
        assert info.max_length == settings_of(valkey.url).stream.max_length


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


async def test_entries_that_were_delivered_too_often_are_poison(valkey: RedisServer, redis: Redis) -> None:
    await add(redis, KEY, 3)
    await redis.xgroup_create(KEY, "g", "0")
    await redis.xreadgroup("g", "c", {KEY: ">"})
    ((first, *_),) = [[row["message_id"] for row in await redis.xpending_range(KEY, "g", "-", "+", 10)]]
    for _ in range(4):
        await redis.xclaim(KEY, "g", "c", 0, [first])
    async with Watching(valkey.url) as watching:
        assert (await watching.group()).poison == 1


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


async def test_bounds_of_the_stream_itself_come_first(valkey: RedisServer, start_core: StartCore) -> None:
    core = await start_core(valkey.url, monitor={"scope": "own"}).ready()
    await core.write("a")
    await core.write("b", session="s-2")
    await core.topology.main.call(b"HSET", core.core.keys.config(core.stream().key), b"maxLength", 5)
    await core.monitor.poll()
    infos = {info.session_id: info for info in map(core.monitor.told, core.monitor.worst(10))}
    assert infos[core.stream().session_id].max_length == 5
    assert infos["s-2"].max_length == 10_000
    assert infos["s-2"].retention_ms == 3_600_000


async def test_the_memory_of_streams_is_measured_in_turn(valkey: RedisServer, redis: Redis) -> None:
    for number in range(30):
        await add(redis, f"llm:stream:s-{number}:m-1")
    async with Watching(valkey.url) as watching:
        known = [sum(info.bytes is not None for info in (await watching.poll()).values()) for _ in range(2)]
        assert known[0] == 20
        assert known[1] == 30
        memory = watching.monitor.census.models["m-1"].memory_bytes
        assert memory is not None
        assert memory > 30 * 100


async def test_memory_grows_with_its_stream_until_it_is_measured_again(valkey: RedisServer, redis: Redis) -> None:
    """With more streams than are measured at a time, what was measured of one is of when it was shorter."""
    keys = [f"llm:stream:s-{number:02}:m-1" for number in range(41)]
    for key in keys:
        await add(redis, key, 10)
    async with Watching(valkey.url) as watching:
        measured = {key: info.bytes for key, info in (await watching.poll()).items() if info.bytes is not None}
        key, first = next(iter(measured.items()))
        await add(redis, key, 990)
        assert (await watching.poll())[key].bytes == round(first * 1000 / 10)


async def test_the_worst_lags_are_named_if_asked_to(valkey: RedisServer, redis: Redis) -> None:
    for number in range(1, 6):
        key = f"llm:stream:s-{number}:m-1"
        await add(redis, key, number)
        await redis.xgroup_create(key, "g", "0")
    async with Watching(valkey.url, top_streams=2, top_names="key") as watching:
        await watching.poll()
        top = watching.monitor.census.top_streams
        assert [(each.stream, each.lag) for each in top] == [("llm:stream:s-5:m-1", 5), ("llm:stream:s-4:m-1", 4)]


async def test_a_look_at_one_stream_is_of_this_moment(core: RunningCore) -> None:
    """Also of one that is not watched; of none, there is nothing to tell."""
    assert await core.monitor.look_at("llm:stream:none:m") is None
    await core.write("a")
    info = await core.monitor.look_at(core.stream().key)
    assert info is not None
    assert (info.length, info.write_rate) == (1, None)
    await core.write("b")
    assert [info.length for info in await core.monitor.look([core.stream().key, "llm:stream:none:m"])] == [2]
    assert core.monitor.totals.models == {}


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
