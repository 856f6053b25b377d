"""A real Prometheus scrapes a sidecar at work: all that can be there is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rlb.telemetry.catalogue import CATALOGUE, Metric, prometheus_label
from rlb.telemetry.catalogue.metric import GROUP_NAMES, MODEL_NAMES
from tests.conftest import OwnServer
from tests.support.http import session
from tests.support.otlp import Collector
from tests.support.prometheus import MISSING, PROMETHEUS, PrometheusServer
from tests.telemetry.conftest import StartScraped

pytestmark = [pytest.mark.skipif(PROMETHEUS is None, reason=MISSING), pytest.mark.timeout(120)]

MODELS = ("meta-llama/Llama-3.1-8B", "mistral")
GROUP = "indexer"

CANNOT_OCCUR = {
    "rlb.write.retries": "Redis refuses nothing here",
    "rlb.monitor.leader": "only observers elect",
    "rlb.consumers.removed": "no consumer is dead for long enough",
}
"""Rows that a healthy sidecar at work does not have."""

LABELS_THAT_CANNOT_OCCUR = {"error_type": "nothing fails", "lease": "no observer is beside it"}
SETTINGS = {
    "RLB_MONITOR__INTERVAL_SECONDS": "0.2",
    "RLB_MONITOR__TOP_STREAMS": "5",
    "RLB_MONITOR__PROBE_SECONDS": "0.3",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
    "OTEL_TRACES_SAMPLER": "always_on",
}


@asynccontextmanager
async def working(path: Path) -> AsyncIterator[None]:
    """Apps that write, read, and leave something unread and unacknowledged, for the block, and once before it."""
    around = asyncio.Event()
    async with session(path) as http:
        work = asyncio.create_task(work_on(http, around))
        once = asyncio.create_task(around.wait())
        try:
            await asyncio.wait((work, once), timeout=30, return_when=asyncio.FIRST_COMPLETED)
            assert not work.done(), work.exception()
            assert around.is_set()
            yield
            assert not work.done(), work.exception()
        finally:
            for task in (work, once):
                task.cancel()
            await asyncio.gather(work, once, return_exceptions=True)


async def work_on(http: aiohttp.ClientSession, around: asyncio.Event) -> None:
    """One generation of each model after the other."""
    turn = 0
    while True:
        turn += 1
        for model in MODELS:
            stream = {"sessionId": f"s-{turn}", "modelId": model}
            group = {**stream, "group": GROUP}
            reader = {**group, "consumer": "c-1"}
            requested = {"requestedAt": int(time.time() * 1000)}
            for number in range(20):
                token = {**stream, "token": f"t{number}", **(requested if number == 0 else {})}
                await call(http, "/v1/tokens", token)
            await call(http, "/v1/groups", group, "PUT")
            read = await call(http, "/v1/messages/read", {**reader, "count": 6})
            ids = [message["entryId"] for message in read["messages"]]
            await call(http, "/v1/messages/ack", {**group, "entryIds": ids[:3]})
            await call(http, "/v1/messages/nack", {**group, "entryIds": ids[3:4], "reason": "later"})
            await call(http, "/v1/messages/read", {**reader, "count": 1})
            await call(http, "/v1/streams/complete", {**stream, "finishReason": "stop"})
        around.set()


async def call(http: aiohttp.ClientSession, path: str, body: dict[str, Any], method: str = "POST") -> Any:
    """The answer to a call that has to go well."""
    async with http.request(method, path, json=body) as response:
        answer = await response.json()
        assert response.status in (200, 201), answer
        return answer


def is_there(prometheus: PrometheusServer, metric: Metric) -> bool:
    """Whether there are series of it, with each label that can occur, for each model and the group."""
    name = f"{metric.prometheus_name}_count" if metric.kind == "histogram" else metric.prometheus_name
    series = [labels for labels, _ in prometheus.query(name)]
    wanted = set(metric.prometheus_labels) - set(LABELS_THAT_CANNOT_OCCUR)
    if metric.name == "rlb.poll.errors":  # which begins with a zero
        wanted |= {"error_type"}
    for attribute in metric.of:
        label = prometheus_label(attribute.name)
        values = {labels.get(label) for labels in series}
        if attribute.name in MODEL_NAMES and not values >= set(MODELS):
            return False
        if attribute.name in GROUP_NAMES and GROUP not in values:
            return False
    return bool(series) and all(wanted <= labels.keys() for labels in series)


def assert_closed_labels(prometheus: PrometheusServer, metric: Metric) -> None:
    """What the catalogue lists as all values of a label are all that there are."""
    name = f"{metric.prometheus_name}_count" if metric.kind == "histogram" else metric.prometheus_name
    for labels, _ in prometheus.query(name):
        for attribute in metric.of:
            if attribute.values is not None:
                assert labels.get(prometheus_label(attribute.name), attribute.values[0]) in attribute.values


def still_missing(prometheus: PrometheusServer, metrics: dict[str, Metric]) -> dict[str, Metric]:
    """Those that are not there yet."""
    return {name: metric for name, metric in metrics.items() if not is_there(prometheus, metric)}


async def becomes(prometheus: PrometheusServer, holds: Callable[[PrometheusServer], object]) -> None:
    """Wait until something holds: a scrape that came too late takes all series away until the next one."""
    await asyncio.to_thread(prometheus.until, holds)


def values(prometheus: PrometheusServer, expression: str) -> list[float]:
    """The values of a query."""
    return [value for _, value in prometheus.query(expression)]


def has_shared_trace(prometheus: PrometheusServer, collector: Collector) -> bool:
    """Whether an exemplar leads to a span."""
    exemplars = prometheus.exemplars("gen_ai_server_time_to_first_token_seconds_bucket")
    return not {span.trace_id for span in collector.spans}.isdisjoint(each["labels"]["trace_id"] for each in exemplars)


async def test_all_that_can_be_there_is_there(start_scraped: StartScraped, tmp_path: Path) -> None:
    """Up, and every row of the catalogue with its labels, but for those that need something to go wrong."""
    expected = set(CATALOGUE) - set(CANNOT_OCCUR)
    with Collector() as collector:
        sidecar = start_scraped(**SETTINGS, **collector.environment)
        with PrometheusServer(tmp_path, f"127.0.0.1:{sidecar.port}") as prometheus:
            async with working(sidecar.path):
                missing = {metric.name: metric for metric in CATALOGUE.values() if metric.name in expected}
                until_s = time.monotonic() + 40
                while missing and time.monotonic() < until_s:
                    await asyncio.sleep(0.3)
                    missing = await asyncio.to_thread(still_missing, prometheus, missing)
                assert not missing, sorted(missing)
                await becomes(prometheus, lambda it: values(it, "up") == [1])
                for metric in CATALOGUE.values():
                    assert_closed_labels(prometheus, metric)
                await asyncio.to_thread(collector.until, lambda it: {each.name for each in it.metrics} >= expected)
                assert {metric.name for metric in collector.metrics} == expected
                await becomes(prometheus, lambda it: has_shared_trace(it, collector))
                await becomes(prometheus, lambda it: {target["lastError"] for target in it.targets()} == {""})
                absent = {name for name in CANNOT_OCCUR if not prometheus.query(CATALOGUE[name].prometheus_name)}
                assert absent == set(CANNOT_OCCUR), "the list of what cannot occur is out of date"


async def test_what_redis_does_not_tell_is_absent(
    start_scraped: StartScraped, own_server: OwnServer, tmp_path: Path
) -> None:
    """When Redis goes, lag and lengths go from the queries, not to 0; what was counted stays, and `up` says why."""
    redis = own_server()
    sidecar = start_scraped(redis.url, RLB_MONITOR__INTERVAL_SECONDS="0.2", RLB_APPEND__DEADLINE_MS="2500")
    polled = ("rlb_stream_length", "rlb_group_lag", "rlb_group_streams")
    counted = "sum(rlb_ingest_tokens_total) > 0"
    with PrometheusServer(tmp_path, f"127.0.0.1:{sidecar.port}") as prometheus:
        async with working(sidecar.path):
            await becomes(prometheus, lambda it: all(it.query(name) for name in polled))
            await becomes(prometheus, lambda it: values(it, "rlb_redis_up") == [1])
        await becomes(prometheus, lambda it: it.query(counted))
        tokens = prometheus.query_range(counted, time.time() - 60, time.time(), 0.25)[0][1][-1]
        redis.kill()
        await becomes(prometheus, lambda it: values(it, "up") == [1] and not any(it.query(name) for name in polled))
        down = "rlb_redis_up == 0 and on () sum(rlb_poll_errors_total) > 0"
        await becomes(prometheus, lambda it: it.query(down))
        await becomes(prometheus, lambda it: it.query(f"sum(rlb_ingest_tokens_total) >= {tokens}"))
        await becomes(prometheus, lambda it: it.query("rlb_stream_entries_added_total > 0"))
        await becomes(prometheus, lambda it: values(it, "up") == [1])
