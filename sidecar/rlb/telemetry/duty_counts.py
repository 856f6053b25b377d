"""What the monitor does besides polling, where it is asked to: consumers removed, round trips made."""

from __future__ import annotations

from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.registry import Registry


class DutyCounts:
    """Counts what the monitor tells. Series are there from the first time that there is something to count."""

    def __init__(self, registry: Registry, caps: LabelCaps) -> None:
        self._registry = registry
        self._caps = caps

    def removed(self, group: str) -> None:
        """A consumer of the group was removed."""
        self._registry.counter("rlb.consumers.removed", group=self._caps.groups.fold(group)).value += 1

    def probed(self, seconds: float | None) -> None:
        """A round trip took so long; None if it failed."""
        duration = self._registry.histogram("rlb.probe.duration")
        if seconds is not None:
            duration.observe(seconds)
        for outcome, is_so in (("ok", seconds is not None), ("failed", seconds is None)):
            self._registry.counter("rlb.probe.attempts", outcome=outcome).value += is_so
