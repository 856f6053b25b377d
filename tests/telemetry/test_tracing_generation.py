"""The spans of generations and their writes: where they hang, what they say, and what stands in the entries."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis

from rlb.domain.draft import DraftMetadata, TokenRequest, draft_from_token
from tests.servers.process import RedisServer
from tests.support.stored import stored
from tests.support.tokens import KEY, M, S
from tests.support.traced import APP, UNSAMPLED, TraceCore, named, one
from tests.telemetry.generating import generate

TRACE, SPAN = APP.split("-")[1:3]


async def contexts_in(redis: Redis, key: str = KEY) -> list[str | None]:
    """The `traceparent` of each entry."""
    return [
        entry.fields[b"traceparent"].decode() if b"traceparent" in entry.fields else None
        for entry in await stored(redis, key)
    ]


async def test_a_generation_hangs_below_the_apps_span_and_its_writes_below_it(
    trace: TraceCore, valkey: RedisServer
) -> None:
    """App span, generation, one XADD for each write: one trace, whole."""
    core = await trace(valkey.url)
    before_ns = time.time_ns()
    await generate(core, traceparent=APP)
    spans = await core.spans()
    generation = one(spans, "stream ")
    assert (generation.name, generation.kind, generation.status) == (f"stream {M}", "INTERNAL", "UNSET")
    assert (generation.trace_id, generation.parent_id) == (TRACE, SPAN)
    assert before_ns <= generation.start_ns <= generation.end_ns <= time.time_ns()
    assert generation.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "self_hosted",
        "gen_ai.request.model": M,
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": S,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.output_tokens": 3,
        "messaging.message.conversation_id": S,
        "messaging.destination.name": KEY,
        "messaging.destination.template": "llm:stream:{session}:{model}",
        "rlb.tokens": 3,
    }
    assert [event.name for event in generation.events] == ["first_token"]
    writes = named(spans, "XADD")
    assert len(spans) == 1 + len(writes)
    assert len(writes) == 4
    for write in writes:
        assert (write.name, write.kind) == ("XADD llm:stream:{session}:{model}", "PRODUCER")
        assert (write.trace_id, write.parent_id) == (TRACE, generation.span_id)
        assert write.attributes == {
            "messaging.system": "redis",
            "messaging.operation.name": "XADD",
            "messaging.operation.type": "send",
            "messaging.destination.template": "llm:stream:{session}:{model}",
            "messaging.destination.name": KEY,
            "messaging.message.conversation_id": S,
            "messaging.batch.message_count": 1,
            "server.address": str(valkey.socket_path),
        }
        assert generation.start_ns <= write.start_ns <= write.end_ns
    assert {span.scope for span in spans} == {"rlb"}
    assert {span.schema_url for span in spans} == {"https://opentelemetry.io/schemas/1.44.0"}
    assert {span.resource["service.name"] for span in spans} == {"rlb-test"}


async def test_without_a_caller_a_generation_is_a_root(trace: TraceCore, valkey: RedisServer) -> None:
    """Nobody is told to be its parent who is none, and each generation has a trace of its own."""
    core = await trace(valkey.url)
    await generate(core)
    await generate(core)
    generations = named(await core.spans(), "stream ")
    assert [span.parent_id for span in generations] == ["", ""]
    assert len({span.trace_id for span in generations}) == 2


async def test_the_time_to_the_first_chunk_runs_from_when_the_app_was_asked(
    trace: TraceCore, valkey: RedisServer
) -> None:
    """The span begins then; an app's word that cannot be true counts for nothing."""
    core = await trace(valkey.url)
    asked_ms = time.time_ns() // 1_000_000 - 2000
    await generate(core, requested_at=asked_ms)
    for absurd in (0, asked_ms + 3_600_000):
        await generate(core, requested_at=absurd)
    told, *others = named(await core.spans(), "stream ")
    assert told.start_ns == asked_ms * 1_000_000
    assert 2 <= told.attributes["gen_ai.response.time_to_first_chunk"] < 60
    (first,) = told.events
    assert first.at_ns >= told.start_ns + 2_000_000_000
    for other in others:
        assert "gen_ai.response.time_to_first_chunk" not in other.attributes
        assert other.start_ns > asked_ms * 1_000_000


@pytest.mark.parametrize(("policy", "carries"), [("first_last", [0, 3]), ("every", [0, 1, 2, 3]), ("off", [])], ids=str)
async def test_entries_carry_the_generation_as_the_policy_says(
    trace: TraceCore, valkey: RedisServer, redis: Redis, policy: str, carries: list[int]
) -> None:
    """What is carried is the generation's own context, behind `data`; nothing else stands in the entries."""
    core = await trace(valkey.url, trace={"inject": policy})
    await generate(core)
    generation = one(await core.spans(), "stream ")
    found = await contexts_in(redis)
    assert [number for number, context in enumerate(found) if context is not None] == carries
    assert {context for context in found if context} <= {f"00-{generation.trace_id}-{generation.span_id}-01"} | {
        f"00-{generation.trace_id}-{generation.span_id}-03"
    }
    names = {tuple(entry.fields) for entry in await stored(redis)}
    assert names <= {(b"data",), (b"data", b"traceparent")}


async def test_an_app_that_sends_its_context_with_every_token_is_carried_by_the_generation(
    trace: TraceCore, valkey: RedisServer, redis: Redis
) -> None:
    """Wherever the app's context stood alone, the generation's stands, which is below it; with `off` the app's does."""
    core = await trace(valkey.url)
    silent = await trace(valkey.url, trace={"inject": "off"})
    for each, key in ((core, KEY), (silent, f"llm:stream:s-off:{M}")):
        connection = each.core.connection()
        for number in range(3):
            connection.send(f"t{number}", session=key.split(":")[2], traceparent=APP)
        await connection.answers()
    found = await contexts_in(redis)
    assert len(set(found)) == 1
    assert found[0] is not None
    assert found[0].startswith(f"00-{TRACE}-")
    assert found[0] != APP
    assert await contexts_in(redis, f"llm:stream:s-off:{M}") == [APP] * 3


async def test_the_state_travels_with_the_context(trace: TraceCore, valkey: RedisServer, redis: Redis) -> None:
    """`tracestate` comes to the span and on to the entries, in its own field behind the context."""
    core = await trace(valkey.url)
    await generate(core, traceparent=APP, tracestate="congo=t61,rojo=00f")
    generation = one(await core.spans(), "stream ")
    assert generation.trace_state == "congo=t61,rojo=00f"
    first = (await stored(redis))[0]
    assert list(first.fields) == [b"data", b"traceparent", b"tracestate"]
    assert first.fields[b"tracestate"] == b"congo=t61,rojo=00f"


@pytest.mark.parametrize(
    ("sampler", "context"),
    [("parentbased_traceidratio", None), ("parentbased_always_on", UNSAMPLED), ("traceidratio", APP)],
    ids=["no caller, ratio 0", "caller not sampled", "ratio 0 in spite of the caller"],
)
async def test_what_is_not_sampled_leaves_nothing(
    trace: TraceCore, valkey: RedisServer, redis: Redis, sampler: str, context: str | None
) -> None:
    """No span of any kind, and the entries carry what the app has sent and no more."""
    core = await trace(valkey.url, sampler=sampler, ratio=0.0)
    for _ in range(3):
        await generate(core, traceparent=context)
    assert await core.spans() == []
    assert await contexts_in(redis) == [context, None, None, None] * 3


async def test_the_decision_is_the_generations_not_the_messages(
    trace: TraceCore, valkey: RedisServer, redis: Redis
) -> None:
    """Half of the generations are sampled; each of them whole, and of the others nothing is seen."""
    core = await trace(valkey.url, sampler="traceidratio", ratio=0.5, trace={"inject": "every"})
    for _ in range(40):
        await generate(core, tokens=2)
    generations = named(await core.spans(), "stream ")
    assert 5 <= len(generations) <= 35
    found = await contexts_in(redis)
    carried = [found[at : at + 3] for at in range(0, 120, 3)]
    whole = [group[0] for group in carried if group[0] is not None]
    assert all(len(set(group)) == 1 for group in carried)
    assert [context.split("-")[1] for context in whole] == [span.trace_id for span in generations]


async def test_a_write_of_several_generations_links_to_each(trace: TraceCore, valkey: RedisServer) -> None:
    """It is a root, as it is part of none of them; messages that are not traced only count."""
    core = await trace(valkey.url, sampler="parentbased_always_off")
    connection = core.core.connection()
    for session in ("a", "b"):
        connection.send("first", session=session, traceparent=APP)
    await connection.answers()
    for session in ("a", "b", "c"):
        connection.send("second", session=session)
    await connection.answers()
    spans = await core.spans()
    generations = {span.attributes["gen_ai.conversation.id"]: span for span in named(spans, "stream ")}
    assert set(generations) == {"a", "b"}
    writes = [write for write in named(spans, "XADD") if write.kind == "CLIENT"]
    assert len(writes) == 2
    for write, count in zip(writes, (2, 3), strict=True):
        assert write.parent_id == ""
        assert write.attributes["messaging.batch.message_count"] == count
        assert "messaging.destination.name" not in write.attributes
        linked = {link.attributes["messaging.message.conversation_id"]: link for link in write.links}
        assert set(linked) == {"a", "b"}
        for session, link in linked.items():
            assert (link.trace_id, link.span_id) == (generations[session].trace_id, generations[session].span_id)


async def test_a_write_links_to_at_most_so_many_generations(trace: TraceCore, valkey: RedisServer) -> None:
    """A write of very many generations keeps a span that collectors take."""
    core = await trace(valkey.url)
    connection = core.core.connection()
    for number in range(200):
        connection.send("first", session=f"s-{number}")
    await connection.answers()
    most = max(named(await core.spans(), "XADD"), key=lambda span: len(span.links))
    assert len(most.links) == 128
    assert most.attributes["messaging.batch.message_count"] == 200


async def test_sampling_of_the_model_is_told(trace: TraceCore, valkey: RedisServer) -> None:
    """Temperature, token limit and the model's own name come from the first message's metadata."""
    core = await trace(valkey.url)
    metadata = DraftMetadata(model="llama-3.1-8b-q4", temperature=0.25, max_tokens=64)
    request = TokenRequest(session_id=S, model_id=M, token="t", metadata=metadata, complete="stop")
    await core.core.core.appender.append(S, M, draft_from_token(request, 1))
    generation = one(await core.spans(), "stream ")
    assert generation.attributes["gen_ai.request.model"] == "llama-3.1-8b-q4"
    assert generation.attributes["gen_ai.request.temperature"] == 0.25
    assert generation.attributes["gen_ai.request.max_tokens"] == 64
    assert generation.attributes["gen_ai.usage.output_tokens"] == 1


async def test_messages_on_their_own_join_the_generation_that_is_open(trace: TraceCore, valkey: RedisServer) -> None:
    """A generation is what is written to its stream through this sidecar from its first message to its last."""
    core = await trace(valkey.url)
    connection = core.core.connection(fences=False)
    connection.send("a")
    await connection.answers()
    for _ in range(2):
        await core.core.write("between")
    connection.send("b", complete="stop")
    await connection.answers()
    generation = one(await core.spans(), "stream ")
    assert [event.name for event in generation.events] == ["first_token"]
    assert generation.attributes["rlb.tokens"] == 4


async def test_messages_of_another_sidecar_are_a_hole(trace: TraceCore, valkey: RedisServer) -> None:
    """The event says how many messages of somebody else stand in between."""
    core, other = await trace(valkey.url), await trace(valkey.url, sampler="parentbased_always_off")
    connection = core.core.connection(fences=False)
    connection.send("a")
    await connection.answers()
    await other.core.write("b")
    await other.core.write("c")
    connection.send("d", complete="stop")
    await connection.answers()
    generation = one(await core.spans(), "stream ")
    assert [(event.name, event.attributes) for event in generation.events[1:]] == [("sequence_gap", {"rlb.missing": 2})]


async def test_what_a_user_says_is_no_generation(trace: TraceCore, valkey: RedisServer, redis: Redis) -> None:
    """Prompts in the stream get no span, and do not hold the answer's up."""
    core = await trace(valkey.url)
    prompt = TokenRequest(session_id=S, model_id=M, token="why?", role="user")
    await core.core.core.appender.append(S, M, draft_from_token(prompt, 1))
    await generate(core)
    generation = one(await core.spans(), "stream ")
    assert generation.attributes["gen_ai.usage.output_tokens"] == 3
    assert [context is not None for context in await contexts_in(redis)] == [False, True, False, False, True]
