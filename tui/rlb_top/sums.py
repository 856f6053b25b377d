"""Sums and extremes of numbers that may be unknown: those are left out, and of nothing known nothing is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

NumberT = TypeVar("NumberT", int, float)


def sum_of(values: Iterable[NumberT | None]) -> NumberT | None:
    """The sum of what is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def greatest(values: Iterable[NumberT | None]) -> NumberT | None:
    """The greatest of what is known."""
    return max((value for value in values if value is not None), default=None)


def least(values: Iterable[NumberT | None]) -> NumberT | None:
    """The least of what is known."""
    return min((value for value in values if value is not None), default=None)
