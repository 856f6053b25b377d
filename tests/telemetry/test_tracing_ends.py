"""The spans of generations that end, fail, are left, or go on elsewhere."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.conftest import MakeFaultProxy
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.tokens import KEY
from tests.support.traced import APP, TraceCore, named, one
from tests.telemetry.generating import generate

TRACE, SPAN = APP.split("-")[1:3]
LONG_S = 3600.0
"""Nothing is abandoned meanwhile, even where the machine stands still for a while."""


@pytest.mark.parametrize("reason", ["length", "error"])
async def test_the_finish_reason_tells_the_end(trace: TraceCore, valkey: RedisServer, reason: str) -> None:
    """A reason goes into the span; `error`, by which an app says that it failed, makes it an error."""
    core = await trace(valkey.url)
    await generate(core, complete=reason)
    generation = one(await core.spans(), "stream ")
    assert generation.attributes["gen_ai.response.finish_reasons"] == [reason]
    assert generation.status == ("ERROR" if reason == "error" else "UNSET")


async def test_a_refused_message_fails_its_generation(trace: TraceCore, valkey: RedisServer, redis: Redis) -> None:
    """The span and the write's say which error; what follows in the same generation adds no span."""
    core = await trace(valkey.url)
    connection = core.core.connection()
    connection.send("fine")
    await connection.answers()
    await redis.delete(KEY)
    await redis.set(KEY, "no stream")
    for _ in range(3):
        connection.send("refused")
    await connection.answers()
    spans = await core.spans()
    generation = one(spans, "stream ")
    assert (generation.status, generation.attributes["error.type"]) == ("ERROR", "wrong_type")
    assert generation.attributes["gen_ai.usage.output_tokens"] == 1
    statuses = [(write.status, write.attributes.get("error.type")) for write in named(spans, "XADD")]
    assert statuses[0] == ("UNSET", None)
    assert ("ERROR", "wrong_type") in statuses


async def test_a_generation_that_is_taken_over_fails(trace: TraceCore, valkey: RedisServer) -> None:
    """The one that lost its stream says `fenced`, though no message of it was refused; the other goes on."""
    core = await trace(valkey.url)
    first, second = core.core.connection(), core.core.connection()
    first.send("a")
    await first.answers()
    second.send("b")
    second.send("", complete="stop")
    await second.answers()
    loser, winner = sorted(named(await core.spans(), "stream "), key=lambda span: span.start_ns)
    assert (loser.status, loser.attributes["error.type"]) == ("ERROR", "fenced")
    assert (winner.status, winner.attributes["gen_ai.response.finish_reasons"]) == ("UNSET", ["stop"])


async def test_a_generation_without_an_end_is_abandoned(trace: TraceCore, valkey: RedisServer) -> None:
    """After the time that is set its span ends, with an event and as an error, while the sidecar goes on."""
    core = await trace(valkey.url, generation={"abandoned_seconds": 0.2})
    generations = core.tracing._generations
    generations._abandoned_s = LONG_S
    await generate(core, complete=None)
    generations._abandoned_s = 0.2
    await eventually(lambda: generations._under_way == set())
    generations._abandoned_s = LONG_S
    await generate(core, tokens=1)
    abandoned, ended = sorted(named(await core.spans(), "stream "), key=lambda span: span.start_ns)
    assert [event.name for event in abandoned.events] == ["first_token", "abandoned"]
    assert (abandoned.status, abandoned.attributes["error.type"]) == ("ERROR", "abandoned")
    assert abandoned.attributes["rlb.tokens"] == 3
    assert ended.status == "UNSET"


async def test_what_is_open_at_the_end_is_abandoned(trace: TraceCore, valkey: RedisServer) -> None:
    """No span is lost because its sidecar stopped."""
    core = await trace(valkey.url)
    await generate(core, complete=None)
    generation = one(await core.spans(), "stream ")
    assert generation.events[-1].attributes == {"rlb.reason": "the sidecar has stopped"}


async def test_generations_that_are_not_sampled_are_forgotten_too(trace: TraceCore, valkey: RedisServer) -> None:
    """An app that never ends its generations does not fill the memory, nor use up the bound."""
    core = await trace(
        valkey.url, sampler="parentbased_always_off", generation={"abandoned_seconds": 0.2, "max_open": 50}
    )
    generations = core.tracing._generations
    generations._turn_s += LONG_S
    for number in range(60):
        await core.core.write("t", session=f"s-{number}")
    assert generations.count == 50
    generations._turn_s = 0.0
    await eventually(lambda: generations.count == 0)


async def test_a_new_connection_goes_on_with_a_generation(trace: TraceCore, valkey: RedisServer) -> None:
    """A client whose connection was lost opens anew in mid-answer: it is the same generation, and the same span."""
    core = await trace(valkey.url)
    first = core.core.connection()
    first.send("a", traceparent=APP)
    await first.answers()
    core.core.core.appender.release(first.producer)
    second = core.core.connection()
    second.send("b", opens=True)
    second.send("", complete="stop")
    await second.answers()
    generation = one(await core.spans(), "stream ")
    assert generation.parent_id == SPAN
    assert generation.attributes["gen_ai.usage.output_tokens"] == 2


async def test_beginning_anew_ends_what_was_open(trace: TraceCore, valkey: RedisServer) -> None:
    """A connection that opens its stream again has begun another answer."""
    core = await trace(valkey.url)
    connection = core.core.connection()
    connection.send("a", opens=True)
    await connection.answers()
    connection.send("b", opens=True, complete="stop")
    await connection.answers()
    first, second = sorted(named(await core.spans(), "stream "), key=lambda span: span.start_ns)
    assert first.events[-1].attributes == {"rlb.reason": "superseded"}
    assert second.attributes["gen_ai.response.finish_reasons"] == ["stop"]


async def test_a_lost_connection_is_told_by_the_write_and_mended_by_the_next(
    trace: TraceCore, valkey: RedisServer, fault_proxy: MakeFaultProxy
) -> None:
    """The write whose reply was lost is an error, the generation is not: it went on."""
    proxy = await fault_proxy(valkey)
    core = await trace(proxy.url)
    connection = core.core.connection()
    connection.send("a")
    await connection.answers()
    struck = proxy.timeout_replies(carrying=b'"token":"b"')
    connection.send("b")
    await struck.wait()
    connection.send("", complete="stop")
    await connection.answers()
    spans = await core.spans()
    generation = one(spans, "stream ")
    assert (generation.status, generation.attributes["rlb.tokens"]) == ("UNSET", 2)
    errors = [write.attributes["error.type"] for write in named(spans, "XADD") if write.status == "ERROR"]
    assert set(errors) == {"connection_lost"}
