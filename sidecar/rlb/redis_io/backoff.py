"""Waits between attempts: growing, jittered, bounded, and forgotten after a success."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Decorrelated jitter: each wait is drawn between `min_s` and three times the one before, at most `max_s`.

    Many sidecars that lose one Redis together come back spread out. Formula: "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.
    """

    min_s: float
    max_s: float
    failures: int = 0
    _last_s: float = field(default=0.0, repr=False)

    def next_s(self) -> float:
        """The wait before the next attempt, in seconds."""
        self.failures += 1
        self._last_s = min(self.max_s, random.uniform(self.min_s, max(self.min_s, self._last_s) * 3))
        return self._last_s

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self._last_s = 0.0
