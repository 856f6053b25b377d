"""Cores and sidecars whose instruments a test reads, by metric and labels."""

from __future__ import annotations

from typing import Any, Protocol

from rlb.telemetry.instruments import Instruments
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.registry import HistogramPoint, NumberPoint, Registry
from tests.support.cores import RunningCore, settings_of
from tests.support.parties import Connection


class Counts:
    """Reads a registry. Labels are keywords with `__` for the dots; a point that has more labels counts too."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def _points(self, name: str, labels: dict[str, str | None]) -> list[NumberPoint | HistogramPoint]:
        wanted = {label.replace("__", "."): value for label, value in labels.items()}
        return [
            point
            for family in self.registry.collect()
            if family.metric.name == name
            for point in family.points
            if all(point.labels.get(label) == value for label, value in wanted.items())
        ]

    def value(self, name: str, **labels: str | None) -> float:
        """The sum of a counter's or gauge's points; a label that is None must not be there."""
        points = self._points(name, labels)
        assert all(isinstance(point, NumberPoint) for point in points)
        return sum(point.value for point in points if isinstance(point, NumberPoint))

    def values(self, name: str, by: str) -> dict[str | None, float]:
        """What is not 0, by the values of a label."""
        found: dict[str | None, float] = {}
        for point in self._points(name, {}):
            assert isinstance(point, NumberPoint)
            if point.value:
                label = point.labels.get(by)
                found[label] = found.get(label, 0) + point.value
        return found

    def histogram(self, name: str, **labels: str | None) -> tuple[int, float]:
        """How many observations there were, and their sum."""
        points = [point for point in self._points(name, labels) if isinstance(point, HistogramPoint)]
        return sum(sum(point.counts) for point in points), sum(point.sum for point in points)

    def exemplars(self, name: str) -> set[tuple[str, str]]:
        """Trace and span ids of a histogram's exemplars."""
        points = [point for point in self._points(name, {}) if isinstance(point, HistogramPoint)]
        return {(each.trace_id, each.span_id) for point in points for each in point.exemplars.values()}


class CountedCore(Counts):
    """A core that is counted. What sweeps are for is looked for all the time, as in the sidecar."""

    def __init__(self, url: str, **changes: dict[str, Any]) -> None:
        super().__init__(Registry())
        settings = settings_of(url, **changes)
        caps = LabelCaps(settings.limits, self.registry)
        self.instruments = Instruments(self.registry, caps, settings.generation)
        self.core = RunningCore(settings, self.instruments)
        self.instruments.start()

    async def close(self) -> None:
        await self.core.close()
        await self.instruments.close()


class StartCounted(Protocol):
    async def __call__(self, url: str, **changes: dict[str, float]) -> CountedCore: ...


def leave(core: RunningCore, connection: Connection) -> None:
    """The connection ends, as when its peer has gone."""
    core.core.appender.release(connection.producer)


def completed(counted: CountedCore) -> dict[str | None, float]:
    return counted.values("rlb.generation.completed", "finish_reason")
