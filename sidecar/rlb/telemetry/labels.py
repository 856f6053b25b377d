"""Caps on label values: who comes first has series of its own, the rest is `other`, and that is counted."""

from __future__ import annotations

from rlb.domain.census import OTHER
from rlb.telemetry.registry import Registry

MAX_REFUSED = 10_000
"""Refused values that are remembered, so that each counts once; beyond, one may count again."""


class LabelCap:
    """Lets `limit` values of an attribute through, for as long as the process runs.

    A value keeps what it got: a series that went over into `other` and came back would break its rates.
    """

    def __init__(self, attribute: str, limit: int, registry: Registry) -> None:
        self._limit = limit
        self._known: set[str] = {OTHER}
        self._refused: set[str] = set()
        self._overflow = registry.counter("rlb.cardinality.overflow", attribute=attribute)

    def fold(self, value: str) -> str:
        """The value, or `other`."""
        if value in self._known:
            return value
        # OTHER is among the known ones, and is not counted.
        if len(self._known) <= self._limit:
            self._known.add(value)
            return value
        if value not in self._refused:
            if len(self._refused) >= MAX_REFUSED:
                self._refused.clear()
            self._refused.add(value)
            self._overflow.value += 1
        return OTHER


class PairCap:
    """The same for pairs of model and group, which multiply: `limit` pairs, the rest is (`other`, `other`).

    Both are capped on their own before: `models` and `groups` may be shared with other metrics.
    """

    def __init__(self, models: LabelCap, groups: LabelCap, limit: int, registry: Registry) -> None:
        self._models = models
        self._groups = groups
        self._pairs = LabelCap("model and group", limit, registry)

    def fold(self, model: str, group: str) -> tuple[str, str]:
        """The pair, each of it folded if need be, or both as `other`."""
        model, group = self._models.fold(model), self._groups.fold(group)
        if model == group == OTHER:
            return OTHER, OTHER
        # A space is in neither: the pair has one spelling.
        return (model, group) if self._pairs.fold(f"{model} {group}") != OTHER else (OTHER, OTHER)
