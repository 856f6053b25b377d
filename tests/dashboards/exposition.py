"""Series of everything that the catalogue has, with every value that a label can have: a world where all goes wrong.

What a healthy sidecar never shows is there, so that a query for it can prove that it would find it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from rlb.telemetry.catalogue import CATALOGUE, CONSTANTS, Attribute, Metric, prometheus_label
from rlb.telemetry.catalogue.metric import GROUP_NAMES, MODEL_NAMES
from tests.dashboards.vocabulary import FOREIGN

MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "other")
GROUPS = ("indexer", "other")
FIXED: Mapping[str, str] = {
    "scope": "own",
    "max_length": "10000",
    "retention_ms": "3600000",
    "interval_seconds": "5",
    "trim_policy": "max",
}

STEADY: Mapping[str, float] = {
    "rlb.build.info": 1,
    "rlb.config.info": 1,
    "rlb.redis.up": 1,
    "rlb.monitor.leader": 0,
    "rlb.monitor.observed": 0,
    "rlb.redis.clock.skew": -30,
    "rlb.stream.retention.limit": 10_000,
    "rlb.stream.length.max": 9_900,
    "rlb.stream.retention.age": 920,
    "rlb.stream.ttl.min": 20,
    "rlb.group.retention.headroom": 20,
    "rlb.group.lag.max": 9_500,
    "rlb.ingest.queue.capacity": 1000,
    "rlb.ingest.queue.length": 950,
    "rlb.ingest.queue.size": 950_000,
    "rlb.ingest.queue.size.limit": 1_000_000,
}
"""What stays as it is. Other gauges begin at `GAUGE` and rise by one each second, counters at speeds of their own."""
GAUGE = 900.0


def exposition(elapsed_s: float, now_s: float, steady: Mapping[str, float] = STEADY) -> str:
    """The text of one scrape, a while after the beginning; `steady` has what does not change."""
    return "".join(_lines(elapsed_s, now_s, steady))


def _lines(elapsed_s: float, now_s: float, steady: Mapping[str, float]) -> Iterator[str]:
    for metric in CATALOGUE.values():
        yield f"# TYPE {metric.prometheus_name} {_TYPES[metric.kind]}\n"
        for number, labels in enumerate(label_sets(metric)):
            count = 1 + number % 5 + elapsed_s * (1 + number % 7)
            if metric.kind == "histogram":
                yield from _histogram(metric, labels, count)
            else:
                changing = count if metric.kind == "counter" else _gauge(metric, labels, elapsed_s, now_s)
                value = steady.get(metric.name, changing)
                yield f"{metric.prometheus_name}{_braces(labels)} {value}\n"
    yield from _of_process(elapsed_s, now_s)


_TYPES = {"counter": "counter", "gauge": "gauge", "updowncounter": "gauge", "histogram": "histogram"}


def _gauge(metric: Metric, labels: Mapping[str, str], elapsed_s: float, now_s: float) -> float:
    if labels.get("state") == "active":  # of consumers: there is none
        return 0
    if metric.name == "rlb.poll.last_success.timestamp":
        return now_s - elapsed_s - 600
    return GAUGE + elapsed_s


def _histogram(metric: Metric, labels: Mapping[str, str], count: float) -> Iterator[str]:
    """As many observations in each bucket, and in what is above all of them."""
    name, total = metric.prometheus_name, 0.0
    for bound in metric.buckets:
        total += count
        yield f"{name}_bucket{_braces({**labels, 'le': str(float(bound))})} {total}\n"
    total += count
    yield f"{name}_bucket{_braces({**labels, 'le': '+Inf'})} {total}\n"
    yield f"{name}_sum{_braces(labels)} {sum(metric.buckets) * count}\n"
    yield f"{name}_count{_braces(labels)} {total}\n"


def label_sets(metric: Metric) -> Iterator[dict[str, str]]:
    """Each set of labels that a series of it can have; labels without a list of values have one or two."""
    names = [prometheus_label(attribute.name) for attribute in metric.of]
    for values in itertools.product(*(_values(attribute) for attribute in metric.of)):
        yield {name: value for name, value in zip(names, values, strict=True) if value}


def _values(attribute: Attribute) -> tuple[str, ...]:
    if attribute.name in MODEL_NAMES:
        return MODELS
    if attribute.name in GROUP_NAMES:
        return GROUPS
    fixed = CONSTANTS.get(attribute.name) or FIXED.get(attribute.name) or f"{attribute.name}-1"
    return (attribute.values or (fixed,)) + (("",) if attribute.optional else ())


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""


def _of_process(elapsed_s: float, now_s: float) -> Iterator[str]:
    """What the client library tells of the process; it starts anew every ten seconds."""
    yield f"process_start_time_seconds {now_s - elapsed_s % 10}\n"
    yield f"process_cpu_seconds_total {elapsed_s * 0.5}\n"
    yield f"process_resident_memory_bytes {2e8}\nprocess_open_fds 900\nprocess_max_fds 1024\n"
    yield "".join(f'python_gc_collections_total{{generation="{n}"}} {elapsed_s * (3 - n)}\n' for n in range(3))


def of_vllm(elapsed_s: float, model: str) -> str:
    """What a server of vLLM tells that serves one model."""
    labels = f'{{model_name="{model}",engine="0"'
    lines = []
    for name, series in FOREIGN.items():
        if not name.startswith("vllm:"):
            continue
        if name.endswith("_bucket"):
            bounds = (0.01, 0.1, 1.0, "+Inf")
            lines += [f'{name}{labels},le="{bound}"}} {elapsed_s * (at + 1)}' for at, bound in enumerate(bounds)]
        else:
            value = elapsed_s * 4 if series.kind == "counter" else 3
            lines.append(f"{name}{labels}}} {value}")
    return "\n".join(lines) + "\n"
