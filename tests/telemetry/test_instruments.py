"""What is counted of writes and refusals, through a core on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from redis.asyncio import Redis

from rlb.bridge.observer import Operation
from rlb.errors import BY_CODE, ApiError, DrainingError, InvalidMessageError, OverloadedError, RedisUnavailableError
from rlb.settings import Settings
from rlb.telemetry.catalogue import CATALOGUE
from rlb.telemetry.instruments import DROPPED, OPERATION_TYPES, REJECTED, Instruments
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.registry import Registry
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.tokens import draft
from tests.telemetry.counted import CountedCore, Counts


@pytest.fixture
async def cores() -> AsyncIterator[list[CountedCore]]:
    """What is put in is closed in the end."""
    made: list[CountedCore] = []
    yield made
    for each in made:
        await each.close()


async def started(cores: list[CountedCore], url: str, **changes: dict[str, Any]) -> CountedCore:
    cores.append(CountedCore(url, **changes))
    await cores[-1].core.ready()
    return cores[-1]


def allowed(metric: str, attribute: str) -> set[str]:
    """The values that the catalogue has for a label."""
    (values,) = (each.values for each in CATALOGUE[metric].of if each.name == attribute)
    return set(values or ())


@pytest.mark.parametrize("code", BY_CODE)
def test_every_refusal_is_counted_under_a_reason_of_the_catalogue(code: str) -> None:
    registry = Registry()
    settings = Settings()
    instruments = Instruments(registry, LabelCaps(settings.limits, registry), settings.generation)
    instruments.refused(BY_CODE[code]("why"))
    assert Counts(registry).values("rlb.ingest.rejected", "reason") == {REJECTED.get(code, "other"): 1}


def test_labels_are_those_of_the_catalogue() -> None:
    """And there is a 0 for each from the start, so that the first of them shows in a rate."""
    registry = Registry()
    settings = Settings()
    Instruments(registry, LabelCaps(settings.limits, registry), settings.generation)
    assert {*REJECTED.values(), "other"} == allowed("rlb.ingest.rejected", "reason")
    assert {*DROPPED.values(), "refused", "buffer_full"} == allowed("rlb.write.dropped", "reason")
    assert set(OPERATION_TYPES) == set(get_args(Operation))
    names = allowed("messaging.client.operation.duration", "messaging.operation.name")
    assert set(OPERATION_TYPES) == names
    points = {
        family.metric.name: [point.labels["reason"] for point in family.points]
        for family in registry.collect()
        if family.metric.name in ("rlb.ingest.rejected", "rlb.write.dropped")
    }
    assert set(points["rlb.ingest.rejected"]) == allowed("rlb.ingest.rejected", "reason")
    assert set(points["rlb.write.dropped"]) == allowed("rlb.write.dropped", "reason")


async def test_messages_that_redis_refuses_for_now_are_sent_again(
    cores: list[CountedCore], own_server: OwnServer
) -> None:
    """Each one is a retry as often as it leaves again, and one message all the same."""
    server = own_server()
    counted = await started(cores, server.url)
    connection = counted.core.connection()
    connection.send("0")
    await connection.answers()
    server.command("CONFIG", "SET", "maxmemory", "1")
    for number in range(5):
        connection.send(str(number))
    await eventually(lambda: counted.value("rlb.write.retries") >= 3)
    server.command("CONFIG", "SET", "maxmemory", "0")
    connection.send("", complete="stop")
    await connection.answers()
    assert counted.values("rlb.write.retries", "error.type").keys() == {"OOM"}
    assert counted.values("messaging.client.sent.messages", "error.type") == {None: 7}
    assert counted.values("rlb.generation.completed", "finish_reason") == {"stop": 1}
    failed = counted.histogram(
        "messaging.client.operation.duration", messaging__operation__name="XADD", error__type="OOM"
    )
    assert failed[0] >= 1
    assert counted.value("rlb.write.dropped") == 0


async def test_waiting_for_redis_shows_in_the_queue(cores: list[CountedCore], own_server: OwnServer) -> None:
    """The oldest message of the write that leaves when Redis is back tells how long the wait was."""
    server = own_server()
    counted = await started(cores, server.url, append={"deadline_ms": 10_000})
    server.stop()
    await eventually(lambda: not counted.core.topology.main.is_up)
    connection = counted.core.connection()
    connection.send("a", session="s-1")
    await asyncio.sleep(0.2)
    connection.send("a", session="s-2")
    assert counted.core.core.appender.waiting == 2
    assert counted.histogram("rlb.ingest.queue.duration") == (0, 0)
    server.start()
    await connection.answers()
    count, waited_s = counted.histogram("rlb.ingest.queue.duration")
    assert count == 1
    assert waited_s >= 0.2
    assert counted.histogram("rlb.write.batch.size") == (1, 2)
    assert counted.core.core.appender.waiting == 0


async def test_what_a_shutdown_could_not_write_is_lost_to_it(cores: list[CountedCore], own_server: OwnServer) -> None:
    server = own_server()
    counted = await started(cores, server.url)
    server.stop()
    await eventually(lambda: not counted.core.topology.main.is_up)
    connection = counted.core.connection()
    for _ in range(3):
        connection.send("a")
    assert await counted.core.core.appender.drain(0.05) == 3
    await connection.answers()
    assert counted.values("rlb.write.dropped", "reason") == {"shutdown": 3}
    assert counted.values("messaging.client.sent.messages", "error.type") == {"draining": 3}
    with pytest.raises(DrainingError):
        await counted.core.write("late")
    assert counted.values("rlb.ingest.rejected", "reason") == {"draining": 1}


async def test_refusals_before_the_queue(cores: list[CountedCore], valkey: RedisServer) -> None:
    """A message that waits for room in vain is refused once, however often it tried."""
    counted = await started(
        cores,
        valkey.url,
        append={"deadline_ms": 2000, "buffer_bytes": 2_000_000, "stream_buffer_bytes": 1_100_000},
    )
    appender = counted.core.core.appender
    with pytest.raises(InvalidMessageError):
        await appender.append("no:colon", "m", draft("x"))
    valkey.pause()
    try:
        connection = counted.core.connection()
        connection.send("x" * 600_000)
        await eventually(lambda: counted.core.topology.main.in_flight_bytes)
        with pytest.raises(OverloadedError):
            await counted.core.write("x")
    finally:
        valkey.resume()
    await connection.answers()
    assert counted.values("rlb.ingest.rejected", "reason") == {"schema": 1, "queue_full": 1}


async def test_a_wrong_type_is_no_matter_of_retries(
    cores: list[CountedCore], valkey: RedisServer, redis: Redis
) -> None:
    counted = await started(cores, valkey.url)
    await redis.set("llm:stream:s:m", "a text")
    with pytest.raises(ApiError) as raised:
        await counted.core.write("x", session="s", model="m")
    assert counted.values("messaging.client.sent.messages", "error.type") == {raised.value.code: 1}
    assert counted.values("rlb.write.dropped", "reason") == {"refused": 1}


async def test_a_cut_connection_is_a_round_trip_that_failed(cores: list[CountedCore], own_server: OwnServer) -> None:
    """Acknowledgements and reads that get no answer are told by what failed."""
    server = own_server()
    counted = await started(cores, server.url, append={"deadline_ms": 2500})
    await counted.core.write("a")
    stream = counted.core.stream()
    await counted.core.core.groups.create(stream, "g")
    (delivery,) = await counted.core.read("g", "c")
    link = counted.core.topology.link_for(stream.key)
    server.pause()
    unanswered = link.in_flight_bytes
    acking = asyncio.create_task(counted.core.acknowledge("g", [delivery]))
    await eventually(lambda: link.in_flight_bytes > unanswered)
    server.kill()
    with pytest.raises(RedisUnavailableError):
        await acking
    found = {
        name: (
            counted.histogram("messaging.client.operation.duration", messaging__operation__name=name)[0],
            counted.histogram(
                "messaging.client.operation.duration", messaging__operation__name=name, error__type="connection_lost"
            )[0],
        )
        for name in ("XREADGROUP", "XACK")
    }
    assert found["XACK"] == (1, 1)
    assert found["XREADGROUP"][0] >= 1
    assert found["XREADGROUP"][1] == 0
    assert counted.value("rlb.message.acked") == 0
