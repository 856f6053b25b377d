"""What the snapshots were over the last minutes: for charts, sparklines and trends. Gaps stay gaps.

All rows share one ring of points in time, as they come in the same snapshots. Each row has an array of its numbers at
these points, NaN where it was not there or the number is not known.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from math import ceil, nan
from statistics import fmean, median
from typing import Literal

from rlb.domain.snapshot import Snapshot

Field = Literal["lag", "lag_s", "in", "out", "lost"]
Trend = Literal["rising", "falling", "steady"]

FIELDS: tuple[Field, ...] = ("lag", "lag_s", "in", "out", "lost")
_WIDTH = len(FIELDS)

SPAN_S = 600.0
"""How far back the history goes."""

POINTS = 300
"""Points in time that are kept. Snapshots that come faster than fills them in `SPAN_S` share one; the last counts."""

MAX_ROWS = 2000
"""Rows with a history; those that come after them in a snapshot have none. It takes 6 KB a row."""

GONE_S = 60.0
"""A row that was in no snapshot for so long is dropped."""

TREND_S = 30.0
"""What a trend looks back on, or further if snapshots are rare."""

TREND_POINTS = 4
"""Points that a trend needs."""

STEADY_S = 0.1
"""Change of the lag in seconds, per second, below which it is steady."""

STEADY_PART = 0.05
"""Part of the lag in entries below which its change is no trend; used where the lag in seconds is not known."""

GAP = 2.5
"""A pause between two points that is so many times the usual one is a gap."""

ALL = ""
"""The key of all streams together; `lag` is not known of them, and `in` and `out` are tokens a second."""

SEPARATOR = "\x1f"
"""Between stream and group in a key: their names hold no control characters."""

_BLANK = array("f", [nan]) * _WIDTH
_EMPTY = _BLANK * POINTS


def group_key(stream: str, group: str) -> str:
    """The key of a group on a stream."""
    return f"{stream}{SEPARATOR}{group}"


class _Line:
    """The numbers of one row at each point; `seen_at` is when it was in a snapshot last."""

    __slots__ = ("numbers", "seen_at")

    def __init__(self) -> None:
        self.numbers = _EMPTY[:]
        self.seen_at = 0.0


class History:
    """Numbers of the last ten minutes. Time is a snapshot's `at`: one without it leaves no trace."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._times: list[float] = [nan] * POINTS
        self._points = 0
        """Points begun so far; point `n` stands at `n` modulo `POINTS`."""
        self._at: float | None = None
        self._lines: dict[str, _Line] = {}

    @property
    def rows(self) -> int:
        """Rows that have a history."""
        return len(self._lines) - (ALL in self._lines)

    def add(self, snapshot: Snapshot) -> None:
        """Take a snapshot in. One that is older than the last, as after a fail-over, begins a new history."""
        at = snapshot.at
        if at is None or at == self._at:
            return
        if self._at is not None and at < self._at:
            self._begin()
        self._at = at
        if self._points == 0 or at - self._times[(self._points - 1) % POINTS] >= SPAN_S / POINTS:
            self._points += 1
            self._times[(self._points - 1) % POINTS] = at
        start = (self._points - 1) % POINTS * _WIDTH
        for line in self._lines.values():
            line.numbers[start : start + _WIDTH] = _BLANK
        totals = snapshot.totals
        self._note(
            ALL, start, (None, totals.worst_lag_seconds, totals.tokens_in, totals.tokens_out, totals.lost_unread)
        )
        for stream in snapshot.streams:
            for group in stream.groups:
                numbers = (group.lag, group.lag_seconds, stream.write_rate, group.read_rate, group.lost_unread)
                self._note(f"{stream.key}{SEPARATOR}{group.group}", start, numbers)
        for key in [key for key, line in self._lines.items() if at - line.seen_at > GONE_S]:
            del self._lines[key]

    def _note(self, key: str, start: int, numbers: tuple[float | None, ...]) -> None:
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) > MAX_ROWS:
                return
            line = self._lines[key] = _Line()
        assert self._at is not None
        line.seen_at = self._at
        line.numbers[start : start + _WIDTH] = array("f", [nan if number is None else number for number in numbers])

    def series(
        self, key: str, field: Field, buckets: int, *, span_s: float = SPAN_S, now: float | None = None
    ) -> list[float | None]:
        """The last `span_s` seconds in `buckets` equal parts, the latest at the end; None where nothing is known.

        Each part has the greatest number that held in it, so that no peak is lost. `now` is by default the time of
        the last snapshot; later, a gap grows at the end.
        """
        shown: list[float | None] = [None] * buckets
        end = self._at if now is None else now
        if end is None or buckets < 1:
            return shown
        width, begin = span_s / buckets, end - span_s
        for at, until, number in self._stretches(key, field, end):
            if number is None or until <= begin or at > end:
                continue
            first = max(0, int((at - begin) / width))
            first = min(first, buckets - 1)
            last = min(buckets - 1, max(first, ceil((until - begin) / width) - 1))
            for bucket in range(first, last + 1):
                before = shown[bucket]
                shown[bucket] = number if before is None else max(before, number)
        return shown

    def trend(self, key: str) -> Trend | None:
        """Whether the lag grows: that in seconds if it is known, else that in entries. None if it is not known yet."""
        for field in ("lag_s", "lag"):
            points = self._recent(key, field)
            if len(points) < TREND_POINTS:
                continue
            half = len(points) // 2
            (before_s, before), (after_s, after) = (
                map(fmean, zip(*part, strict=True)) for part in (points[:half], points[-half:])
            )
            change = after - before
            limit = STEADY_S * (after_s - before_s) if field == "lag_s" else max(1.0, STEADY_PART * after)
            return "rising" if change > limit else "falling" if change < -limit else "steady"
        return None

    def _recent(self, key: str, field: Field) -> list[tuple[float, float]]:
        """Times and numbers that a trend is taken from: none if the row is not in the last snapshot."""
        line = self._lines.get(key)
        if line is None or line.seen_at != self._at:
            return []
        begin, column = self._at - max(TREND_S, 1.5 * TREND_POINTS * self._usual_s()), FIELDS.index(field)
        found: list[tuple[float, float]] = []
        for point in range(self._points - 1, max(-1, self._points - 1 - POINTS), -1):
            at, number = self._times[point % POINTS], line.numbers[point % POINTS * _WIDTH + column]
            if at < begin or number != number:  # noqa: PLR0124 - NaN is what differs from itself
                break
            found.append((at, number))
        return found[::-1]

    def _stretches(self, key: str, field: Field, end: float) -> Iterator[tuple[float, float, float | None]]:
        """Each point's number with the time that it held from and until: the next point, unless that is a gap away."""
        line = self._lines.get(key)
        if line is None:
            return
        reach = GAP * self._usual_s()
        column = FIELDS.index(field)
        for point in range(max(0, self._points - POINTS), self._points):
            slot = point % POINTS
            at, number = self._times[slot], line.numbers[slot * _WIDTH + column]
            next_at = self._times[(point + 1) % POINTS] if point + 1 < self._points else end
            held_until = next_at if next_at - at <= reach else at
            yield at, held_until, None if number != number else number  # noqa: PLR0124 - see above

    def _usual_s(self) -> float:
        """The usual time between two points, of the last few."""
        times = [self._times[point % POINTS] for point in range(max(0, self._points - 21), self._points)]
        pauses = [after - before for before, after in pairwise(times)]
        return median(pauses) if pauses else SPAN_S / POINTS
