"""What a metric is, and the Prometheus name that follows from its OpenTelemetry name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "updowncounter", "gauge", "histogram"]

Multiplier = Literal["model", "model.histogram", "group", "model.group"]
"""What a metric can have series for each value of, as many as come. Models of histograms stand on their own, as each of
them is many series; `model.group` is a pair of both."""

_UNITS = {"s": "seconds", "By": "bytes"}
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a metric.

    `values` are all that it may have; None where they come from outside, and then at most `most` of them appear
    (multipliers: as the limits say). `optional`: it is only there where it applies, as an error's type. `follows`: it
    multiplies nothing, as for each set of the other attributes there is one value of it.
    """

    name: str
    values: tuple[str, ...] | None = None
    most: int = 1
    optional: bool = False
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the catalogue. `name`, `unit` (UCUM) and attributes are OpenTelemetry's."""

    name: str
    unit: str
    kind: Kind
    help: str
    of: tuple[Attribute, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without the infinite one."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of its attributes."""
        return tuple(attribute.name for attribute in self.of)

    @property
    def prometheus_unit(self) -> str:
        """What the unit adds to the name: counts (`{token}`) and plain numbers (`1`) add nothing."""
        return _UNITS.get(self.unit, "")

    @property
    def prometheus_family(self) -> str:
        """The name without the `_total` of counters, as OpenMetrics wants it."""
        name = _NO_NAME.sub("_", self.name)
        unit = self.prometheus_unit
        return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name

    @property
    def prometheus_name(self) -> str:
        """The name in queries; a histogram's series add `_bucket`, `_sum` and `_count`."""
        return f"{self.prometheus_family}_total" if self.kind == "counter" else self.prometheus_family

    @property
    def prometheus_labels(self) -> tuple[str, ...]:
        """The names of its labels."""
        return tuple(prometheus_label(attribute.name) for attribute in self.of)

    @property
    def multiplier(self) -> Multiplier | None:
        """What it has `series` for each value of; None if it has them once."""
        names = {attribute.name for attribute in self.of if not attribute.follows}
        has_model, has_group = names & MODEL_NAMES, names & GROUP_NAMES
        if has_model and has_group:
            return "model.group"
        if has_model:
            return "model.histogram" if self.kind == "histogram" else "model"
        return "group" if has_group else None

    @property
    def series(self) -> int:
        """How many series it can come to for one value of its multiplier, with all values of the other attributes.

        A histogram has one for each bucket, one for what is above all bounds, the sum and the count.
        """
        return (len(self.buckets) + 3 if self.kind == "histogram" else 1) * math.prod(
            (len(attribute.values) if attribute.values is not None else attribute.most) + attribute.optional
            for attribute in self.of
            if attribute.name not in MODEL_NAMES | GROUP_NAMES and not attribute.follows
        )


MODEL_NAMES = frozenset({"model", "gen_ai.request.model"})
GROUP_NAMES = frozenset({"group", "messaging.consumer.group.name"})


def prometheus_label(attribute: str) -> str:
    """The label for an attribute: what a label cannot hold becomes an underscore."""
    return _NO_NAME.sub("_", attribute)


def counter(name: str, unit: str, text: str, *of: Attribute) -> Metric:
    return Metric(name, unit, "counter", text, of)


def gauge(name: str, unit: str, text: str, *of: Attribute) -> Metric:
    return Metric(name, unit, "gauge", text, of)


def updowncounter(name: str, unit: str, text: str, *of: Attribute) -> Metric:
    return Metric(name, unit, "updowncounter", text, of)


def histogram(name: str, unit: str, text: str, buckets: tuple[float, ...], *of: Attribute) -> Metric:
    return Metric(name, unit, "histogram", text, of, buckets)
