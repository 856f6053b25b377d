"""Deliveries: how old a message is, and which acknowledgements are timed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery, Reading
from rlb.domain.entry import Entry
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import stream_key
from rlb.settings import Settings
from rlb.telemetry import deliveries as module
from rlb.telemetry.deliveries import Deliveries, entry_at_ms
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.meters import MeterBook
from rlb.telemetry.registry import Registry
from tests.servers.process import RedisServer
from tests.telemetry.counted import Counts, StartCounted

STREAM = stream_key("llm:stream", "s", "m")
READING = Reading(STREAM, "g", "c")


def entry(at_ms: int, seq: int = 1, told_ms: int | None = None) -> Entry:
    return Entry(EntryId(at_ms, seq), b"{}", False, True, timestamp_ms=told_ms)


@pytest.mark.parametrize(
    ("claimed_ms", "told_ms", "skew_ms", "at_ms"),
    [
        (1000, None, 0, 1000),  # another writer's entry
        (1000, 1000, 0, 1000),
        (1000, 1750, 0, 1750),  # written under a claim that was three quarters of a second old
        (1000, 3000, 0, 3000),
        (1000, 3001, 0, 1000),  # no claim is used for so long: its clock is another
        (1000, 999, 0, 1000),  # it waited for its claim, or its clock is behind
        (1000, 10**15, 0, 1000),
        (1000, -5, 0, 1000),
        (61_000, 1500, 60_000, 61_500),  # Redis is a minute ahead of the writer and of us
        (1000, 60_500, -59_000, 1500),
    ],
)
def test_when_an_entry_was_written(claimed_ms: int, told_ms: int | None, skew_ms: float, at_ms: float) -> None:
    """By its writer's word as far as its id bears that out, and by the clock of Redis."""
    assert entry_at_ms(entry(claimed_ms, told_ms=told_ms), skew_ms) == at_ms


def counting(skew_s: Callable[[], float] = lambda: 0.0) -> tuple[Deliveries, Counts]:
    registry = Registry()
    return Deliveries(MeterBook(registry, LabelCaps(Settings().limits, registry)), skew_s), Counts(registry)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_message_is_as_old_as_redis_says() -> None:
    """A clock that is two minutes behind that of Redis makes no message younger."""
    deliveries, counts = counting(lambda: 120.0)
    deliveries.delivered(READING, [Delivery(STREAM, entry(now_ms() + 120_000 - 500), 1)])
    count, age_s = counts.histogram("rlb.message.age", group="g")
    assert count == 1
    assert 0.5 <= age_s < 5


def test_a_message_from_the_future_is_of_no_age() -> None:
    deliveries, counts = counting()
    deliveries.delivered(READING, [Delivery(STREAM, entry(now_ms() + 60_000), 1)])
    assert counts.histogram("rlb.message.age") == (1, 0)


def test_deliveries_are_told_apart() -> None:
    """New ones, those of a consumer that came back, and those that were claimed."""
    deliveries, counts = counting()
    one, two, three = (entry(1000, seq) for seq in (1, 2, 3))
    deliveries.delivered(
        READING, [Delivery(STREAM, one, 1), Delivery(STREAM, two, 2), Delivery(STREAM, three, 4, claimed=True)]
    )
    consumed = counts.values("messaging.client.consumed.messages", "messaging.operation.name")
    assert consumed == {"XREADGROUP": 2, "XCLAIM": 1}
    assert counts.value("messaging.client.consumed.messages", gen_ai__request__model="m") == 3
    assert counts.value("rlb.message.redelivered", group="g") == 2


def test_acknowledgements_are_timed_from_the_latest_delivery() -> None:
    """Once each; what was not delivered here, or is acknowledged again, is not timed."""
    deliveries, counts = counting()
    ids = [EntryId(1000, seq) for seq in (1, 2, 3)]
    deliveries.delivered(READING, [Delivery(STREAM, entry(1000, seq), 1) for seq in (1, 2)])
    time.sleep(0.1)
    deliveries.delivered(READING, [Delivery(STREAM, entry(1000, 1), 2)])
    deliveries.settled(STREAM.key, "g", ids, 3)
    deliveries.settled(STREAM.key, "g", ids, 0)
    count, took_s = counts.histogram("rlb.message.ack.duration", group="g")
    assert count == 2
    assert 0.1 <= took_s < 0.2 + 5
    assert counts.value("rlb.message.acked", group="g") == 3
    deliveries.settled(STREAM.key, "other group", [EntryId(1000, 1)], 1)
    assert counts.histogram("rlb.message.ack.duration", group="other group")[0] == 0


def test_only_so_many_deliveries_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten; one that is delivered again is not old."""
    monkeypatch.setattr(module, "MAX_UNACKED", 10)
    deliveries, counts = counting()

    def deliver(*sequences: int) -> None:
        deliveries.delivered(READING, [Delivery(STREAM, entry(1000, seq), 1) for seq in sequences])

    deliver(*range(10))
    deliver(0)
    deliver(*range(100, 105))
    assert len(deliveries._unacked) == 10
    deliveries.settled(STREAM.key, "g", [EntryId(1000, 0)], 1)
    assert counts.histogram("rlb.message.ack.duration")[0] == 1
    deliveries.settled(STREAM.key, "g", [EntryId(1000, seq) for seq in range(1, 6)], 5)
    assert counts.histogram("rlb.message.ack.duration")[0] == 1
    deliver(*range(200, 300))
    assert len(deliveries._unacked) == 10


async def test_dead_letters_are_counted(start: StartCounted, valkey: RedisServer, redis: Redis) -> None:
    """Each that is set aside, at the sidecar that does so; what was refused once is not one yet."""
    counted = await start(valkey.url, groups={"max_deliveries": 2, "claim_idle_ms": 200})
    core = counted.core
    await core.generate(3)
    await core.core.groups.create(core.stream(), "g")
    for _ in range(2):
        ids = [delivery.entry.id for delivery in await core.read("g", "c", block_s=1.0)]
        assert len(ids) == 3
        await core.core.groups.refuse(core.stream(), "g", ids, "no such index")
        assert counted.value("rlb.message.dead_lettered", group="g") == 0
    assert await core.read("g", "c", block_s=0.2) == []
    assert counted.value("rlb.message.dead_lettered", group="g") == 3
    assert await redis.xlen("llm:dlq:g") == 3
