"""All series that an expression may name, with their labels: the catalogue's, a few foreign ones, and recorded ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlb.telemetry.catalogue import CATALOGUE, CONSTANTS, SECTIONS, Kind, Metric, prometheus_label

TARGET = ("namespace", "job", "instance", "pod", "container")
"""What Prometheus adds to each series of a target that it finds in Kubernetes."""

POLLED = frozenset(
    metric for section in ("Streams, as polled", "Consumer groups, as polled") for metric in SECTIONS[section]
)
INFO = "_info"

Values = tuple[str, ...] | None
"""All values that a label may have; None if they come from outside."""


@dataclass(frozen=True)
class Series:
    """What a name in an expression stands for."""

    labels: Mapping[str, Values]
    kind: Kind
    optional: frozenset[str] = frozenset()
    """Labels that only some of its series have."""
    polled: bool = False
    why: str = ""
    """Of a foreign one: where it comes from and what asks for it."""
    metric: Metric | None = None


def _of_catalogue(metric: Metric) -> Mapping[str, Series]:
    labels: dict[str, Values] = dict.fromkeys(TARGET)
    for attribute in metric.of:
        constant = CONSTANTS.get(attribute.name)
        is_fixed = attribute.name in ("messaging.system", "messaging.destination.template")
        labels[prometheus_label(attribute.name)] = (constant,) if constant and is_fixed else attribute.values
    optional = frozenset(prometheus_label(attribute.name) for attribute in metric.of if attribute.optional)
    name, polled = metric.prometheus_name, metric in POLLED
    if metric.kind != "histogram":
        return {name: Series(labels, metric.kind, optional, polled, metric=metric)}
    plain = Series(labels, "counter", optional, polled, metric=metric)
    bounds = tuple(f"{bound:g}" for bound in metric.buckets)
    le = (*bounds, *(f"{bound:.1f}" for bound in metric.buckets if bound == int(bound)), "+Inf")
    buckets = Series({**labels, "le": le}, "counter", optional, polled, metric=metric)
    return {f"{name}_bucket": buckets, f"{name}_sum": plain, f"{name}_count": plain}


def _foreign(kind: Kind, why: str, *labels: str) -> Series:
    return Series(dict.fromkeys((*TARGET, *labels)), kind, why=why)


def _alerts(*sure: str) -> Series:
    labels = dict.fromkeys((*_OF_SOME_ALERTS, *sure))
    return Series(labels, "gauge", frozenset(_OF_SOME_ALERTS), why="Prometheus tells it of alerts")


_SCRAPE = "Prometheus tells it of every target"
_PROCESS = "the client library tells it of every process"
_VLLM = "vLLM's own, for the row that is there when vLLM is scraped"
_OF_SOME_ALERTS = (*TARGET, "model", "group", "short", "long", "error_type", "reason", "attribute", "signal")

FOREIGN: Mapping[str, Series] = {
    "up": _foreign("gauge", _SCRAPE),
    "scrape_duration_seconds": _foreign("gauge", _SCRAPE),
    "scrape_samples_scraped": _foreign("gauge", _SCRAPE),
    "scrape_series_added": _foreign("gauge", _SCRAPE),
    "process_start_time_seconds": _foreign("gauge", _PROCESS),
    "process_cpu_seconds_total": _foreign("counter", _PROCESS),
    "process_resident_memory_bytes": _foreign("gauge", _PROCESS),
    "process_open_fds": _foreign("gauge", _PROCESS),
    "process_max_fds": _foreign("gauge", _PROCESS),
    "python_gc_collections_total": _foreign("counter", _PROCESS, "generation"),
    "ALERTS": _alerts("alertname", "severity", "alertstate"),
    "ALERTS_FOR_STATE": _alerts("alertname", "severity"),
    **{
        f"vllm:{name}{part}": _foreign("counter", _VLLM, "model_name", "engine", *labels)
        for name in ("time_to_first_token_seconds", "inter_token_latency_seconds", "time_per_output_token_seconds")
        for part, labels in (("_bucket", ("le",)), ("_sum", ()), ("_count", ()))
    },
    "vllm:num_requests_running": _foreign("gauge", _VLLM, "model_name", "engine"),
    "vllm:num_requests_waiting": _foreign("gauge", _VLLM, "model_name", "engine"),
    "vllm:generation_tokens_total": _foreign("counter", _VLLM, "model_name", "engine"),
}
"""What is not in the catalogue and may be asked for all the same."""

OURS: Mapping[str, Series] = {
    name: series for metric in CATALOGUE.values() for name, series in _of_catalogue(metric).items()
}


@dataclass(frozen=True)
class Vocabulary:
    """Every name, with the recorded ones of these rules."""

    recorded: Mapping[str, Series] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Series:
        """What it stands for.

        Raises:
            LookupError: nothing.
        """
        for known in (OURS, FOREIGN, self.recorded):
            if name in known:
                return known[name]
        raise LookupError(name)


def recorded_names(rules: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rules that record something."""
    return [rule for rule in rules if "record" in rule]
