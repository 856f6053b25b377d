"""Charts as rows of characters. Pure. What is not known is a blank, so that a gap is a gap and not a 0."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

EIGHTHS = "▁▂▃▄▅▆▇█"
GAP = " "


def bars(series: Sequence[float | None], height: int, top: float | None = None) -> list[str]:
    """The rows of a bar chart from 0 to `top`, by default the greatest number; the highest row first.

    What is known stands out by an eighth at least, so that a 0 is told from a gap.
    """
    greatest = top if top is not None else max((number for number in series if number is not None), default=0.0)
    eighths = [None if number is None else _eighths(number, greatest, height) for number in series]
    return ["".join(_cell(filled, level) for filled in eighths) for level in range(height - 1, -1, -1)]


def _eighths(number: float, greatest: float, height: int) -> int:
    if greatest <= 0 or number <= 0:
        return 1
    return max(1, min(8 * height, round(8 * height * number / greatest)))


def _cell(filled: int | None, level: int) -> str:
    here = 0 if filled is None else filled - 8 * level
    return GAP if here <= 0 else EIGHTHS[min(here, 8) - 1]


def nice_top(greatest: float) -> float:
    """The end of a scale: the least of 1, 2 or 5 times a power of ten that is not below the greatest number."""
    if greatest <= 0:
        return 1.0
    power = 10.0 ** floor(log10(greatest))
    # The number itself where the power is not exact.
    return next((step * power for step in (1, 2, 5, 10) if step * power >= greatest), greatest)


_TIMES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400)


def nice_time(greatest_s: float) -> float:
    """The same for seconds, in steps that are round in minutes and hours."""
    return next((step for step in _TIMES_S if step >= greatest_s), None) or nice_top(greatest_s / 86_400) * 86_400
