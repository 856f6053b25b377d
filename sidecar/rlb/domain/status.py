"""Status: how a group does on a stream, judged over a window of polls rather than by one of them.

| status   | when                                                                                                    |
|----------|---------------------------------------------------------------------------------------------------------|
| losing   | entries were lost unread within the window, or will be in less than `losing_s`                          |
| stopped  | entries wait, the cursor has stood still for `stalled_s`, and no consumer calls                          |
| stalled  | the same, with consumers that call                                                                      |
| rewound  | the cursor went back (XGROUP SETID, a fail-over): until it is where it was, and for at least the window |
| lagging  | the lag was above the floor for half a window or longer, and has not fallen                             |
| unknown  | the lag is not known, or the group was not watched for long enough                                      |
| ok       | nothing of this                                                                                         |

One poll cannot tell "broken" from "new data has just come". So a status changes, for the better or the worse, only
when `CONFIRMATIONS` polls in a row, over a quarter of the window or more, agree that it is better, or that it is
worse. Then it becomes the least change that all of them agree on. Only `losing` is said at once. What is left of
flapping is taken by the bounds: `lagging` starts above the floor and ends well below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rlb.domain.entry_id import EntryId
from rlb.domain.lag import Lag
from rlb.domain.retention import Headroom
from rlb.domain.stream_info import GroupStatus

CONFIRMATIONS = 2
"""Polls in a row that have to agree on a change."""

CONFIRM_PART = 1 / 4
"""Part of the window that they have to span, and for which a headroom's rates have to have been watched."""

FLOOR_LEFT = 3 / 4
"""Part of the floor at which a group no longer lags."""

CLEARLY_LESS = 0.9
"""Part of the lag of half a window ago at which a group no longer lags, though it is still above the floor."""

NOT_LONG_ENOUGH = "not watched for long enough"

_SEVERITY: dict[GroupStatus, int] = {
    "ok": 0,
    "unknown": 1,
    "lagging": 2,
    "rewound": 3,
    "stalled": 4,
    "stopped": 5,
    "losing": 6,
}


@dataclass(frozen=True, slots=True)
class StatusRules:
    """The thresholds: one for all groups. Times in seconds."""

    lag_floor: int
    stalled_s: float
    window_s: float
    losing_s: float


class GroupSample(NamedTuple):
    """One poll's findings on one group. `at_s` is of any clock, as long as it is always the same one."""

    at_s: float
    lag: Lag
    lag_s: float | None
    """Age of the oldest undelivered entry."""
    last_delivered_id: EntryId
    calling: int | None
    """Consumers that have called within the window (`consumers.is_calling`); None is unknown."""
    consumers: int
    headroom: Headroom
    lost: int
    """Entries lost unread since the sample before."""
    write_rate: float | None
    read_rate: float | None


class StatusTracker:
    """Judges one group on one stream. There may be 100,000 of these, so it keeps a few numbers and no samples."""

    __slots__ = (
        "_cursor",
        "_half_s",
        "_highest",
        "_lost",
        "_lost_s",
        "_low",
        "_low_before",
        "_reason",
        "_rewound_s",
        "_rules",
        "_seen_s",
        "_since_s",
        "_streak",
        "_streak_reason",
        "_streak_s",
        "_streak_status",
        "_waiting_s",
        "status",
    )

    def __init__(self, rules: StatusRules) -> None:
        self._rules = rules
        self._begin()

    def _begin(self) -> None:
        self.status: GroupStatus = "unknown"
        self._reason: str | None = None
        self._since_s: float | None = None
        """When the first sample came."""
        self._seen_s = 0.0
        self._cursor: EntryId | None = None
        self._waiting_s: float | None = None
        """Since when entries wait while the cursor stands still."""
        self._highest: EntryId | None = None
        """Where the cursor was before it went back; None while it has not, or is there again."""
        self._rewound_s: float | None = None
        self._lost = 0
        self._lost_s: float | None = None
        self._half_s = 0.0
        self._low: int | None = None
        """The smallest lag of the present half of the window, and of the half before."""
        self._low_before: int | None = None
        self._streak = 0
        """Samples in a row that are worse (above 0) or better (below 0) than the status."""
        self._streak_s = 0.0
        self._streak_status: GroupStatus = "unknown"
        self._streak_reason: str | None = None

    def judge(self, sample: GroupSample) -> tuple[GroupStatus, str | None]:
        """The status after one more poll, and a sentence of why it is not ok."""
        if self._since_s is None or sample.at_s < self._seen_s:
            # A clock that goes back makes all times worthless.
            self._begin()
            self._since_s = self._half_s = sample.at_s
        is_first = self._cursor is None
        self._note(sample)
        self._seen_s = sample.at_s
        verdict, reason = self._verdict(sample)
        if verdict == self.status:
            self._streak = 0
            self._reason = reason
        elif verdict == "losing" or (is_first and verdict == "ok"):
            self._change(verdict, reason)
        else:
            self._confirm(sample.at_s, verdict, reason)
        if self.status == "unknown" and self._reason is None:
            return "unknown", NOT_LONG_ENOUGH
        return self.status, self._reason

    def _change(self, status: GroupStatus, reason: str | None) -> None:
        self.status, self._reason, self._streak = status, reason, 0

    def _confirm(self, at_s: float, verdict: GroupStatus, reason: str | None) -> None:
        """Count a verdict towards a change; what is agreed on is the verdict nearest to the status."""
        direction = 1 if _SEVERITY[verdict] > _SEVERITY[self.status] else -1
        if self._streak * direction <= 0:
            self._streak, self._streak_s = direction, at_s
            self._streak_status, self._streak_reason = verdict, reason
        else:
            self._streak += direction
            if _SEVERITY[verdict] * direction <= _SEVERITY[self._streak_status] * direction:
                self._streak_status, self._streak_reason = verdict, reason
        spans_s = at_s - self._streak_s
        if abs(self._streak) >= CONFIRMATIONS and spans_s >= self._rules.window_s * CONFIRM_PART:
            self._change(self._streak_status, self._streak_reason)

    def _note(self, sample: GroupSample) -> None:
        self._note_cursor(sample)
        self._note_lag(sample)
        if self._lost_s is not None and sample.at_s - self._lost_s > self._rules.window_s:
            self._lost, self._lost_s = 0, None
        if sample.lost > 0:
            self._lost += sample.lost
            self._lost_s = sample.at_s

    def _note_cursor(self, sample: GroupSample) -> None:
        cursor, before = sample.last_delivered_id, self._cursor
        self._cursor = cursor
        if before is not None and cursor < before:
            self._highest = max(before, self._highest or before)
            self._rewound_s = sample.at_s
        if self._highest is not None and (cursor >= self._highest or sample.lag.entries == 0):
            # A stream that went back with its group has nothing more to read.
            self._highest = None
        if sample.lag.entries == 0:
            self._waiting_s = None
        elif self._waiting_s is None or cursor != before:
            self._waiting_s = sample.at_s

    def _note_lag(self, sample: GroupSample) -> None:
        lag = sample.lag.entries
        if lag is None:
            return
        if sample.at_s - self._half_s >= self._rules.window_s / 2:
            self._half_s, self._low_before, self._low = sample.at_s, self._low, lag
        else:
            self._low = lag if self._low is None else min(self._low, lag)

    def _verdict(self, sample: GroupSample) -> tuple[GroupStatus, str | None]:
        rules, at_s, lag = self._rules, sample.at_s, sample.lag.entries
        assert self._since_s is not None
        if self._lost_s is not None:
            return "losing", f"{self._lost} entries were removed unread in the last {rules.window_s:g} s"
        left_s, is_watched = sample.headroom.seconds, at_s - self._since_s >= rules.window_s * CONFIRM_PART
        if left_s is not None and left_s < rules.losing_s and lag != 0 and is_watched:
            return "losing", f"undelivered entries will be removed in {left_s:.0f} s{_by(sample.headroom)}"
        if lag is None:
            return "unknown", "the lag is not known"
        waited_s = at_s - self._waiting_s if self._waiting_s is not None else 0.0
        if lag > 0 and waited_s >= rules.stalled_s:
            if sample.calling == 0:
                idle = f"none of {sample.consumers} consumers has called" if sample.consumers else "no consumer"
                return "stopped", f"{_entries(lag)} undelivered and nothing read for {waited_s:.0f} s, {idle}"
            return "stalled", f"{_entries(lag)} undelivered and nothing read for {waited_s:.0f} s"
        if self._rewound_s is not None:
            if self._highest is not None or at_s - self._rewound_s < rules.window_s:
                return "rewound", f"the group went back {at_s - self._rewound_s:.0f} s ago, {_entries(lag)} undelivered"
            self._rewound_s = None
        if self._is_lagging(lag, sample):
            return "lagging", f"{_entries(lag)} undelivered, and {self._trend()}{_oldest(sample.lag_s)}"
        if self._waiting_s == self._since_s and (sample.lag_s or 0.0) >= rules.stalled_s:
            # It has long waited, and the group was not seen to read: not enough for a verdict either way.
            return "unknown", NOT_LONG_ENOUGH
        return "ok", None

    def _trend(self) -> str:
        """How the lag goes, by the least of the present half of the window and of the half before."""
        low, before = self._low, self._low_before
        return "falling slowly" if low is not None and before is not None and low < before else "not falling"

    def _is_lagging(self, lag: int, sample: GroupSample) -> bool:
        floor, low, before = self._rules.lag_floor, self._low, self._low_before
        if low is None or before is None:
            return False
        if sample.lag.quality == "bounded" and sample.read_rate is not None and sample.write_rate is not None:
            # A bound need not fall with the lag; its rates tell.
            is_falling = sample.read_rate > sample.write_rate
        elif self.status == "lagging":
            is_falling = low < before * CLEARLY_LESS
        else:
            is_falling = low < before
        if self.status == "lagging":
            return lag > floor * FLOOR_LEFT and not is_falling
        return min(low, before) > floor and not is_falling


def _entries(lag: int) -> str:
    return "1 entry" if lag == 1 else f"{lag} entries"


def _oldest(lag_s: float | None) -> str:
    return f", the oldest for {lag_s:.0f} s" if lag_s is not None else ""


def _by(headroom: Headroom) -> str:
    return {"length": " by the cap on the length", "age": " by the cap on the age", "expiry": " with the key"}.get(
        headroom.by or "", ""
    )
