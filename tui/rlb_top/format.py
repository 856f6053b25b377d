"""Numbers, times and foreign text in as few columns of the terminal as they need. Unknown is `?`, never 0."""

from __future__ import annotations

import re

UNKNOWN = "?"
NONE = "-"
"""Where there is nothing to tell: the oldest of no entries."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNITS = ("", "k", "M", "G", "T", "P")


def count(number: int | None) -> str:
    """A count, exact up to a million and with its unit beyond: `12,345`, `1.23M`."""
    if number is None:
        return UNKNOWN
    return f"{number:,}" if abs(number) < 1_000_000 else _scaled(number, 1000)


def rate(per_second: float | None) -> str:
    """Entries a second: `0`, `0.3`, `42`, `1,234`, `12.3k`. What is not 0 is not shown as 0."""
    if per_second is None:
        return UNKNOWN
    if per_second >= 10_000:
        return _scaled(per_second, 1000)
    if per_second >= 9.95 or per_second == 0:
        return f"{per_second:,.0f}"
    return f"{per_second:.1f}" if per_second >= 0.05 else "<0.1"


def duration(seconds: float | None) -> str:
    """A duration with its two largest units: `850ms`, `3.2s`, `4m10s`, `2d03h`; six columns up to 100 days."""
    if seconds is None:
        return UNKNOWN
    if seconds <= 0:
        return "0s"
    if seconds < 0.9995:
        return f"{max(1, round(seconds * 1000))}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    days = whole // 86_400
    return f"{days}d{whole % 86_400 // 3600:02}h" if days < 100 else f"{days:,}d"


def size(number: int | None) -> str:
    """Bytes: `512B`, `1.5k`, `12.3M`, in powers of 1024."""
    if number is None:
        return UNKNOWN
    return f"{number}B" if number < 1024 else _scaled(number, 1024)


def percent(part: float | None) -> str:
    """A part of 1 in hundredths: `42%`."""
    return UNKNOWN if part is None else f"{part:.0%}"


def plural(number: int, noun: str) -> str:
    """The count with its noun; `entry` becomes `entries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def printable(text: str) -> str:
    """The text without what a terminal would obey or be confused by: anybody may have written anything."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def line(text: str) -> str:
    """The text on one line, fit for a cell."""
    return text if text.isprintable() else " ".join(printable(text).split())


def shortened(text: str, width: int) -> str:
    """The text in at most `width` characters; the middle is left out, as names differ at their ends."""
    if len(text) <= width:
        return text
    if width < 2:
        return text[: max(0, width)]
    front = (width - 1) // 2
    return f"{text[:front]}…{text[len(text) - (width - 1 - front) :]}"


def _scaled(number: float, base: int) -> str:
    """Three digits and a unit; beyond the last unit, more digits."""
    value, power = float(number), 0
    while abs(value) >= base * 0.9995 and power < len(_UNITS) - 1:
        value /= base
        power += 1
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{decimals}f}{_UNITS[power]}"
