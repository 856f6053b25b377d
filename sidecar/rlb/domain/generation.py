"""Generations: the clock of one, from its first token to its end, and whether an app's own numbering of it holds.

Pure: times are arguments, in seconds of one clock that only goes forward, unless they say Unix ms.
"""

from __future__ import annotations

from typing import Literal

State = Literal["active", "stalled"]
Finish = Literal["stop", "length", "tool_calls", "content_filter", "error", "abandoned", "other"]
Anomaly = Literal["gap", "duplicate", "reordered"]

_FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",
    "abandoned": "abandoned",
}

FAILURES: frozenset[Finish] = frozenset(("error", "abandoned"))
"""Ends of generations that did not give what was asked for."""

MAX_WAIT_MS = 24 * 3600 * 1000
"""A first token that took longer is a mistaken `requestedAt`, such as one in seconds."""

WINDOW = 64
"""How far back a sequence number is known to have come or not; a number from before that counts as late."""


def finish_of(reason: str) -> Finish:
    """The finish reason as it is counted; apps may give any."""
    return _FINISHES.get(reason, "other")


def time_to_first_token_s(requested_at_ms: int | None, first_at_ms: int) -> float | None:
    """From the app's request to its first token; None where no request time was given, or none that can be true."""
    if requested_at_ms is None:
        return None
    waited_ms = first_at_ms - requested_at_ms
    return waited_ms / 1000 if 0 <= waited_ms <= MAX_WAIT_MS else None


class Numbering:
    """Looks at sequence numbers as they come, each of which should follow the one before."""

    __slots__ = ("_came", "_highest")

    def __init__(self, first: int) -> None:
        self._highest = first
        self._came = 1
        """Bit n: whether the number n below the highest has come."""

    def next(self, number: int) -> Anomaly | None:
        """What is wrong with the next number."""
        ahead = number - self._highest
        if ahead > 0:
            self._highest = number
            self._came = ((self._came << ahead) | 1) & (2**WINDOW - 1) if ahead < WINDOW else 1
            return "gap" if ahead > 1 else None
        if ahead <= -WINDOW:
            return "reordered"
        bit = 1 << -ahead
        if self._came & bit:
            return "duplicate"
        self._came |= bit
        return "reordered"


class Generation:
    """The clock of one generation."""

    __slots__ = ("began_s", "has_no_writer", "is_whole", "last_s", "numbering", "tokens", "waited_s")

    def __init__(self, began_s: float, *, waited_s: float | None = None, is_whole: bool = True) -> None:
        self.began_s = began_s
        """When its first message came."""
        self.last_s = began_s
        """When its latest token came."""
        self.tokens = 0
        self.waited_s = waited_s
        """Time to first token, None if the app gave no start."""
        self.is_whole = is_whole
        """Whether its beginning was seen: else its duration and number of tokens are not known."""
        self.has_no_writer = False
        """Whether the connection that wrote it has ended."""
        self.numbering: Numbering | None = None
        """Of the app's own sequence numbers, if it gives some."""

    def token(self, now_s: float) -> float | None:
        """A token has come; gives the time since the one before, None for the first."""
        interval_s = now_s - self.last_s if self.tokens else None
        self.tokens += 1
        self.last_s = now_s
        return interval_s

    def number(self, sequence: int) -> Anomaly | None:
        """The app numbers its token; says if the number does not follow."""
        if self.numbering is None:
            self.numbering = Numbering(sequence)
            return None
        return self.numbering.next(sequence)

    def silence_s(self, now_s: float) -> float:
        """Time since the latest token."""
        return now_s - self.last_s

    def state(self, now_s: float, stalled_s: float) -> State:
        """Whether tokens flow, or there has been none for `stalled_s`."""
        return "stalled" if now_s - self.last_s >= stalled_s else "active"

    def is_abandoned(self, now_s: float, stalled_s: float, abandoned_s: float) -> bool:
        """Whether nothing more is to be expected: silent for very long, or for long and with nobody to write it."""
        return now_s - self.last_s >= (stalled_s if self.has_no_writer else abandoned_s)

    def duration_s(self, ended_s: float) -> float | None:
        """From the request, or from the first message if no request time was given, to the end."""
        return ended_s - self.began_s + (self.waited_s or 0.0) if self.is_whole else None

    def per_token_s(self, ended_s: float) -> float | None:
        """Mean time per token after the first; None where there is none."""
        return (ended_s - self.began_s) / (self.tokens - 1) if self.is_whole and self.tokens > 1 else None

    def tokens_per_second(self) -> float | None:
        """Mean rate from the first token to the latest; None where that is no time."""
        took_s = self.last_s - self.began_s
        return (self.tokens - 1) / took_s if self.tokens > 1 and took_s > 0 else None
