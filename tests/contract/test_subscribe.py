"""Subscriptions: one consumer on every stream of a model, new streams found by themselves, nothing left behind."""

from __future__ import annotations

import asyncio
import json

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Reading
from tests.contract.reading import reads_are_over
from tests.servers.process import RedisServer
from tests.support.assertions import assert_same, eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY, M, token_of

SESSIONS = [f"s-{number}" for number in range(12)]
QUICK = {"block_ms": 100, "feed_idle_ms": 50}


async def pending(redis: Redis, key: str = KEY, group: str = "g") -> int:
    return int((await redis.xpending(key, group))["pending"])


async def produce(core: RunningCore, sessions: list[str], count: int, model: str = M, first: int = 0) -> list[str]:
    """Tokens `<session>:<number>` on several streams; gives them all."""
    connection = core.connection()
    for number in range(first, first + count):
        for session in sessions:
            connection.send(f"{session}:{number}", session=session, model=model)
    await connection.answers()
    return [f"{session}:{number}" for session in sessions for number in range(first, first + count)]


def assert_in_order(tokens: list[str], sessions: list[str]) -> None:
    """Within each stream, deliveries come in the stream's order."""
    for session in sessions:
        numbers = [int(token.rpartition(":")[2]) for token in tokens if token.startswith(f"{session}:")]
        assert numbers == sorted(numbers)


async def test_streams_of_a_model(core: RunningCore, redis: Redis) -> None:
    """All streams of the model are delivered, in each stream's order, from its beginning; those of others are not."""
    expected = await produce(core, SESSIONS, 20)
    await produce(core, SESSIONS[:3], 5, model="other")
    receiver = core.subscribe("g", "c", model=M)
    await receiver.until(lambda receiver: len(receiver.deliveries) >= len(expected))
    expected += await produce(core, SESSIONS, 20, first=20)
    await receiver.until(lambda receiver: len(receiver.deliveries) >= len(expected))
    assert_same(sorted(receiver.tokens), sorted(expected))
    assert_in_order(receiver.tokens, SESSIONS)
    assert {delivery.stream.model_id for delivery in receiver.deliveries} == {M}
    keys = [core.stream(session).key for session in SESSIONS]
    await eventually(lambda: _are_settled(redis, keys))
    assert not await redis.xinfo_groups(core.stream(SESSIONS[0], "other").key)


async def _are_settled(redis: Redis, keys: list[str]) -> bool:
    return sum([await pending(redis, key) for key in keys]) == 0


async def test_streams_of_every_model(core: RunningCore) -> None:
    """Without a model, every stream of the prefix is delivered."""
    expected = await produce(core, SESSIONS[:2], 3) + await produce(core, ["s-x"], 3, model="other")
    receiver = core.subscribe("g", "c")
    await receiver.until(lambda receiver: len(receiver.deliveries) >= 9)
    assert_same(sorted(receiver.tokens), sorted(expected))


async def test_new_streams_are_found(start_core: StartCore, server: RedisServer) -> None:
    """A stream that begins later, here or at another sidecar, is delivered from its first entry on."""
    core, other = await start_core(server.url, tail=QUICK).ready(), await start_core(server.url).ready()
    receiver = core.subscribe("g", "c", model=M)
    await asyncio.sleep(0.1)
    expected = await produce(core, ["s-here"], 5) + await produce(other, ["s-there"], 5)
    await receiver.until(lambda receiver: len(receiver.deliveries) >= 10)
    assert_same(sorted(receiver.tokens), sorted(expected))


async def test_streams_of_foreign_writers_are_found(core: RunningCore, redis: Redis) -> None:
    """A stream that is in no index is found by the sweep of the key space."""
    await redis.xadd(KEY, {"data": json.dumps({"token": "foreign"})})
    receiver = core.subscribe("g", "c", model=M)
    await receiver.until(lambda receiver: receiver.tokens == ["foreign"])


async def test_no_more_in_flight_than_asked_for(core: RunningCore, redis: Redis) -> None:
    """Without acks deliveries stop at `max_in_flight`; each ack makes room for one more."""
    expected = await produce(core, SESSIONS[:3], 20)
    receiver = core.subscribe("g", "c", max_in_flight=7, acks=False)
    await receiver.until(lambda receiver: len(receiver.deliveries) == 7)
    await asyncio.sleep(0.3)
    assert len(receiver.deliveries) == 7
    await receiver.acknowledge(receiver.deliveries[0])
    await receiver.acknowledge(receiver.deliveries[1])
    await receiver.until(lambda receiver: len(receiver.deliveries) == 9)
    await asyncio.sleep(0.2)
    assert len(receiver.deliveries) == 9
    for acknowledged in range(2, len(expected)):
        await receiver.until(lambda receiver: len(receiver.deliveries) > receiver.acknowledged)
        await receiver.acknowledge(receiver.deliveries[acknowledged])
    assert_same(sorted(receiver.tokens), sorted(expected))
    assert receiver.most_in_flight == 7


async def test_a_refusal_makes_room_and_comes_again(start_core: StartCore, server: RedisServer) -> None:
    """A nack settles the delivery for the credit, and the entry is delivered again at once, counted."""
    core = await start_core(server.url, tail=QUICK, groups={"claim_idle_ms": 60_000}).ready()
    await produce(core, ["s-0"], 2)
    receiver = core.subscribe("g", "c", max_in_flight=1, acks=False)
    await receiver.until(lambda receiver: len(receiver.deliveries) == 1)
    await core.core.groups.refuse(core.stream("s-0"), "g", [receiver.deliveries[0].entry.id], "busy")
    await receiver.until(lambda receiver: len(receiver.deliveries) == 2)
    assert receiver.tokens == ["s-0:0", "s-0:0"]
    assert [delivery.count for delivery in receiver.deliveries] == [1, 2]


async def test_two_consumers_share(start_core: StartCore, server: RedisServer, redis: Redis) -> None:
    """Consumers of one group, at one sidecar or two, divide the entries: each goes to one."""
    cores = [await start_core(server.url, tail=QUICK).ready() for _ in range(2)]
    names = ((0, "a"), (0, "b"), (1, "c"))
    receivers = [cores[at].subscribe("g", name, max_in_flight=60, acks=False) for at, name in names]
    expected = await produce(cores[0], SESSIONS[:5], 30)
    await eventually(lambda: sum(len(receiver.deliveries) for receiver in receivers) >= len(expected))
    assert_same(sorted(token for receiver in receivers for token in receiver.tokens), sorted(expected))
    assert all(30 <= len(receiver.deliveries) <= 60 for receiver in receivers)


async def test_two_groups_get_everything_each(core: RunningCore) -> None:
    """Groups do not take from each other."""
    one, two = core.subscribe("one", "c"), core.subscribe("two", "c")
    expected = await produce(core, SESSIONS[:3], 10)
    for receiver in (one, two):
        await receiver.until(lambda receiver: len(receiver.deliveries) >= len(expected))
        assert_same(sorted(receiver.tokens), sorted(expected))


async def test_entries_of_a_dead_subscriber_are_claimed(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """What a subscriber took and did not acknowledge goes to another one after the idle time."""
    dead = await start_core(server.url, tail=QUICK).ready()
    alive = await start_core(server.url, tail=QUICK, groups={"claim_idle_ms": 200}).ready()
    expected = await produce(dead, SESSIONS[:4], 5)
    taking = dead.subscribe("g", "dead", acks=False)
    await taking.until(lambda receiver: len(receiver.deliveries) == len(expected))
    await dead.close()
    receiver = alive.subscribe("g", "alive")
    await receiver.until(lambda receiver: len(receiver.deliveries) >= len(expected))
    assert_same(sorted(receiver.tokens), sorted(expected))
    assert {delivery.count for delivery in receiver.deliveries} == {2}
    assert_in_order(receiver.tokens, SESSIONS[:4])


async def test_an_entry_that_nobody_acknowledges_becomes_a_dead_letter(
    start_core: StartCore, server: RedisServer, redis: Redis
) -> None:
    """Delivered as often as allowed, it is set aside; a full credit of overdue deliveries does not stop the rest."""
    groups = {"claim_idle_ms": 100, "max_deliveries": 2}
    core = await start_core(server.url, tail=QUICK, groups=groups).ready()
    await produce(core, ["s-0"], 3)
    receiver = core.subscribe("g", "c", max_in_flight=3, acks=False)
    await eventually(lambda: _length_is(redis, "llm:dlq:g", 3))
    await produce(core, ["s-1"], 1)
    await receiver.until(lambda receiver: "s-1:0" in receiver.tokens)
    assert sorted(receiver.tokens)[:6] == ["s-0:0", "s-0:0", "s-0:1", "s-0:1", "s-0:2", "s-0:2"]


async def _length_is(redis: Redis, key: str, length: int) -> bool:
    return bool(await redis.xlen(key) == length)


async def test_a_group_that_is_destroyed_under_it(core: RunningCore, redis: Redis) -> None:
    """It is made anew behind what was handed out: nothing is delivered twice, nothing that comes is passed over."""
    await produce(core, ["s-0"], 10)
    receiver = core.subscribe("g", "c")
    await receiver.until(lambda receiver: len(receiver.deliveries) == 10)
    key = core.stream("s-0").key
    await eventually(lambda: _are_settled(redis, [key]))
    await redis.xgroup_destroy(key, "g")
    await produce(core, ["s-0"], 10, first=10)
    await receiver.until(lambda receiver: len(receiver.deliveries) >= 20)
    assert receiver.tokens == [f"s-0:{number}" for number in range(20)]


async def test_a_stream_that_is_deleted_and_comes_back(core: RunningCore, redis: Redis) -> None:
    """A deleted stream is forgotten; when it is written again it is delivered again, from its first entry."""
    await produce(core, ["s-0", "s-1"], 5)
    receiver = core.subscribe("g", "c")
    await receiver.until(lambda receiver: len(receiver.deliveries) == 10)
    await core.core.streams.delete(core.stream("s-0"))
    await eventually(lambda: core.stream("s-0").key not in [*core.core.reader.keys()])
    expected = await produce(core, ["s-0", "s-1"], 5, first=5)
    await receiver.until(lambda receiver: len(receiver.deliveries) >= 20)
    assert_same(sorted(receiver.tokens[10:]), sorted(expected))


async def test_a_key_that_is_no_stream_stops_nobody(core: RunningCore, redis: Redis) -> None:
    """A key of another type in the index is passed over."""
    await redis.set(core.stream("s-0").key, "mine")
    await redis.zadd("llm:streams", {core.stream("s-0").key: 1, "no stream key": 2})
    expected = await produce(core, ["s-1"], 5)
    receiver = core.subscribe("g", "c")
    await receiver.until(lambda receiver: len(receiver.deliveries) == 5)
    assert receiver.tokens == expected


async def test_what_could_not_be_sent_comes_again_in_order(core: RunningCore) -> None:
    """Deliveries that the app did not get are given out again first, in the stream's order, and free their credit."""
    await produce(core, ["s-0"], 6)
    receiver = core.subscribe("g", "c", max_in_flight=3, acks=False)
    await receiver.until(lambda receiver: len(receiver.deliveries) == 3)
    unsent, receiver.deliveries = receiver.deliveries, []
    receiver.subscription.give_back(unsent)
    receiver.subscription.mark_ready(core.stream("s-0").key)
    await receiver.until(lambda receiver: len(receiver.deliveries) == 3)
    assert receiver.tokens == ["s-0:0", "s-0:1", "s-0:2"]


@pytest.mark.parametrize("moment_s", [0.0, 0.002, 0.01])
async def test_a_subscriber_that_goes_leaves_nothing_behind(moment_s: float, core: RunningCore, redis: Redis) -> None:
    """Cancelled at any moment, what it took and did not pass on is what the same consumer gets next, in order."""
    await produce(core, ["s-0"], 150)
    await core.core.groups.create(core.stream("s-0"), "g")
    seen: list[str] = []
    while len(seen) < 150:
        receiver = core.subscribe("g", "c", max_in_flight=50, acks=False)
        await asyncio.sleep(moment_s if seen else 0.05)
        await receiver.close()
        seen += receiver.tokens
        for delivery in receiver.deliveries:
            await receiver.acknowledge(delivery)
        receiver.deliveries.clear()
        # On a busy machine every moment may be too early for the subscription itself.
        seen += await _read_some(core)
    assert_same(seen, [f"s-0:{number}" for number in range(150)])


async def _read_some(core: RunningCore) -> list[str]:
    """A plain read of the same consumer, which gets what the subscription has left."""
    deliveries = await core.read("g", "c", count=5, session="s-0")
    if deliveries:
        await core.acknowledge("g", deliveries)
    return [token_of(delivery.entry) for delivery in deliveries]


async def test_closing_ends_all_watching(core: RunningCore, redis: Redis) -> None:
    """A subscription that is closed follows no stream and polls no index."""
    await produce(core, SESSIONS, 1)
    receiver = core.subscribe("g", "c")
    await receiver.until(lambda receiver: len(receiver.deliveries) == len(SESSIONS))
    await receiver.close()
    assert core.core.reader.channels == 0
    await reads_are_over(redis)
    await redis.config_resetstat()
    await asyncio.sleep(0.5)
    stats = await redis.info("commandstats")
    assert not {"cmdstat_zrangebyscore", "cmdstat_xreadgroup", "cmdstat_xread", "cmdstat_scan"} & set(stats)
    assert Reading(core.stream("s-0"), "g", "c") in core.core.groups._readers
