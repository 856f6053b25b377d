"""Numbers, durations and foreign text for people's eyes; what is unknown is shown as `?`, never as 0."""

from __future__ import annotations

import re

UNKNOWN = "?"

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def count(number: int | None) -> str:
    """A count with separators for thousands."""
    return UNKNOWN if number is None else f"{number:,}"


def duration(seconds: float | None) -> str:
    """A duration with its two largest units, such as `3.2 s`, `4 m 10 s` and `2 d 3 h`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} m"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rate(per_second: float | None) -> str:
    """Entries a second, with one decimal where they are few."""
    if per_second is None:
        return UNKNOWN
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.1f}"


def clock(seconds: float) -> str:
    """Time since a start, as `m:ss` or `h:mm:ss`."""
    whole = max(0, int(seconds))
    minutes = f"{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.removeprefix("0")


def plural(number: int, noun: str) -> str:
    """The count with its noun; `entry` becomes `entries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def parse_duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `500ms`, `90s`, `10m`, `1.5h` or `7d`.

    Raises:
        ValueError: it is none; the text completes "expected ...".
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("a number with its unit ms, s, m, h or d, such as 90s or 1.5h")
    return round(float(match[1]) * _UNITS_S[match[2]] * 1000)


def printable(text: str) -> str:
    """The text without what a terminal would obey or be confused by: a model may have written anything."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def tail_end(text: str, width: int) -> str:
    """The last `width` characters on one line, cut at the front with an ellipsis."""
    line = " ".join(printable(text[-4 * width :] if width > 0 else "").split())
    return line if len(line) <= width else f"…{line[len(line) - width + 1 :]}"
