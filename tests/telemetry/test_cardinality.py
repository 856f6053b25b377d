"""How many series there can be: whatever apps do, no more than the limits allow."""

from __future__ import annotations

from rlb.domain.census import Census, GroupCensus, GroupTotals, ModelCensus, ModelTotals, Totals
from rlb.settings import LimitsSettings
from rlb.telemetry.catalogue import CATALOGUE, Caps
from rlb.telemetry.catalogue.metric import GROUP_NAMES, MODEL_NAMES, Metric
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.polled import polled
from rlb.telemetry.registry import Registry
from tests.telemetry.filled import OBSERVED_COUNTERS, label_sets

TYPICAL = LimitsSettings(models=3, models_histograms=3, groups=2, series_groups=6)
"""What three models and two groups come to, all of which write, read and fail in every way there is."""

TYPICAL_SERIES = 1500
"""The budget of a sidecar; a scrape of so many takes 16 ms (tests/bench/exposition.py)."""

POLLED = {name for name in CATALOGUE if name.startswith(("rlb.stream.", "rlb.group."))}


def series_of(registry: Registry) -> dict[str, int]:
    """Series by metric, those of a histogram's buckets, sum and count included."""
    return {
        family.metric.name: len(family.points) * (len(family.metric.buckets) + 3 if family.metric.buckets else 1)
        for family in registry.collect()
    }


def fill_beyond(limits: Caps, models: int, groups: int) -> dict[str, int]:
    """Series by metric when so many models and groups are counted and polled under the limits."""
    registry = Registry()
    caps = LabelCaps(limits, registry)
    for metric in CATALOGUE.values():
        if metric.name in POLLED:
            continue
        for labels in label_sets(metric, models, groups):
            folded = folded_as_instruments_do(metric, labels, caps)
            if metric.kind == "histogram":
                registry.histogram(metric.name, **folded)
            elif metric.kind == "counter" and metric.name not in OBSERVED_COUNTERS:
                registry.counter(metric.name, **folded)
    names = [f"maker/model-{number}" for number in range(models)]
    pairs = [(model, f"group-{number}") for number in range(groups) for model in names]
    census = Census(
        1.0,
        {name: ModelCensus(1, 1, 1, 1, 1.0, 1, 1.0) for name in names},
        {pair: GroupCensus(1, 1, 1.0, 1.0, 1, 1.0, 1.0, 1) for pair in pairs},
    )
    totals = Totals({name: ModelTotals(1, 1) for name in names}, {pair: GroupTotals(1, 1) for pair in pairs})
    registry.observe_with(polled(lambda: census, lambda: totals, caps))
    return series_of(registry)


def folded_as_instruments_do(metric: Metric, labels: dict[str, str], caps: LabelCaps) -> dict[str, str]:
    """The labels as whoever counts has to fold them."""
    model = next((name for name in labels if name in MODEL_NAMES), None)
    group = next((name for name in labels if name in GROUP_NAMES), None)
    folded = dict(labels)
    if model is not None and group is not None:
        folded[model], folded[group] = caps.fold_pair(labels[model], labels[group])
    elif model is not None:
        fold = caps.fold_histogram_model if metric.kind == "histogram" else caps.models.fold
        folded[model] = fold(labels[model])
    elif group is not None:
        folded[group] = caps.groups.fold(labels[group])
    return folded


def test_a_typical_sidecar_is_within_the_budget() -> None:
    """Every row with all its label values for three models and two groups; the process's own on top."""
    assert sum(metric.bound(TYPICAL) for metric in CATALOGUE.values()) < 2 * TYPICAL_SERIES
    assert sum(fill_beyond(TYPICAL, 3, 2).values()) <= TYPICAL_SERIES


def test_no_metric_goes_beyond_its_bound() -> None:
    """Ten times as many models and groups as the limits allow make no more series than the catalogue says."""
    limits = LimitsSettings(models=6, models_histograms=3, groups=4, series_groups=8)
    for name, series in fill_beyond(limits, 60, 40).items():
        assert series <= CATALOGUE[name].bound(limits), name


def test_the_worst_that_the_defaults_allow() -> None:
    """Fifty models, twenty groups, a hundred pairs, every error: some thousand series, and never more."""
    assert 5000 < sum(metric.bound(LimitsSettings()) for metric in CATALOGUE.values()) < 10_000
