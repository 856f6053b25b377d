"""How many series there can be: whatever apps do, no more than the limits allow, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rlb.domain.census import OTHER
from rlb.settings import LimitsSettings, MonitorSettings
from rlb.telemetry.catalogue import CATALOGUE
from rlb.telemetry.catalogue.shared import MAX_ERROR_TYPES, MAX_OPERATION_ERROR_TYPES
from rlb.telemetry.exposition import Exposition
from rlb.telemetry.otlp_data import Converter
from rlb.telemetry.purse import base, prices
from rlb.telemetry.registry import Registry
from tests.telemetry.counted import Counts
from tests.telemetry.crowded import EVERYTHING, Crowd

DEFAULTS = LimitsSettings()
OURS = ("rlb_", "messaging_", "gen_ai_", "db_")
MODELS, GROUPS, ERRORS = 200, 50, 30

ORDERS = pytest.mark.parametrize(
    "order", [(Crowd.count, Crowd.poll, Crowd.look), (Crowd.look, Crowd.poll, Crowd.count)], ids=["apps", "polls"]
)
"""Who comes first gets the series, so it must not matter who does."""

Order = tuple[Callable[[Crowd], None], ...]


def crowded(order: Order, limits: LimitsSettings = DEFAULTS, monitor: MonitorSettings = EVERYTHING) -> Crowd:
    """A sidecar beyond all limits."""
    crowd = Crowd(limits, models=MODELS, groups=GROUPS, errors=ERRORS, monitor=monitor)
    for fill in order:
        fill(crowd)
    return crowd


async def scraped(registry: Registry) -> int:
    """Lines of /metrics with a sample of the catalogue; the process's own come on top."""
    body = (await Exposition(registry, {}).render("", "")).body.decode()
    return sum(1 for line in body.splitlines() if line.startswith(OURS))


def exported(registry: Registry) -> int:
    """The series that Prometheus would make of an OTLP export."""
    (resource,) = Converter({}, 1.0).convert(registry.collect(), 2.0).resource_metrics
    (scope,) = resource.scope_metrics
    buckets = {name: len(metric.buckets) + 3 if metric.buckets else 1 for name, metric in CATALOGUE.items()}
    return sum(len(metric.data.data_points) * buckets[metric.name] for metric in scope.metrics)


@ORDERS
@pytest.mark.parametrize("series", [800, 3000, 5000])
async def test_there_are_never_more_than_the_limit(order: Order, series: int) -> None:
    """Hundreds of models, groups, pairs and errors, in whatever order: at most so many on each of both ways."""
    crowd = crowded(order, LimitsSettings(series=series))
    assert {family.metric.name for family in crowd.registry.collect()} == set(CATALOGUE)
    assert await scraped(crowd.registry) == exported(crowd.registry) <= series


@ORDERS
def test_each_value_takes_what_it_has_paid_for(order: Order) -> None:
    """The arithmetic of the purse is exact: where everything has come that can, there is as much as was paid."""
    crowd = crowded(order)
    metrics = tuple(CATALOGUE.values())
    let_through = crowd.let_through()
    assert min(let_through.values()) > 0
    price_of = prices(metrics)
    paid = sum(price_of[multiplier] * count for multiplier, count in let_through.items())
    assert exported(crowd.registry) == base(metrics) + paid


@ORDERS
def test_what_is_folded_is_not_lost(order: Order) -> None:
    """A sum over all labels is the sum over everything that came, and what was folded was counted as folded."""
    crowd = crowded(order)
    counts = Counts(crowd.registry)
    pairs = MODELS * GROUPS
    sums = {
        "rlb.ingest.tokens": MODELS,
        "messaging.client.consumed.messages": pairs,
        "rlb.write.retries": ERRORS,
        "rlb.poll.errors": ERRORS,
        "rlb.consumers.removed": GROUPS,
        "rlb.generation.active": MODELS,
        "rlb.stream.count": MODELS,
        "rlb.stream.trimmed": MODELS,
        "rlb.group.lag": pairs,
        "rlb.group.pending": pairs,
        "rlb.group.lost": pairs,
    }
    assert {name: counts.value(name) for name in sums} == sums
    histograms = {
        "rlb.token.interval": MODELS,
        "gen_ai.server.request.duration": 3 * MODELS,
        "rlb.message.age": GROUPS,
        "messaging.client.operation.duration": 4 * ERRORS,
    }
    assert {name: counts.histogram(name)[0] for name in histograms} == histograms
    assert set(counts.values("rlb.group.streams", "status").values()) == {pairs}
    let_through = crowd.let_through()
    own_lags = sum(
        value
        for family in crowd.registry.collect()
        if family.metric.name == "rlb.group.lag"
        for labels, value, *_ in family.points
        if OTHER not in labels.values()
    )
    assert counts.value("rlb.ingest.tokens", model=OTHER) == MODELS - let_through["model"]
    assert 0 < own_lags <= let_through["model.group"]
    folded = counts.values("rlb.cardinality.overflow", "attribute")
    assert folded["model"] == MODELS - let_through["model"]
    assert folded["group"] == GROUPS - let_through["group"]
    assert folded["error.type"] == ERRORS - MAX_ERROR_TYPES
    assert folded["error.type.duration"] == ERRORS - MAX_OPERATION_ERROR_TYPES


@ORDERS
def test_no_kind_of_label_leaves_nothing_to_the_others(order: Order) -> None:
    """Whoever comes first, some models have histograms, and some groups series of their own on some models."""
    let_through = crowded(order, monitor=MonitorSettings()).let_through()
    assert let_through["model"] >= 3
    assert let_through["model.histogram"] >= 1
    assert let_through["group"] >= 2
    assert let_through["model.group"] >= 4


@ORDERS
def test_typical_use_has_everything(order: Order) -> None:
    """Four models, five groups on each, and errors: nothing of it is folded under the default limits."""
    crowd = Crowd(DEFAULTS, models=4, groups=5, errors=1, monitor=MonitorSettings())
    for fill in order:
        fill(crowd)
    assert Counts(crowd.registry).values("rlb.cardinality.overflow", "attribute") == {}
    assert crowd.let_through() == {"model": 4, "model.histogram": 4, "group": 5, "model.group": 20}


def test_models_are_not_crowded_out_by_histograms() -> None:
    """Where no group reads, more models than have histograms have counters of their own."""
    crowd = Crowd(DEFAULTS, models=MODELS, groups=0, errors=1, monitor=MonitorSettings())
    crowd.count()
    let_through = crowd.let_through()
    assert let_through["model"] > let_through["model.histogram"] >= 6


async def test_an_observer_spends_nothing_on_apps() -> None:
    """It has no histograms to pay, so more models and groups have series of their own; the limit is the same."""
    crowd = Crowd(DEFAULTS, models=MODELS, groups=GROUPS, errors=ERRORS, serves_apps=False)
    crowd.poll()
    crowd.look()
    names = {family.metric.name for family in crowd.registry.collect()}
    assert names == {metric.name for metric in crowd.possible}
    assert await scraped(crowd.registry) <= DEFAULTS.series
    let_through = crowd.let_through()
    assert let_through["model"] >= 50
    assert let_through["group"] == DEFAULTS.groups
    assert let_through["model.group"] >= 30
