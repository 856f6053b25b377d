"""Headroom: the time until a group loses entries that it was not handed yet, should everything go on as it does.

Three things take entries away, and the one that comes first counts:

* A cap on the length (MAXLEN). The lag reaches it in `(cap - lag) / (written - read a second)`. Approximate trimming
  removes whole nodes, so a stream is longer than its cap, and the headroom is the least that there can be.
* A cap on the age (MINID). While a backlog is read more slowly than it was written, its oldest entry grows older.
* The key's expiry, at which everything goes at once. XADD does not put it off, but many writers do, rlb's own among
  them: as long as it was seen to be put off and has not fallen to half since, it does not count.

Of rlb's own streams the caps are known. Those of others are seen in what they do, see `RetentionWatch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from rlb.domain.entry_id import EntryId
from rlb.domain.lag import Lag

HeadroomState = Literal["safe", "ends", "unknown"]
Limit = Literal["length", "age", "expiry"]

STEADY = 1 / 8
"""How much a bound may seem to move between two looks and still be one."""

PUT_OFF_S = 0.5
"""By how much an expiry must move to have been put off: less is rounding."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """`safe`: no end in sight. `ends`: in `seconds`, by the limit `by`. `unknown`: rates or ages are missing."""

    state: HeadroomState
    seconds: float | None = None
    by: Limit | None = None


SAFE = Headroom("safe")
UNKNOWN = Headroom("unknown")


@dataclass(frozen=True, slots=True)
class Retention:
    """What takes entries away from a stream; None where there is nothing of the kind."""

    max_length: int | None = None
    max_age_s: float | None = None
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a group was not handed yet. Rates are entries a second; None is unknown."""

    lag: int | None
    oldest_age_s: float | None
    write_rate: float | None
    read_rate: float | None


def headroom(retention: Retention, backlog: Backlog) -> Headroom:
    """The time until the first loss. With several limits of which some cannot be told, the least of the others."""
    lag = backlog.lag
    if lag == 0 or retention == _ENDLESS:
        return SAFE
    if lag is None:
        return UNKNOWN
    found: list[tuple[float | None, Limit]] = []
    if retention.max_length is not None:
        found.append((_until_too_many(retention.max_length, lag, backlog), "length"))
    if retention.max_age_s is not None:
        found.append((_until_too_old(retention.max_age_s, lag, backlog), "age"))
    if retention.ttl_s is not None:
        found.append((_until_expiry(retention.ttl_s, lag, backlog), "expiry"))
    ends = [(seconds, limit) for seconds, limit in found if seconds is not None and seconds != inf]
    if ends:
        seconds, limit = min(ends)
        return Headroom("ends", seconds, limit)
    return UNKNOWN if any(seconds is None for seconds, _ in found) else SAFE


_ENDLESS = Retention()


def _until_too_many(cap: int, lag: int, backlog: Backlog) -> float | None:
    if backlog.write_rate is None or backlog.read_rate is None:
        return None
    growth = backlog.write_rate - backlog.read_rate
    if growth > 0:
        return max(0, cap - lag) / growth
    return 0.0 if lag >= cap and backlog.write_rate > 0 else inf


def _until_too_old(cap_s: float, lag: int, backlog: Backlog) -> float | None:
    age_s, read_rate = backlog.oldest_age_s, backlog.read_rate
    if age_s is None:
        return None
    left_s = max(0.0, cap_s - age_s)
    if left_s == 0:
        return 0.0
    if read_rate is None:
        return None
    if read_rate == 0:
        return left_s
    write_rate = backlog.write_rate
    if write_rate is not None and write_rate <= read_rate and lag / read_rate <= left_s:
        return inf
    # The backlog was written at lag / age a second on average; read at the same pace, its age would stay as it is.
    ageing = 1 - read_rate * age_s / lag
    return left_s / ageing if ageing > 0 else inf


def _until_expiry(ttl_s: float, lag: int, backlog: Backlog) -> float:
    read_rate = backlog.read_rate
    if not read_rate:
        return ttl_s
    left_in_the_end = lag + max(0.0, (backlog.write_rate or 0.0) - read_rate) * ttl_s
    # A group that is as close behind as that has read, at the end, all but what was written last.
    return inf if left_in_the_end / read_rate <= ttl_s else ttl_s


def estimated_lag(lag: Lag, length: int, oldest_age_s: float | None, first_age_s: float | None) -> int | None:
    """One number for a lag of which only bounds are known: the age of the backlog as a part of the stream's."""
    least, most = lag.entries, lag.upper_bound
    if least is None or most is None or lag.quality != "bounded" or oldest_age_s is None or not first_age_s:
        return least
    return min(most, max(least, round(length * oldest_age_s / first_age_s)))


class RetentionWatch:
    """What is seen of a stream's retention from poll to poll: how long it gets, how old, and whether it is kept alive.

    A bound is what stays while entries go: the first entry has moved on since the look before, half a window ago or
    more, and the length (or the first entry's age) is the same but for an eighth. A stream that is cut behind its
    slowest group shows no such bound, as it grows with the group's lag: there, the cut is no danger. A cap so small
    that a trimmed node is more than an eighth of it is not seen; what is lost to it is told afterwards.
    """

    __slots__ = (
        "_age_s",
        "_at_s",
        "_expires_s",
        "_first",
        "_full_ttl_s",
        "_length",
        "_pause_s",
        "max_age_s",
        "max_length",
    )

    def __init__(self, window_s: float) -> None:
        self.max_length: int | None = None
        """The length at which the stream seems to be kept."""
        self.max_age_s: float | None = None
        """The age at which the stream's first entry seems to be kept."""
        self._pause_s = window_s / 2
        self._at_s = 0.0
        self._first: EntryId | None = None
        self._length = 0
        self._age_s: float | None = None
        self._expires_s: float | None = None
        self._full_ttl_s: float | None = None

    def add(
        self, at_s: float, length: int, first_id: EntryId | None, first_age_s: float | None, ttl_s: float | None
    ) -> None:
        """Take a poll's findings. `first_id` is None of an empty stream, its age also where ids are no times.

        `ttl_s` is None without expiry.
        """
        self._look_at_expiry(at_s, ttl_s)
        if first_id is None:
            self._first = self.max_length = self.max_age_s = None
            return
        before = self._first
        if before is not None and self._at_s <= at_s < self._at_s + self._pause_s:
            return
        self.max_length = self.max_age_s = None
        if before is not None and first_id > before and at_s > self._at_s:
            least, most = sorted((length, self._length))
            if most - least <= most * STEADY:
                self.max_length = least
            if first_age_s is not None and self._age_s is not None:
                youngest_s, oldest_s = sorted((first_age_s, self._age_s))
                if oldest_s - youngest_s <= oldest_s * STEADY:
                    self.max_age_s = youngest_s
        self._at_s, self._first, self._length, self._age_s = at_s, first_id, length, first_age_s

    def _look_at_expiry(self, at_s: float, ttl_s: float | None) -> None:
        if ttl_s is None:
            self._expires_s = self._full_ttl_s = None
            return
        expires_s, before_s = at_s + ttl_s, self._expires_s
        if before_s is None or expires_s < before_s - PUT_OFF_S:
            self._expires_s = expires_s
        elif expires_s > before_s + PUT_OFF_S:
            # Compared with where it was last put off to, so that many small steps count as well.
            self._expires_s, self._full_ttl_s = expires_s, ttl_s

    def retention(
        self, *, max_length: int | None, retention_s: float | None, ttl_s: float | None, is_written: bool
    ) -> Retention:
        """What takes entries away, by the bounds that are known (None or 0: none are) and else by those seen.

        A known age only cuts where something is written: rlb trims in passing.
        """
        is_kept_alive = ttl_s is not None and self._full_ttl_s is not None and ttl_s >= self._full_ttl_s / 2
        known_age_s = retention_s if is_written else None
        return Retention(
            max_length=max_length or self.max_length,
            max_age_s=known_age_s if retention_s else self.max_age_s,
            ttl_s=None if is_kept_alive else ttl_s,
        )
