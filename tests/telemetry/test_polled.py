"""A census as samples: nothing unknown is said, and folding keeps sums and extremes."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.census import (
    OTHER,
    Census,
    GroupCensus,
    GroupTotals,
    ModelCensus,
    ModelTotals,
    TopConsumer,
    TopStream,
    Totals,
)
from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import ConsumerState, GroupStatus
from rlb.settings import LimitsSettings
from rlb.telemetry.catalogue import CATALOGUE
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.polled import polled
from rlb.telemetry.registry import NumberPoint, Registry

Values = dict[tuple[str, tuple[str, ...]], float]

MODELS = st.sampled_from("abcdef")
COUNT = st.integers(0, 1000)
MAYBE_COUNT = st.none() | COUNT
MAYBE_S = st.none() | st.integers(0, 10**6).map(lambda ms: ms / 1000)


def counts_of(values: Any) -> st.SearchStrategy[dict[Any, int]]:
    return st.dictionaries(st.sampled_from(get_args(values)), COUNT)


MODEL_CENSUS = st.builds(ModelCensus, COUNT, COUNT, COUNT, MAYBE_COUNT, MAYBE_S, MAYBE_COUNT, MAYBE_S)
GROUP_CENSUS = st.builds(
    GroupCensus,
    lag=MAYBE_COUNT,
    lag_max=MAYBE_COUNT,
    lag_age_s=MAYBE_S,
    headroom_s=MAYBE_S,
    pending=COUNT,
    pending_age_s=MAYBE_S,
    longest_idle_s=MAYBE_S,
    poison=COUNT,
    by_quality=counts_of(LagQuality),
    by_status=counts_of(GroupStatus),
    consumers=counts_of(ConsumerState),
)
PAIRS = st.tuples(MODELS, st.sampled_from("uvwxyz"))
CENSUS = st.builds(Census, st.just(1.0), st.dictionaries(MODELS, MODEL_CENSUS), st.dictionaries(PAIRS, GROUP_CENSUS))
TOTALS = st.builds(
    Totals,
    st.dictionaries(MODELS, st.builds(ModelTotals, COUNT, COUNT)),
    st.dictionaries(PAIRS, st.builds(GroupTotals, COUNT, COUNT)),
)

EXTREMES = {
    "rlb.stream.length.max": max,
    "rlb.stream.retention.age": max,
    "rlb.stream.retention.limit": min,
    "rlb.stream.ttl.min": min,
    "rlb.group.lag.max": max,
    "rlb.group.lag.age": max,
    "rlb.group.retention.headroom": min,
    "rlb.group.pending.age": max,
    "rlb.group.pending.idle": max,
}
"""What several models or groups come to where that is not their sum."""


WHOLE = LimitsSettings(models=6, groups=6, series_groups=36, series=10_000)
"""Limits that nothing here reaches."""

USUAL = ("exact", "ok", "active")
"""Values that are told also if nothing has them; the others are absent then."""


def sampled(census: Census, totals: Totals, limits: LimitsSettings) -> Values:
    """The samples by name and label values."""
    found: Values = {}
    for name, labels, value in polled(lambda: census, lambda: totals, LabelCaps(limits, Registry()))():
        assert set(labels) == set(CATALOGUE[name].attributes)
        key = (name, tuple(labels[attribute] for attribute in CATALOGUE[name].attributes))
        assert key not in found, "two samples of one series break a scrape"
        found[key] = value
    return found


def of(values: Values, name: str) -> list[float]:
    return [value for (each, _), value in values.items() if each == name]


@given(CENSUS, TOTALS, st.integers(1, 6), st.integers(1, 6), st.integers(1, 12))
def test_folding_keeps_what_everything_comes_to(
    census: Census, totals: Totals, models: int, groups: int, pairs: int
) -> None:
    """With any caps, a sum over all labels is the sum over all, and an extreme the extreme."""
    whole = sampled(census, totals, WHOLE)
    folded = sampled(census, totals, LimitsSettings(models=models, groups=groups, series_groups=pairs))
    assert {name for name, _ in whole} == {name for name, _ in folded}
    for name in {name for name, _ in whole}:
        come_to = EXTREMES.get(name, sum)
        assert come_to(of(folded, name)) == come_to(of(whole, name)), name
    assert len({labels for name, labels in folded if name == "rlb.group.pending"}) <= pairs + 1


@given(CENSUS, TOTALS)
def test_without_folding_every_value_is_told(census: Census, totals: Totals) -> None:
    """Each known field of the census has one sample, and an unknown one none."""
    found = sampled(census, totals, WHOLE)
    for model, about in census.models.items():
        assert found.get(("rlb.stream.length", (model,))) == about.length
        assert found.get(("rlb.stream.memory", (model,))) == about.memory_bytes
        assert found.get(("rlb.stream.ttl.min", (model,))) == about.ttl_min_s
    for pair, group in census.groups.items():
        assert found.get(("rlb.group.lag", pair)) == group.lag
        assert found.get(("rlb.group.lag.age", pair)) == group.lag_age_s
        assert found.get(("rlb.group.retention.headroom", pair)) == group.headroom_s
        for name, counts, values in (
            ("rlb.group.lag.streams", group.by_quality, get_args(LagQuality)),
            ("rlb.group.streams", group.by_status, get_args(GroupStatus)),
            ("rlb.group.consumers", group.consumers, get_args(ConsumerState)),
        ):
            for value in values:
                count = counts.get(value, 0)
                assert found.get((name, (*pair, value))) == (count if count or value in USUAL else None)
    for pair, read in totals.groups.items():
        assert found[("rlb.group.lost", pair)] == read.lost


def test_what_the_census_drops_is_absent_and_totals_stay() -> None:
    """A stream that expired leaves no gauge behind; what was counted on it remains counted."""
    registry = Registry()
    census = Census(1.0, {"m": ModelCensus(streams=1)}, {("m", "g"): GroupCensus(lag=3)})
    totals = Totals({"m": ModelTotals(10, 2)}, {("m", "g"): GroupTotals(5, 1)})
    registry.observe_with(polled(lambda: census, lambda: totals, LabelCaps(LimitsSettings(), registry)))
    before = {family.metric.name for family in registry.collect()}
    assert {"rlb.stream.count", "rlb.group.lag", "rlb.group.streams", "rlb.group.lost"} <= before
    census = Census(2.0)
    after = {family.metric.name for family in registry.collect()}
    assert before - after >= {"rlb.stream.count", "rlb.group.lag", "rlb.group.streams"}
    assert {"rlb.stream.entries_added", "rlb.stream.trimmed", "rlb.group.entries_read", "rlb.group.lost"} <= after


def test_a_status_that_nothing_has_any_more_goes() -> None:
    """From one poll to the next, its series ends; it does not stay at what it was."""
    census = Census(1.0, groups={("m", "g"): GroupCensus(by_status={"stalled": 1})})
    registry = Registry()
    registry.observe_with(polled(lambda: census, Totals, LabelCaps(LimitsSettings(), registry)))

    def statuses() -> dict[str, float]:
        (family,) = (each for each in registry.collect() if each.metric.name == "rlb.group.streams")
        return {point.labels["status"]: point.value for point in family.points if isinstance(point, NumberPoint)}

    assert statuses() == {"ok": 0, "stalled": 1}
    census.groups["m", "g"].by_status = {"ok": 1, "stalled": 0}
    assert statuses() == {"ok": 1}


def test_nothing_is_said_before_the_first_poll() -> None:
    """No zero stands for a Redis that has not been asked."""
    assert sampled(Census(), Totals(), LimitsSettings()) == {}


def test_unknown_lag_is_absent_beside_its_count_of_streams() -> None:
    """A group of whose lag nothing is known has no lag, and says on how many streams that is so."""
    census = Census(1.0, groups={("m", "g"): GroupCensus(by_quality={"unknown": 4})})
    found = sampled(census, Totals(), LimitsSettings())
    assert ("rlb.group.lag", ("m", "g")) not in found
    assert found["rlb.group.lag.streams", ("m", "g", "unknown")] == 4
    assert found["rlb.group.lag.streams", ("m", "g", "exact")] == 0
    assert ("rlb.group.lag.streams", ("m", "g", "server")) not in found


def test_the_worst_have_series_of_their_own() -> None:
    """Streams and consumers of the list, also where two groups become `other`."""
    census = Census(
        1.0,
        top_streams=[
            TopStream("s1", "a", 9),
            TopStream("s1", "b", 7),
            TopStream("s1", "c", 8),
            TopStream("\udcff", "a", 1),
        ],
        top_consumers=[TopConsumer("a", "x", 5, 1.0), TopConsumer("b", "x", 4, 2.0), TopConsumer("c", "x", 3, 3.0)],
    )
    found = sampled(census, Totals(), LimitsSettings(groups=1))
    assert found == {
        ("rlb.top.stream.lag", ("s1", "a")): 9,
        ("rlb.top.stream.lag", ("s1", OTHER)): 8,
        ("rlb.top.stream.lag", ("�", "a")): 1,
        ("rlb.top.consumer.pending", ("a", "x")): 5,
        ("rlb.top.consumer.idle", ("a", "x")): 1.0,
        ("rlb.top.consumer.pending", (OTHER, "x")): 4,
        ("rlb.top.consumer.idle", (OTHER, "x")): 3.0,
    }
