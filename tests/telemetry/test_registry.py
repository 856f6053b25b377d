"""The registry: handles that count, sources that are asked, and what a collection gives."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.telemetry import registry as module
from rlb.telemetry.catalogue import CATALOGUE
from rlb.telemetry.registry import Family, Histogram, HistogramPoint, Registry, Sample

BOUNDS = CATALOGUE["rlb.token.interval"].buckets


def family(registry: Registry, name: str) -> Family | None:
    """The family of a metric, as it is collected now."""
    return next((each for each in registry.collect() if each.metric.name == name), None)


def test_same_labels_are_one_handle() -> None:
    """Whatever order they are named in."""
    registry = Registry()
    one = registry.counter("rlb.sequence.anomalies", model="m", anomaly="gap")
    assert registry.counter("rlb.sequence.anomalies", anomaly="gap", model="m") is one
    assert registry.counter("rlb.sequence.anomalies", anomaly="duplicate", model="m") is not one
    one.value += 2
    found = family(registry, "rlb.sequence.anomalies")
    assert found is not None
    assert [(point.labels, point.value) for point in found.points] == [  # type: ignore[union-attr]
        ({"model": "m", "anomaly": "gap"}, 2),
        ({"model": "m", "anomaly": "duplicate"}, 0),
    ]


def test_what_is_not_in_the_catalogue_is_refused() -> None:
    """A name, a kind or a label that is not there is a mistake of ours, found where it is made."""
    registry = Registry()
    with pytest.raises(KeyError):
        registry.counter("rlb.nothing")
    with pytest.raises(ValueError, match="no counter"):
        registry.counter("rlb.token.interval")
    with pytest.raises(ValueError, match="no histogram"):
        registry.histogram("rlb.ingest.tokens")
    with pytest.raises(ValueError, match="has no session"):
        registry.counter("rlb.ingest.tokens", model="m", session="s")


def test_constants_are_filled_in() -> None:
    """Only where a metric has such an attribute; what is said at the handle goes before."""
    registry = Registry({"gen_ai.provider.name": "vllm"})
    registry.histogram("gen_ai.server.time_to_first_token", **{"gen_ai.request.model": "m"})
    registry.histogram("messaging.client.operation.duration", **{"messaging.operation.name": "XADD"})
    labels = {each.metric.name: each.points[0].labels for each in registry.collect()}
    assert labels == {
        "gen_ai.server.time_to_first_token": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "vllm",
            "gen_ai.request.model": "m",
        },
        "messaging.client.operation.duration": {"messaging.system": "redis", "messaging.operation.name": "XADD"},
    }


@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 10))))
def test_every_value_is_in_its_bucket(values: list[float]) -> None:
    """A bucket holds what is at most its bound and above the one before."""
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    edges = (-math.inf, *BOUNDS, math.inf)
    expected = [sum(low < value <= high for value in values) for low, high in itertools.pairwise(edges)]
    assert histogram.counts == expected
    assert histogram.sum == pytest.approx(sum(values))


def test_the_last_span_of_a_bucket_is_kept() -> None:
    """Exemplars are bounded by the buckets, however many spans there are."""
    histogram = Histogram((1.0, 2.0))
    for number in range(100):
        histogram.observe_traced(number % 4, f"{number:032x}", f"{number:016x}")
    histogram.observe(0.5)
    assert histogram.counts == [51, 25, 25]
    assert {bucket: int(seen.span_id, 16) for bucket, seen in histogram.exemplars.items()} == {0: 97, 1: 98, 2: 99}


def test_what_was_collected_does_not_change() -> None:
    """An exporter may take its time over it in another thread."""
    registry = Registry()
    counter = registry.counter("rlb.ingest.tokens", model="m")
    histogram = registry.histogram("rlb.token.interval", model="m")
    before = list(registry.collect())
    counter.value += 1
    histogram.observe_traced(0.5, "1" * 32, "1" * 16)
    points = {each.metric.name: each.points[0] for each in before}
    assert points["rlb.ingest.tokens"].value == 0  # type: ignore[union-attr]
    interval = points["rlb.token.interval"]
    assert isinstance(interval, HistogramPoint)
    assert (sum(interval.counts), interval.sum, interval.exemplars) == (0, 0, {})


def test_observed_values_come_and_go() -> None:
    """What a source gives no more is absent, not 0 and not what it was."""
    registry = Registry()
    now = [Sample("rlb.group.lag", {"model": "m", "group": "g"}, 7)]
    registry.observe_with(lambda: now)
    found = family(registry, "rlb.group.lag")
    assert found is not None
    assert found.points[0].value == 7  # type: ignore[union-attr]
    now.clear()
    assert list(registry.collect()) == []


def test_handles_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a label should ever escape its cap, one more handle is the last."""
    monkeypatch.setattr(module, "MAX_HANDLES", 3)
    registry = Registry()
    for number in range(50):
        registry.counter("rlb.ingest.tokens", model=f"m-{number}").value += 1
    found = family(registry, "rlb.ingest.tokens")
    assert found is not None
    assert {point.labels["model"]: point.value for point in found.points} == {  # type: ignore[union-attr]
        "m-0": 1,
        "m-1": 1,
        "m-2": 1,
        "other": 47,
    }
    assert registry.counter("rlb.ingest.tokens", model="m-1").value == 1
