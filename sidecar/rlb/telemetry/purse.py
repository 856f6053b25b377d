"""The purse: how many series there can be of all metrics together, and what a label value costs.

    base + what the values let through have paid <= `limits.series`

The values of a multiplier (a model, a model of histograms, a group, a pair of model and group) are let through one by
one, and each pays its price once: the series that all metrics together can come to for it, with every value that their
other labels may have. The base is what can be there when none is let through: the metrics without a multiplier, and,
as any value may turn out one too many, the price of `other` for each multiplier. Error types are not paid one by one:
their number is fixed, and base and prices have all of them in it.

What is left of the series beside the base is spent in two halves. The first is set aside in rounds, so that each
multiplier has some values of its own, whoever comes first. The second is for whoever comes first, for no multiplier
more than two thirds of it: the histograms of a few models would leave nothing to the counters of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from rlb.settings import MonitorSettings
from rlb.telemetry.catalogue import Metric, Multiplier
from rlb.telemetry.catalogue.bridge import DATA_PATH, INGEST
from rlb.telemetry.catalogue.generations import GENERATIONS
from rlb.telemetry.catalogue.itself import ITSELF
from rlb.telemetry.catalogue.streams import GROUPS, STREAMS

ROUND: tuple[Multiplier, ...] = ("model", "model.histogram", "group", "model.group", "model.group")
"""Values that are set aside in one round, as far as there is room."""

APPS = (*INGEST, *DATA_PATH, *GENERATIONS)
"""What is counted only where apps are served."""


def possible_metrics(monitor: MonitorSettings, *, serves_apps: bool) -> tuple[Metric, ...]:
    """The metrics that a process can have: an observer has none of apps, and nobody what is not switched on."""
    metrics = (*(APPS if serves_apps else ()), *STREAMS, *GROUPS, *ITSELF)
    switches = {"rlb.top.": monitor.top_streams, "rlb.probe.": monitor.probe_seconds}
    off = tuple(beginning for beginning, is_on in switches.items() if not is_on)
    return tuple(metric for metric in metrics if not metric.name.startswith(off))


def prices(metrics: Iterable[Metric]) -> dict[Multiplier, int]:
    """The series that one value of each multiplier comes to."""
    found: dict[Multiplier, int] = dict.fromkeys(get_args(Multiplier), 0)
    for metric in metrics:
        if metric.multiplier is not None:
            found[metric.multiplier] += metric.series
    return found


def base(metrics: Iterable[Metric]) -> int:
    """The series that there can be when no value has been let through."""
    return sum(metric.series for metric in metrics)


def set_aside(series: int, price_of: Mapping[Multiplier, int]) -> dict[Multiplier, int]:
    """Values that so many series pay for, in rounds, until there is room for none."""
    values: dict[Multiplier, int] = dict.fromkeys(price_of, 0)
    turn = [multiplier for multiplier in ROUND if price_of[multiplier]]
    while turn := [multiplier for multiplier in turn if price_of[multiplier] <= series]:
        for multiplier in turn:
            if price_of[multiplier] <= series:
                series -= price_of[multiplier]
                values[multiplier] += 1
    return values


class Purse:
    """Pays for label values. What it has refused to a multiplier once, it refuses from then on."""

    def __init__(self, series: int, metrics: Iterable[Metric]) -> None:
        metrics = tuple(metrics)
        purse = series - base(metrics)
        self._prices = prices(metrics)
        self._aside = set_aside(purse // 2, self._prices)
        self._free = purse - sum(self._prices[multiplier] * count for multiplier, count in self._aside.items())
        self._allowed = dict.fromkeys(self._prices, self._free * 2 // 3)

    def pay(self, multiplier: Multiplier) -> bool:
        """Pay for one more value; False if there is too little left."""
        if self._aside[multiplier]:
            self._aside[multiplier] -= 1
            return True
        due = self._prices[multiplier]
        if due > min(self._free, self._allowed[multiplier]):
            return False
        self._free -= due
        self._allowed[multiplier] -= due
        return True
