"""The purse: never overdrawn, and each multiplier has what was set aside for it."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from rlb.settings import LimitsSettings, MonitorSettings
from rlb.telemetry.catalogue import CATALOGUE, Multiplier
from rlb.telemetry.purse import Purse, base, possible_metrics, prices, set_aside

ALL = tuple(CATALOGUE.values())
MULTIPLIERS: tuple[Multiplier, ...] = get_args(Multiplier)
OBSERVER = possible_metrics(MonitorSettings(), serves_apps=False)


@given(st.integers(0, 5000), st.sampled_from([ALL, OBSERVER]), st.lists(st.sampled_from(MULTIPLIERS), max_size=300))
def test_a_purse_is_never_overdrawn(series: int, metrics: tuple[object, ...], values: list[Multiplier]) -> None:
    """Whatever comes, base and prices stay within the series; who is refused once stays refused."""
    known = tuple(metric for metric in ALL if metric in metrics)
    purse, price_of = Purse(series, known), prices(known)
    paid, refused = 0, set[Multiplier]()
    for multiplier in values:
        if purse.pay(multiplier):
            assert multiplier not in refused
            paid += price_of[multiplier]
        else:
            refused.add(multiplier)
    assert not paid or base(known) + paid <= series


@given(st.permutations(MULTIPLIERS), st.integers(800, 5000))
def test_what_is_set_aside_is_there_for_whoever_comes_last(order: list[Multiplier], series: int) -> None:
    """Each multiplier in its turn takes all it gets, and still the last one gets its own."""
    aside = set_aside((series - base(ALL)) // 2, prices(ALL))
    purse = Purse(series, ALL)
    for multiplier in order:
        got = 0
        while purse.pay(multiplier):
            got += 1
        assert got >= aside[multiplier]


@given(st.integers(-100, 5000), st.tuples(*[st.integers(0, 200)] * 4))
def test_rounds_spend_what_there_is(series: int, price_list: tuple[int, ...]) -> None:
    """No more than there is, and not so little that one more value had found room."""
    price_of = dict(zip(MULTIPLIERS, price_list, strict=True))
    aside = set_aside(series, price_of)
    left = series - sum(price_of[multiplier] * count for multiplier, count in aside.items())
    assert left >= min(series, 0)
    assert all(price > left for price in price_list if price)


def test_the_least_that_can_be_set_is_enough_for_everything_as_other() -> None:
    """Every metric with all of its closed labels fits below the least value of the setting."""
    assert base(ALL) <= min(
        bound.ge for bound in LimitsSettings.model_fields["series"].metadata if getattr(bound, "ge", None) is not None
    )


def test_what_is_not_switched_on_costs_nothing() -> None:
    """The worst streams and the probe are asked for; what apps do is not an observer's to count."""
    usual = {metric.name for metric in possible_metrics(MonitorSettings(), serves_apps=True)}
    switched_on = MonitorSettings(top_streams=1, probe_seconds=1)
    assert possible_metrics(switched_on, serves_apps=True) == ALL
    assert {metric.name for metric in ALL} - usual == {
        *("rlb.top.stream.lag", "rlb.top.consumer.pending", "rlb.top.consumer.idle"),
        *("rlb.probe.duration", "rlb.probe.attempts"),
    }
    observed = {metric.name for metric in OBSERVER}
    assert observed < usual
    assert {"rlb.group.lag", "rlb.stream.length", "rlb.monitor.leader", "rlb.redis.up"} <= observed
    assert not {name for name in observed if name.startswith(("messaging.", "gen_ai.", "rlb.ingest."))}
