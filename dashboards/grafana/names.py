"""What queries may name: the metrics of the catalogue, and a few that Prometheus and other programs provide.

A name or label that is not known does not build, so that a renamed metric cannot leave an empty panel behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from rlb.telemetry.catalogue import CATALOGUE, SECTIONS, Kind, prometheus_label

How = Literal["sum", "max", "min"]

TARGET_LABELS = ("namespace", "job", "instance", "pod")
"""What Prometheus knows of the target; `namespace` and `pod` only in Kubernetes."""

_POLLED = frozenset(
    metric.name for section in ("Streams, as polled", "Consumer groups, as polled") for metric in SECTIONS[section]
)
_SMALLEST = frozenset({"rlb.stream.retention.limit", "rlb.stream.ttl.min", "rlb.group.retention.headroom"})
_GREATEST = frozenset(
    {
        "rlb.stream.length.max",
        "rlb.stream.retention.age",
        "rlb.group.lag.max",
        "rlb.group.lag.age",
        "rlb.group.pending.age",
        "rlb.group.pending.idle",
        "rlb.top.consumer.idle",
    }
)


@dataclass(frozen=True, slots=True)
class Known:
    """A metric as queries see it."""

    name: str
    """In Prometheus, without the `_bucket`, `_sum` and `_count` of histograms."""
    kind: Kind
    labels: Mapping[str, tuple[str, ...] | None]
    """Its labels, with all values that each may have; None if they come from outside."""
    polled: bool = False
    """Told by every instance that polls a stream: the greatest is the truth, a sum would count streams twice."""
    how: How = "sum"
    """How its series come together, once what several instances tell of the same is one."""
    narrowed: bool = True
    """Whether the choice of models and groups applies. Not to alerts, of which some have no such label."""


def _of_catalogue(name: str) -> Known:
    metric = CATALOGUE[name]
    how: How = "min" if name in _SMALLEST else "max" if name in _GREATEST else "sum"
    labels = {prometheus_label(attribute.name): attribute.values for attribute in metric.of}
    return Known(metric.prometheus_name, metric.kind, MappingProxyType(labels), name in _POLLED, how)


def _foreign(name: str, kind: Kind, *labels: str) -> Known:
    return Known(name, kind, MappingProxyType(dict.fromkeys(labels)), narrowed=not name.startswith("ALERTS"))


FOREIGN: Mapping[str, Known] = MappingProxyType(
    {
        known.name: known
        for known in (
            _foreign("up", "gauge"),
            _foreign("scrape_duration_seconds", "gauge"),
            _foreign("scrape_samples_scraped", "gauge"),
            _foreign("process_start_time_seconds", "gauge"),
            _foreign("process_cpu_seconds_total", "counter"),
            _foreign("process_resident_memory_bytes", "gauge"),
            _foreign("process_open_fds", "gauge"),
            _foreign("process_max_fds", "gauge"),
            _foreign("python_gc_collections_total", "counter", "generation"),
            _foreign("ALERTS", "gauge", "alertname", "alertstate", "severity", "model", "group"),
            _foreign("ALERTS_FOR_STATE", "gauge", "alertname", "severity", "model", "group"),
            _foreign("vllm:time_to_first_token_seconds", "histogram", "model_name"),
            _foreign("vllm:inter_token_latency_seconds", "histogram", "model_name"),
            _foreign("vllm:time_per_output_token_seconds", "histogram", "model_name"),
            _foreign("vllm:num_requests_running", "gauge", "model_name"),
            _foreign("vllm:num_requests_waiting", "gauge", "model_name"),
            _foreign("vllm:generation_tokens_total", "counter", "model_name"),
        )
    }
)
"""What is not in the catalogue: of the scrape, of any process, of the rules, and of vLLM beside the sidecar."""

KNOWN: Mapping[str, Known] = MappingProxyType({**{name: _of_catalogue(name) for name in CATALOGUE}, **FOREIGN})
"""By OpenTelemetry name for the catalogue's, by Prometheus name for the others."""

UNUSED: Mapping[str, str] = MappingProxyType(
    {
        "rlb.ingest.queue.capacity": "The queue is bounded by bytes; dashboards show its memory of that limit.",
    }
)
"""Metrics of the catalogue that no dashboard asks for, and why."""

FAMILIES: tuple[str, ...] = tuple(sorted({known.name for known in KNOWN.values()}, key=len, reverse=True))
"""The Prometheus names, the longest first, so that a text is searched for the most exact one."""


def known(name: str) -> Known:
    """The metric of a name.

    Raises:
        LookupError: there is none.
    """
    if name not in KNOWN:
        raise LookupError(f"{name!r} is neither in the catalogue nor among the foreign metrics")
    return KNOWN[name]


def check_labels(metric: Known, labels: Iterable[str]) -> None:
    """See that a metric, or its target, has these labels.

    Raises:
        LookupError: it does not.
    """
    for label in labels:
        if (
            label not in metric.labels
            and label not in TARGET_LABELS
            and not (label == "le" and metric.kind == "histogram")
        ):
            raise LookupError(f"{metric.name} has no label {label!r}; it has {', '.join(metric.labels) or 'none'}")
