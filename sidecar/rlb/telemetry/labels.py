"""Caps on label values: who comes first has series of its own, the rest is `other`, and that is counted."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from rlb.domain.census import OTHER
from rlb.telemetry.catalogue import Caps
from rlb.telemetry.catalogue.shared import MAX_ERROR_TYPES, MAX_OPERATION_ERROR_TYPES
from rlb.telemetry.registry import Registry

MAX_REFUSED = 10_000
"""Refused values that are remembered, so that each counts once; beyond, one may count again."""

MAX_LABEL = 256
"""Characters of a label value that are shown."""

Value = TypeVar("Value", bound=Hashable)


class Cap(Generic[Value]):
    """Lets `limit` values of an attribute through, for as long as the process runs.

    A value keeps what it got: a series that went over into `other` and came back would break its rates.
    """

    def __init__(self, attribute: str, limit: int, registry: Registry, other: Value) -> None:
        self._room = limit
        self._other = other
        self._shown: dict[Value, Value] = {other: other}
        self._refused: set[Value] = set()
        self._overflow = registry.counter("rlb.cardinality.overflow", attribute=attribute)

    def fold(self, value: Value) -> Value:
        """The value, or what stands for the rest."""
        shown = self._shown.get(value)
        if shown is not None:
            return shown
        if self._room > 0:
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

    def __init__(self, attribute: str, limit: int, registry: Registry) -> None:
        super().__init__(attribute, limit, registry, OTHER)

    def _clean(self, value: str) -> str:
        return clean_label(value)


def clean_label(value: str) -> str:
    """A label value of bounded length, in which bytes that were no text have become replacement characters."""
    text = value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}…"


class LabelCaps:
    """The caps of a process. All metrics share them, so that a model is `other` in all of them or in none."""

    def __init__(self, limits: Caps, registry: Registry) -> None:
        self.models = LabelCap("model", limits.models, registry)
        self.histogram_models = LabelCap("model.histogram", limits.models_histograms, registry)
        self.groups = LabelCap("group", limits.groups, registry)
        self.error_types = LabelCap("error.type", MAX_ERROR_TYPES, registry)
        self.operation_error_types = LabelCap("error.type.duration", MAX_OPERATION_ERROR_TYPES, registry)
        self._pairs = Cap("model.group", limits.series_groups, registry, (OTHER, OTHER))

    def fold_histogram_model(self, model: str) -> str:
        """The model as the label of a histogram: at the most as fine as that of a counter."""
        return self.histogram_models.fold(self.models.fold(model))

    def fold_pair(self, model: str, group: str) -> tuple[str, str]:
        """A model with a group: each folded on its own, then both into (`other`, `other`) if there are too many."""
        return self._pairs.fold((self.models.fold(model), self.groups.fold(group)))
