"""Tracing through a whole sidecar: from an app's span to its reader's, by headers and members, and never a token."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from redis.asyncio import Redis

from rlb import Bridge, SyncBridge
from rlb.domain.trace_context import current_trace, parse_trace_context
from rlb.telemetry import tracing_session
from rlb.telemetry.logs import ConsoleFormatter, JsonFormatter
from tests.servers.process import RedisServer
from tests.support.http import session
from tests.support.otlp import Collector, Span
from tests.support.sidecar import RunningSidecar, settings_of
from tests.support.traced import APP, UNSAMPLED, named, one

TRACE, SPAN = APP.split("-")[1:3]
OTHER = "00-11111111111111111111111111111111-2222222222222222-01"
CANARY = "kanarienvogel-7f3a"
KEY = "llm:stream:s:m"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Tracing is on, and what has no caller is not sampled."""
    with Collector() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        monkeypatch.setattr(tracing_session, "CLOSE_S", 30.0)
        yield collector


class Start(Protocol):
    def __call__(self, **changes: Any) -> RunningSidecar: ...


@pytest.fixture
def start(valkey: RedisServer, short_tmp: Path) -> Iterator[Start]:
    with ExitStack() as at_exit:

        def make(**changes: Any) -> RunningSidecar:
            settings = settings_of(short_tmp / "rlb", valkey.url, **changes)
            return at_exit.enter_context(RunningSidecar(settings))

        yield make


def ended(sidecar: RunningSidecar, collector: Collector) -> list[Span]:
    """All spans, once the sidecar has ended."""
    sidecar.begin_stop()
    sidecar.wait()
    return collector.spans


async def carried(redis: Redis, key: str = KEY) -> list[str | None]:
    """The `traceparent` of each entry."""
    rows = await redis.xrange(key)
    return [fields[b"traceparent"].decode() if b"traceparent" in fields else None for _, fields in rows]


async def test_one_trace_leads_from_the_app_to_its_reader(
    start: Start, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """App, generation and writes are one trace; the read links to it, and so can the app that reads."""
    app = TracerProvider(ALWAYS_ON, Resource({"service.name": "app"}), shutdown_on_exit=False)
    app.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(collector.endpoint)))
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    sidecar = start()
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


def test_a_thread_is_traced_as_well(start: Start, collector: Collector) -> None:
    """The blocking bridge begins a generation in the span of the thread that asks for it."""
    app = TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
    sidecar = start()
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


def line(session_id: str = "s", **members: Any) -> bytes:
    """One line of the hot path."""
    return json.dumps({"sessionId": session_id, "modelId": "m", **members}).encode() + b"\n"


async def post(sidecar: RunningSidecar, body: bytes, headers: dict[str, str], path: str = "/v1/tokens") -> str:
    """The answer to a request."""
    async with session(sidecar.path) as client, client.post(f"http://rlb{path}", data=body, headers=headers) as answer:
        text = await answer.text()
        assert answer.status in (200, 201), text
        return text


NDJSON = {"Content-Type": "application/x-ndjson"}


async def test_the_header_goes_for_every_generation_of_a_request_and_the_member_wins(
    start: Start, collector: Collector, redis: Redis
) -> None:
    """Two generations by the header, a third by its own member; each entry carries its own generation's context."""
    sidecar = start()
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
    start: Start, collector: Collector, path: str, body: dict[str, Any]
) -> None:
    """A call for one message is a generation below the caller, if it completes one."""
    sidecar = start()
    await post(sidecar, json.dumps(body).encode(), {"Content-Type": "application/json", "traceparent": APP}, path)
    generation = one(ended(sidecar, collector), "stream m")
    assert (generation.trace_id, generation.parent_id, generation.status) == (TRACE, SPAN, "UNSET")


async def test_a_relayed_answer_is_traced(start: Start, collector: Collector) -> None:
    """A model server's event stream, passed on as it came, with the header of whoever passes it on."""
    sidecar = start()
    chunk = {"choices": [{"index": 0, "delta": {"content": "t"}, "finish_reason": None}]}
    events = b"".join(b"data: %b\n\n" % part for part in (json.dumps(chunk).encode(), b"[DONE]"))
    headers = {"Content-Type": "text/event-stream", "traceparent": APP}
    await post(sidecar, events, headers, "/v1/tokens?sessionId=s&modelId=m")
    generation = one(ended(sidecar, collector), "stream m")
    assert generation.parent_id == SPAN


@pytest.mark.parametrize("header", ["", "00-x", APP.upper(), f"ff{APP[2:]}", "0" * 10_000], ids=lambda text: text[:20])
async def test_a_broken_header_is_no_header(start: Start, collector: Collector, redis: Redis, header: str) -> None:
    """It refuses nothing, marks nothing, and comes up nowhere."""
    sidecar = start()
    await post(sidecar, line(token="t", complete="stop"), {**NDJSON, "traceparent": header})
    assert named(ended(sidecar, collector), "stream") == []
    assert await carried(redis) == [None]


async def test_without_tracing_contexts_pass_through(
    start: Start, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member stays with its message, a header goes to the first and last message of each generation."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    sidecar = start()
    tokens = [line("a", token=token) for token in "xyz"] + [line("a", complete="stop")]
    tokens += [line("b", token="x"), line("b", token="y", traceparent=OTHER, tracestate="k=v"), line("b", token="z")]
    await post(sidecar, b"".join(tokens), {**NDJSON, "traceparent": APP})
    assert await carried(redis, "llm:stream:a:m") == [APP, None, None, APP]
    assert await carried(redis, "llm:stream:b:m") == [APP, OTHER, None]
    rows = await redis.xrange("llm:stream:b:m")
    assert rows[1][1][b"tracestate"] == b"k=v"


async def test_readers_are_given_the_context_where_there_is_one(start: Start, collector: Collector) -> None:
    """Deliveries and tails have a member `traceparent` if the entry has one, and no such member otherwise."""
    sidecar = start()
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
    start: Start, collector: Collector, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who decided against a trace finds none begun in its stead."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    sidecar = start()
    await post(sidecar, line(token="t") + line(complete="stop"), {**NDJSON, "traceparent": UNSAMPLED})
    assert {span.name for span in ended(sidecar, collector)} == {"rlb.startup", "rlb.drain"}
    assert await carried(redis) == [UNSAMPLED] * 2


async def test_no_token_is_in_any_span_or_log(
    start: Start, collector: Collector, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens, names of their own and reasons of an app: whatever happens to a traced generation, its text stays out."""
    caplog.set_level(logging.DEBUG)
    sidecar = start(generation={"abandoned_seconds": 0.2}, trace={"inject": "every"})
    headers = {**NDJSON, "traceparent": APP}
    message = {"messageId": "m-1", "metadata": {"temperature": 1.0}}
    bodies = [
        line("whole", token=f"{CANARY} a", **message) + line("whole", token=f"{CANARY} b", complete="stop"),
        line("open", token=CANARY),
        line("bad", token=CANARY, role=CANARY) + line("bad", token=CANARY, traceparent=CANARY),
    ]
    await redis.set("llm:stream:wrong:m", "no stream")
    bodies.append(line("wrong", token=CANARY))
    for body in bodies:
        await post(sidecar, body, headers)
    async with Bridge(sidecar.path) as bridge:
        async for delivery in bridge.subscribe("g", model_id="m"):
            await delivery.nack(f"because of {CANARY}")
            break
    collector.until(lambda it: True)
    spans = ended(sidecar, collector)
    assert {span.attributes.get("gen_ai.conversation.id") for span in named(spans, "stream m")} == {
        "whole",
        "open",
        "wrong",
    }
    assert CANARY not in str(collector.traces)
    assert CANARY.encode() not in b"".join(request.SerializeToString() for request in collector.traces)
    for record in caplog.records:
        assert CANARY not in JsonFormatter().format(record)
        assert CANARY not in ConsoleFormatter().format(record)


async def test_logs_name_the_trace_of_a_generation_that_fails(
    start: Start, collector: Collector, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """A line about a traced generation leads to its span."""
    caplog.set_level(logging.INFO)
    await redis.set(KEY, "no stream")
    sidecar = start()
    await post(sidecar, line(token="t"), {**NDJSON, "traceparent": APP})
    generation = one(ended(sidecar, collector), "stream m")
    (told,) = [json.loads(JsonFormatter().format(record)) for record in caplog.records if "generation." in record.msg]
    assert (told["event"], told["reason"]) == ("generation.failed", "wrong_type")
    assert (told["trace_id"], told["span_id"]) == (TRACE, generation.span_id)


def test_a_line_that_is_written_for_a_traced_request_names_its_trace() -> None:
    """By the request's header; a span that the event itself names comes first."""

    def told(**extra: str) -> dict[str, Any]:
        record = logging.makeLogRecord({"msg": "event", "levelno": logging.INFO, "levelname": "INFO", **extra})
        found: dict[str, Any] = json.loads(JsonFormatter().format(record))
        return found

    assert "trace_id" not in told()
    token = current_trace.set(parse_trace_context(APP))
    try:
        assert (told()["trace_id"], told()["span_id"]) == (TRACE, SPAN)
        assert told(trace_id="own", span_id="own")["trace_id"] == "own"
    finally:
        current_trace.reset(token)


async def test_an_unreachable_collector_harms_nobody(
    start: Start, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens go on, failed exports are counted, and the end comes in time."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    sidecar = start()
    for number in range(3):
        answer = await post(sidecar, line(f"s-{number}", token="t", complete="stop"), {**NDJSON, "traceparent": APP})
        assert "entryId" in answer
    async with session(sidecar.path) as client:
        async with asyncio.timeout(20):
            while True:
                async with client.get("http://rlb/metrics") as answer:
                    metrics = await answer.text()
                if re.search(r'rlb_otlp_exports_total\{outcome="failed",signal="traces"\} [1-9]', metrics):
                    break
                await asyncio.sleep(0.05)
    before_s = asyncio.get_running_loop().time()
    sidecar.begin_stop()
    await asyncio.to_thread(sidecar.wait)
    assert asyncio.get_running_loop().time() - before_s < 15
