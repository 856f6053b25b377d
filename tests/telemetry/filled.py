"""A registry with a value for every row of the catalogue, as many label values as are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from rlb.telemetry.catalogue import CATALOGUE, CONSTANTS, Metric
from rlb.telemetry.catalogue.metric import GROUP_NAMES, MODEL_NAMES
from rlb.telemetry.registry import Registry, Sample

OBSERVED_COUNTERS = frozenset(
    {"rlb.stream.entries_added", "rlb.stream.trimmed", "rlb.group.entries_read", "rlb.group.lost"}
)
"""Counters that are polled; all others are counted here."""


def label_sets(metric: Metric, models: int, groups: int) -> Iterator[dict[str, str]]:
    """Every combination of label values of a metric, `models` and `groups` of those and one error."""
    values: list[list[str | None]] = []
    for attribute in metric.of:
        if attribute.name in MODEL_NAMES:
            choices: list[str | None] = [f"maker/model-{number}" for number in range(models)]
        elif attribute.name in GROUP_NAMES:
            choices = [f"group-{number}" for number in range(groups)]
        elif attribute.name in CONSTANTS:
            choices = [CONSTANTS[attribute.name]]
        else:
            choices = list(attribute.values or (f"some {attribute.name}",))
        values.append([*choices, *([None] if attribute.optional else [])])
    for chosen in product(*values):
        yield {name: value for name, value in zip(metric.attributes, chosen, strict=True) if value is not None}


def fill(registry: Registry, models: int = 2, groups: int = 2) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Give every series a value of its own: those values, by metric and labels (for a histogram its sum)."""
    expected: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    observed: list[Sample] = []
    for metric in CATALOGUE.values():
        for labels in label_sets(metric, models, groups):
            value = float(len(expected) + 1)
            expected[metric.name, _sorted(labels)] = value
            if metric.kind == "histogram":
                histogram = registry.histogram(metric.name, **labels)
                histogram.observe_traced(value / 2, f"{len(expected):032x}", f"{len(expected):016x}")
                histogram.observe(value / 2)
            elif metric.kind == "counter" and metric.name not in OBSERVED_COUNTERS:
                registry.counter(metric.name, **labels).value += value
            else:
                observed.append(Sample(metric.name, labels, value))
    registry.observe_with(lambda: observed)
    return expected


def _sorted(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
