"""The spans of readers: a read refers to the generations that it brought, and its acknowledgement to the read."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Reading
from rlb.errors import WrongTypeError
from rlb.telemetry import spans_delivery
from tests.servers.process import RedisServer
from tests.support.aged import age
from tests.support.tokens import KEY, S
from tests.support.traced import APP, UNSAMPLED, TraceCore, TracedCore, named, one

TRACE, SPAN = APP.split("-")[1:3]


async def generate(core: TracedCore, *, tokens: int = 3, session: str = S, **more: object) -> None:
    """A generation in one write; `more` goes with its first message."""
    connection = core.core.connection()
    for number in range(tokens):
        connection.send(f"t{number}", session=session, **(more if number == 0 else {}))
    connection.send("", session=session, complete="stop")
    await connection.answers()


async def test_a_read_links_to_the_generation_and_its_ack_hangs_below_it(
    trace: TraceCore, valkey: RedisServer, redis: Redis
) -> None:
    """One link, with the first and the last message that carried the context; the ack in the trace of the read."""
    core = await trace(valkey.url)
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, traceparent=APP)
    deliveries = await core.core.read("g", "c", count=100)
    assert len(deliveries) == 4
    assert await core.core.acknowledge("g", deliveries) == 4
    spans = await core.spans()
    generation = one(spans, "stream ")
    read = one(spans, "XREADGROUP")
    assert (read.name, read.kind, read.parent_id) == ("XREADGROUP llm:stream:{session}:{model}", "CLIENT", "")
    assert read.trace_id != TRACE
    assert read.attributes == {
        "messaging.system": "redis",
        "messaging.operation.name": "XREADGROUP",
        "messaging.operation.type": "receive",
        "messaging.destination.template": "llm:stream:{session}:{model}",
        "messaging.destination.name": KEY,
        "messaging.message.conversation_id": S,
        "messaging.consumer.group.name": "g",
        "messaging.client.id": "c",
        "messaging.batch.message_count": 4,
        "server.address": str(valkey.socket_path),
    }
    (link,) = read.links
    assert (link.trace_id, link.span_id) == (TRACE, generation.span_id)
    first, last = str(deliveries[0].entry.id), str(deliveries[-1].entry.id)
    assert link.attributes == {"messaging.message.id": first, "rlb.message.id.last": last}
    ack = one(spans, "XACK")
    assert (ack.kind, ack.trace_id, ack.parent_id) == ("CLIENT", read.trace_id, read.span_id)
    assert ack.attributes["messaging.operation.type"] == "settle"
    assert ack.attributes["messaging.batch.message_count"] == 4
    assert read.start_ns <= read.end_ns <= ack.end_ns


async def test_many_tokens_of_a_generation_are_one_link(trace: TraceCore, valkey: RedisServer) -> None:
    """With every entry carrying its context, a read still has a link for each generation, not for each token."""
    core = await trace(valkey.url, trace={"inject": "every"})
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, tokens=7)
    await generate(core, tokens=7)
    await core.core.read("g", "c", count=1000)
    spans = await core.spans()
    read = one(spans, "XREADGROUP")
    assert {link.span_id for link in read.links} == {span.span_id for span in named(spans, "stream ")}
    assert len(read.links) == 2


async def test_a_read_may_become_part_of_the_trace(trace: TraceCore, valkey: RedisServer) -> None:
    """With `parent` it hangs below the first generation, links to the others, and is in the app's trace."""
    core = await trace(valkey.url, trace={"deliveries": "parent"})
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, traceparent=APP)
    await generate(core)
    await core.core.read("g", "c", count=100)
    spans = await core.spans()
    first, second = sorted(named(spans, "stream "), key=lambda span: span.start_ns)
    read = one(spans, "XREADGROUP")
    assert (read.trace_id, read.parent_id) == (TRACE, first.span_id)
    assert [link.span_id for link in read.links] == [second.span_id]


@pytest.mark.parametrize("context", [None, UNSAMPLED], ids=["no caller", "caller not sampled"])
async def test_a_read_of_nothing_sampled_leaves_nothing(
    trace: TraceCore, valkey: RedisServer, context: str | None
) -> None:
    """Neither for the read, nor for its ack; an empty read does not either."""
    core = await trace(valkey.url, sampler="parentbased_always_off")
    await core.core.core.groups.create(core.core.stream(), "g")
    assert await core.core.read("g", "c") == []
    await generate(core, traceparent=context)
    await core.core.acknowledge("g", await core.core.read("g", "c", count=100))
    assert await core.spans() == []


@pytest.mark.parametrize(("sampler", "reads"), [("parentbased_traceidratio", 1), ("traceidratio", 0)])
async def test_a_read_is_sampled_as_what_it_read_was(
    trace: TraceCore, valkey: RedisServer, redis: Redis, sampler: str, reads: int
) -> None:
    """Entries of another writer: whoever follows its callers follows a sampled one, at whatever ratio of its own."""
    core = await trace(valkey.url, sampler=sampler, ratio=0.0)
    await redis.xadd(KEY, {"data": "{}", "traceparent": APP})
    await core.core.core.groups.create(core.core.stream(), "g")
    await core.core.read("g", "c")
    spans = await core.spans()
    assert len(spans) == reads
    if reads:
        (link,) = one(spans, "XREADGROUP").links
        assert (link.trace_id, link.span_id) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "junk", [b"", b"00-x", b"\xff\xfe", APP.upper().encode(), b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"], ids=repr
)
async def test_what_is_no_context_is_no_link(trace: TraceCore, valkey: RedisServer, redis: Redis, junk: bytes) -> None:
    """Another writer may put anything into the field; the delivery comes all the same, without it."""
    core = await trace(valkey.url)
    await redis.xadd(KEY, {"data": "{}", "traceparent": junk})
    await core.core.core.groups.create(core.core.stream(), "g")
    (delivery,) = await core.core.read("g", "c")
    assert delivery.entry.traceparent is None
    assert await core.spans() == []


async def test_claimed_and_repeated_deliveries_are_reads_too(
    trace: TraceCore, valkey: RedisServer, redis: Redis
) -> None:
    """What is taken over from a dead consumer is an XCLAIM; what a consumer is given again, an XREADGROUP."""
    core = await trace(valkey.url)
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, tokens=1)
    assert len(await core.core.read("g", "dead")) == 2
    core.core.core.groups.reader(Reading(core.core.stream(), "g", "dead")).restart()
    assert len(await core.core.read("g", "dead")) == 2
    await age(redis, KEY, 3600)
    assert len(await core.core.read("g", "heir")) == 2
    spans = await core.spans()
    assert len(named(spans, "XREADGROUP")) == 2
    claim_span = one(spans, "XCLAIM")
    assert claim_span.attributes["messaging.operation.type"] == "receive"
    assert {link.span_id for link in claim_span.links} == {one(spans, "stream ").span_id}


async def test_an_ack_of_several_reads_links_to_the_others(trace: TraceCore, valkey: RedisServer) -> None:
    """It hangs below the first read that brought one of its deliveries."""
    core = await trace(valkey.url, trace={"inject": "every"})
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, tokens=1)
    deliveries = [*await core.core.read("g", "c", count=1), *await core.core.read("g", "c", count=1)]
    await core.core.acknowledge("g", deliveries)
    spans = await core.spans()
    reads = sorted(named(spans, "XREADGROUP"), key=lambda span: span.start_ns)
    ack = one(spans, "XACK")
    assert ack.parent_id == reads[0].span_id
    assert [link.span_id for link in ack.links] == [reads[1].span_id]


async def test_reads_that_nobody_acknowledges_are_forgotten(
    trace: TraceCore, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory for acknowledgements is bounded; one that comes later has no span, and is settled all the same."""
    monkeypatch.setattr(spans_delivery, "MAX_RECEIVED", 5)
    core = await trace(valkey.url, trace={"inject": "every"})
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, tokens=9)
    deliveries = await core.core.read("g", "c", count=100)
    assert len(core.tracing._deliveries._received) == 5
    assert await core.core.acknowledge("g", deliveries[:5]) == 5
    assert await core.core.acknowledge("g", deliveries[5:]) == 5
    assert core.tracing._deliveries._received == {}
    spans = await core.spans()
    assert one(spans, "XACK").attributes["messaging.batch.message_count"] == 5


async def test_a_failed_ack_says_so(trace: TraceCore, valkey: RedisServer, redis: Redis) -> None:
    """The span is an error, and the next attempt gets one below the same read."""
    core = await trace(valkey.url)
    await core.core.core.groups.create(core.core.stream(), "g")
    await generate(core, tokens=1)
    deliveries = await core.core.read("g", "c")
    await redis.rename(KEY, "aside")
    await redis.set(KEY, "no stream")
    with pytest.raises(WrongTypeError):
        await core.core.acknowledge("g", deliveries)
    await redis.rename("aside", KEY)
    assert await core.core.acknowledge("g", deliveries) == 2
    failed, done = sorted(named(await core.spans(), "XACK"), key=lambda span: span.start_ns)
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "WRONGTYPE")
    assert done.status == "UNSET"
    assert failed.parent_id == done.parent_id != ""


async def test_a_read_of_very_many_generations_keeps_to_the_bound(trace: TraceCore, valkey: RedisServer) -> None:
    """One stream, 200 short generations: 128 links."""
    core = await trace(valkey.url)
    await core.core.core.groups.create(core.core.stream(), "g")
    connection = core.core.connection()
    for _ in range(200):
        connection.send("t", opens=True, complete="stop")
    await connection.answers()
    entries = len(await core.core.read("g", "c", count=1000))
    reads = named(await core.spans(), "XREADGROUP")
    assert entries == sum(read.attributes["messaging.batch.message_count"] for read in reads) == 200
    assert all(len(read.links) == min(128, read.attributes["messaging.batch.message_count"]) for read in reads)
