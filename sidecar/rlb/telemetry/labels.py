"""Caps on label values: who comes first has series of its own, the rest is `other`, and that is counted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Generic, TypeVar

from rlb.domain.census import OTHER
from rlb.settings import LimitsSettings
from rlb.telemetry.catalogue import CATALOGUE, Metric, Multiplier
from rlb.telemetry.catalogue.shared import MAX_ERROR_TYPES, MAX_OPERATION_ERROR_TYPES
from rlb.telemetry.purse import Purse
from rlb.telemetry.registry import Registry

MAX_REFUSED = 10_000
"""Refused values that are remembered, so that each counts once; beyond, one may count again."""

MAX_LABEL = 256
"""Characters of a label value that are shown."""

Value = TypeVar("Value", bound=Hashable)


class Cap(Generic[Value]):
    """Lets at most `limit` values of an attribute through, each if it can `pay`, for as long as the process runs.

    A value keeps what it got: a series that went over into `other` and came back would break its rates.
    """

    def __init__(
        self, attribute: str, limit: int, registry: Registry, other: Value, pay: Callable[[], bool] = lambda: True
    ) -> None:
        self._room = limit
        self._other = other
        self._pay = pay
        self._shown: dict[Value, Value] = {other: other}
        self._refused: set[Value] = set()
        self._overflow = registry.counter("rlb.cardinality.overflow", attribute=attribute)

    def fold(self, value: Value) -> Value:
        """The value, or what stands for the rest."""
        shown = self._shown.get(value)
        if shown is not None:
            return shown
        if self._room > 0 and self._pay():
            self._room -= 1
            return self._shown.setdefault(value, self._clean(value))
        if value not in self._refused:
            if len(self._refused) >= MAX_REFUSED:
                self._refused.clear()
            self._refused.add(value)
            self._overflow.value += 1
        return self._other

    def _clean(self, value: Value) -> Value:
        return value


class LabelCap(Cap[str]):
    """The cap of one label; the rest is `other`. What it lets through, every exporter can write."""

    def __init__(self, attribute: str, limit: int, registry: Registry, pay: Callable[[], bool] = lambda: True) -> None:
        super().__init__(attribute, limit, registry, OTHER, pay)

    def _clean(self, value: str) -> str:
        return clean_label(value)


def clean_label(value: str) -> str:
    """A label value of bounded length, in which bytes that were no text have become replacement characters."""
    text = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}…"


class LabelCaps:
    """The caps of a process, and one purse for all of them. `metrics` are those that it can have.

    All metrics share the caps, so that a model is `other` in all of them or in none.
    """

    def __init__(
        self, limits: LimitsSettings, registry: Registry, metrics: Iterable[Metric] = tuple(CATALOGUE.values())
    ) -> None:
        purse = Purse(limits.series, metrics)

        def cap(multiplier: Multiplier, limit: int) -> LabelCap:
            return LabelCap(multiplier, limit, registry, partial(purse.pay, multiplier))

        self.models = cap("model", limits.models)
        self.histogram_models = cap("model.histogram", limits.models_histograms)
        self.groups = cap("group", limits.groups)
        self.error_types = LabelCap("error.type", MAX_ERROR_TYPES, registry)
        self.operation_error_types = LabelCap("error.type.duration", MAX_OPERATION_ERROR_TYPES, registry)
        self._pairs = Cap(
            "model.group", limits.series_groups, registry, (OTHER, OTHER), partial(purse.pay, "model.group")
        )

    def fold_histogram_model(self, model: str) -> str:
        """The model as the label of a histogram: at the most as fine as that of a counter."""
        return self.histogram_models.fold(self.models.fold(model))

    def fold_pair(self, model: str, group: str) -> tuple[str, str]:
        """A model with a group: each folded on its own, then both into (`other`, `other`) if there are too many."""
        return self._pairs.fold((self.models.fold(model), self.groups.fold(group)))
