"""Tracing through a whole sidecar: from an app's span to its reader's, by headers and members."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from redis.asyncio import Redis

from rlb import Bridge, SyncBridge
from rlb.domain.trace_context import parse_trace_context
from tests.support.http import session
from tests.support.otlp import Collector
from tests.support.traced import APP, UNSAMPLED, named, one
from tests.telemetry.traced_sidecar import NDJSON, SPAN, TRACE, StartTraced, carried, ended, line, post

OTHER = "00-11111111111111111111111111111111-2222222222222222-01"


async def test_one_trace_leads_from_the_app_to_its_reader(
    start_traced: StartTraced, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """App, generation and writes are one trace; the read links to it, and so can the app that reads."""
    app = TracerProvider(ALWAYS_ON, Resource({"service.name": "app"}), shutdown_on_exit=False)
    app.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(collector.endpoint)))
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    sidecar = start_traced()
    seen: list[str | None] = []
    async with Bridge(sidecar.path, inject=propagate.inject) as bridge:
        with app.get_tracer("app").start_as_current_span("answer"):
            async with bridge.generation("s", "m", temperature=0.5) as generation:
                for number in range(5):
                    await generation.produce(f"t{number}")
        async for delivery in bridge.subscribe("g", model_id="m"):
            seen.append(delivery.traceparent)
            await delivery.ack()
            if delivery.message.metadata.is_complete:
                break
    spans = ended(sidecar, collector)
    await asyncio.to_thread(app.shutdown)
    caller, produced = one(spans, "answer"), one(spans, "stream m")
    assert caller.resource["service.name"] == "app"
    assert produced.resource["service.name"] == "redis-llm-bridge"
    assert produced.resource["service.instance.id"].endswith(str(sidecar.path))
    assert (produced.trace_id, produced.parent_id) == (caller.trace_id, caller.span_id)
    assert produced.attributes["gen_ai.request.temperature"] == 0.5
    assert produced.attributes["gen_ai.usage.output_tokens"] == 5
    writes = named(spans, "XADD")
    assert writes
    assert {(write.trace_id, write.parent_id) for write in writes} == {(caller.trace_id, produced.span_id)}
    assert sum(write.attributes["messaging.batch.message_count"] for write in writes) == 6
    links = [link for read in named(spans, "XREADGROUP") for link in read.links]
    assert {(link.trace_id, link.span_id) for link in links} == {(produced.trace_id, produced.span_id)}
    assert {ack.parent_id for ack in named(spans, "XACK")} <= {read.span_id for read in named(spans, "XREADGROUP")}
    assert named(spans, "XACK")
    contexts = [parse_trace_context(context) for context in (seen[0], seen[-1])]
    assert {context.span_id for context in contexts if context} == {produced.span_id}
    assert seen[1:-1] == [None] * 4
    startup, drain = one(spans, "rlb.startup"), one(spans, "rlb.drain")
    assert startup.end_ns <= drain.start_ns
    assert drain.attributes == {"rlb.drain.unwritten_messages": 0, "rlb.drain.cut_off_requests": 0}


def test_a_thread_is_traced_as_well(start_traced: StartTraced, collector: Collector) -> None:
    """The blocking bridge begins a generation in the span of the thread that asks for it."""
    app = TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
    sidecar = start_traced()
    with SyncBridge(sidecar.path, inject=propagate.inject) as bridge:
        with app.get_tracer("app").start_as_current_span("answer") as span:
            with bridge.generation("s", "m") as generation:
                generation.produce("a")
            bridge.produce_token("s-2", "m", "b")
        bridge.produce_token("s-3", "m", "no caller")
    context = span.get_span_context()
    generations = named(ended(sidecar, collector), "stream m")
    assert {each.parent_id for each in generations} == {f"{context.span_id:016x}"}
    assert {each.attributes["gen_ai.conversation.id"] for each in generations} == {"s", "s-2"}


async def test_the_header_goes_for_every_generation_of_a_request_and_the_member_wins(
    start_traced: StartTraced, collector: Collector, redis: Redis
) -> None:
    """Two generations by the header, a third by its own member; each entry carries its own generation's context."""
    sidecar = start_traced()
    lines = [line(name, token=token) for name in ("a", "b") for token in ("x", "y")]
    lines += [line("c", token="x", traceparent=OTHER), line("c", token="y")]
    lines += [line(name, complete="stop") for name in ("a", "b", "c")]
    await post(sidecar, b"".join(lines), {**NDJSON, "traceparent": APP, "tracestate": "k=v"})
    generations = {
        span.attributes["gen_ai.conversation.id"]: span for span in named(ended(sidecar, collector), "stream m")
    }
    assert {name: span.parent_id for name, span in generations.items()} == {"a": SPAN, "b": SPAN, "c": "2" * 16}
    assert {name: span.trace_state for name, span in generations.items()} == {"a": "k=v", "b": "k=v", "c": ""}
    for name, span in generations.items():
        first, middle, last = await carried(redis, f"llm:stream:{name}:m")
        assert middle is None
        assert first == last
        assert first is not None
        assert first.split("-")[1:3] == [span.trace_id, span.span_id]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tokens", {"sessionId": "s", "modelId": "m", "token": "t", "complete": "stop"}),
        (
            "/v1/messages",
            {
                "id": "1",
                "sessionId": "s",
                "modelId": "m",
                "token": "t",
                "metadata": {"timestamp": 1, "isComplete": True},
                "payload": {"content": "t", "role": "assistant"},
            },
        ),
    ],
)
async def test_the_header_goes_for_a_message_on_its_own(
    start_traced: StartTraced, collector: Collector, path: str, body: dict[str, Any]
) -> None:
    """A call for one message is a generation below the caller, if it completes one."""
    sidecar = start_traced()
    await post(sidecar, json.dumps(body).encode(), {"Content-Type": "application/json", "traceparent": APP}, path)
    generation = one(ended(sidecar, collector), "stream m")
    assert (generation.trace_id, generation.parent_id, generation.status) == (TRACE, SPAN, "UNSET")


async def test_a_relayed_answer_is_traced(start_traced: StartTraced, collector: Collector) -> None:
    """A model server's event stream, passed on as it came, with the header of whoever passes it on."""
    sidecar = start_traced()
    chunk = {"choices": [{"index": 0, "delta": {"content": "t"}, "finish_reason": None}]}
    events = b"".join(b"data: %b\n\n" % part for part in (json.dumps(chunk).encode(), b"[DONE]"))
    headers = {"Content-Type": "text/event-stream", "traceparent": APP}
    await post(sidecar, events, headers, "/v1/tokens?sessionId=s&modelId=m")
    generation = one(ended(sidecar, collector), "stream m")
    assert generation.parent_id == SPAN


@pytest.mark.parametrize("header", ["", "00-x", APP.upper(), f"ff{APP[2:]}", "0" * 10_000], ids=lambda text: text[:20])
async def test_a_broken_header_is_no_header(
    start_traced: StartTraced, collector: Collector, redis: Redis, header: str
) -> None:
    """It refuses nothing, marks nothing, and comes up nowhere."""
    sidecar = start_traced()
    await post(sidecar, line(token="t", complete="stop"), {**NDJSON, "traceparent": header})
    assert named(ended(sidecar, collector), "stream") == []
    assert await carried(redis) == [None]


async def test_without_tracing_contexts_pass_through(
    start_traced: StartTraced, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member stays with its message, a header goes to the first and last message of each generation."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    sidecar = start_traced()
    tokens = [line("a", token=token) for token in "xyz"] + [line("a", complete="stop")]
    tokens += [line("b", token="x"), line("b", token="y", traceparent=OTHER, tracestate="k=v"), line("b", token="z")]
    await post(sidecar, b"".join(tokens), {**NDJSON, "traceparent": APP})
    assert await carried(redis, "llm:stream:a:m") == [APP, None, None, APP]
    assert await carried(redis, "llm:stream:b:m") == [APP, OTHER, None]
    rows = await redis.xrange("llm:stream:b:m")
    assert rows[1][1][b"tracestate"] == b"k=v"


async def test_readers_are_given_the_context_where_there_is_one(
    start_traced: StartTraced, collector: Collector
) -> None:
    """Deliveries and tails have a member `traceparent` if the entry has one, and no such member otherwise."""
    sidecar = start_traced()
    tokens = [line(token="x", traceparent=APP), line(token="y"), line(complete="stop")]
    await post(sidecar, b"".join(tokens), NDJSON)
    async with session(sidecar.path) as client:
        stream = {"sessionId": "s", "modelId": "m", "group": "g"}
        async with client.put("http://rlb/v1/groups", json=stream) as answer:
            assert answer.status == 201
        async with client.post("http://rlb/v1/messages/read", json={**stream, "consumer": "c"}) as answer:
            read = (await answer.json())["messages"]
        accept = {"Accept": "application/x-ndjson"}
        async with client.get("http://rlb/v1/tail?sessionId=s&modelId=m", headers=accept) as answer:
            tail = [json.loads(each) async for each in answer.content]
    generation = one(ended(sidecar, collector), "stream m")
    for lines in (read, tail):
        contexts = [each.get("traceparent") for each in lines if "message" in each]
        assert [context is not None for context in contexts] == [True, False, True]
        assert contexts[0].split("-")[1:3] == [TRACE, generation.span_id]
        assert "traceparent" not in lines[1]


async def test_an_unsampled_caller_costs_nothing_and_is_passed_on(
    start_traced: StartTraced, collector: Collector, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who decided against a trace finds none begun in its stead."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    sidecar = start_traced()
    await post(sidecar, line(token="t") + line(complete="stop"), {**NDJSON, "traceparent": UNSAMPLED})
    assert {span.name for span in ended(sidecar, collector)} == {"rlb.startup", "rlb.drain"}
    assert await carried(redis) == [UNSAMPLED] * 2
