"""The numbers by which readings are judged."""

from __future__ import annotations

from dataclasses import dataclass

from rlb.domain.status import StatusRules
from rlb.settings import Settings


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds; each is a setting, which says what it means."""

    status: StatusRules
    dead_s: float
    max_deliveries: int

    @property
    def window_s(self) -> float:
        """Over how long rates and statuses are judged."""
        return self.status.window_s


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings give."""
    monitor = settings.monitor
    return Rules(
        status=StatusRules(
            lag_floor=monitor.lag_floor,
            stalled_s=monitor.stalled_seconds,
            window_s=monitor.window_seconds,
            losing_s=monitor.losing_seconds,
        ),
        dead_s=monitor.dead_consumer_seconds,
        max_deliveries=settings.groups.max_deliveries,
    )
