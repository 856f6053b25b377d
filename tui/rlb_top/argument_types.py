"""Numbers on the command line. Each error says what was expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number between these."""

    def check(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {least} to {most}")
        return int(text)

    return check


def seconds(text: str) -> float:
    """An interval."""
    return _number(text, 0.2, 3600, "0.2 to 3600 seconds")


def time_s(text: str) -> float:
    """A time in a recording."""
    return _number(text, 0, 1e12, "seconds from the beginning")


def speed(text: str) -> float:
    """How fast a recording is played."""
    return _number(text, 1 / 16, 64, "a factor from 0.0625 to 64")


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {what}")
    return value
