"""What a traced sidecar says: no token anywhere, traces in its log, and its work goes on without a collector."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from rlb.domain.trace_context import current_trace, parse_trace_context
from rlb.telemetry.logs import ConsoleFormatter, JsonFormatter
from tests.servers.process import RedisServer
from tests.support.http import session
from tests.support.otlp import Collector
from tests.support.traced import APP, named, one
from tests.telemetry.traced_sidecar import KEY, NDJSON, SPAN, TRACE, StartTraced, ended, line, post

CANARY = "kanarienvogel-7f3a"


async def test_no_token_is_in_any_span_or_log(
    start_traced: StartTraced, collector: Collector, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Tokens, names of their own and reasons of an app: whatever happens to a traced generation, its text stays out."""
    caplog.set_level(logging.DEBUG)
    sidecar = start_traced(generation={"abandoned_seconds": 0.2}, trace={"inject": "every"})
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
    start_traced: StartTraced, collector: Collector, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """A line about a traced generation leads to its span."""
    caplog.set_level(logging.INFO)
    await redis.set(KEY, "no stream")
    sidecar = start_traced()
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
    start_traced: StartTraced, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens go on, failed exports are counted, and the end comes in time."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    sidecar = start_traced()
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
