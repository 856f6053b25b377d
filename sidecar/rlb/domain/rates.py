"""Rates from counters: entries a second over real elapsed time, whatever the polls' rhythm."""

from __future__ import annotations

STEP = 3
"""A baseline is kept for this part of the window, and the rate is taken over the last two: a third to two thirds."""


class RateWindow:
    """The rate of a counter that is read now and then; one per stream and group, so it keeps three readings only.

    The rate is exact over the readings it spans: from one to two thirds of the window, or the last two readings where
    they are further apart. So it knows of a change at once, of nothing else within a window, and after a pause it is
    the mean of the pause. A counter that goes back, or a clock that does, begins anew: the rate is unknown until there
    are two readings of the new counter.
    """

    __slots__ = ("_baseline", "_baseline_s", "_count", "_latest_s", "_next", "_next_s", "_step_s")

    def __init__(self, window_s: float) -> None:
        self._step_s = window_s / STEP
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next reading is the first."""
        self._baseline = self._next = self._count = 0
        self._baseline_s: float | None = None
        self._next_s = self._latest_s = 0.0

    def add(self, at_s: float, count: int) -> None:
        """Take a reading. Of several at one time the last one counts."""
        if self._baseline_s is None or count < self._count or at_s < self._latest_s:
            self._baseline = self._next = self._count = count
            self._baseline_s = self._next_s = self._latest_s = at_s
            return
        if count != self._count:  # Of equal numbers one object is kept, not three.
            self._count = count
        self._latest_s = at_s
        if at_s - self._next_s >= self._step_s:
            self._baseline, self._baseline_s = self._next, self._next_s
            self._next, self._next_s = self._count, at_s

    def per_second(self) -> float | None:
        """Counts a second up to the latest reading, never negative; None before there are two."""
        if self._baseline_s is None or self._latest_s <= self._baseline_s:
            return None
        return (self._count - self._baseline) / (self._latest_s - self._baseline_s)
