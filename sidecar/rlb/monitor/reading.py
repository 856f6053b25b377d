"""A reading: what Redis said of one stream in one poll. No payload gets this far, only ids and sizes."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rlb.domain.entry_id import EntryId
from rlb.domain.lag import Lag, ToCount
from rlb.domain.stream_facts import NOTHING_PENDING, ConsumerFacts, GroupFacts, PendingLook, StreamFacts
from rlb.redis_io import xinfo

MAX_CONSUMERS = 200
"""Consumers of a group on a stream that are kept: those with the most pending, then those that called last."""


@dataclass(slots=True)
class GroupReading:
    """One group of the stream."""

    facts: GroupFacts
    lag: Lag | ToCount
    oldest_id: EntryId | None
    """The first undelivered entry, where there is one."""
    consumers: tuple[ConsumerFacts, ...] = ()
    pending: PendingLook = NOTHING_PENDING
    has_details: bool = True
    """Whether consumers and pending entries were asked for; of a group at rest they are now and then only."""

    def take_consumers(self, reply: Any) -> None:
        """Take an XINFO CONSUMERS reply."""
        found = xinfo.consumer_facts(reply)
        if len(found) > MAX_CONSUMERS:
            found = heapq.nlargest(MAX_CONSUMERS, found, key=lambda consumer: (consumer.pending, -consumer.idle_ms))
        self.consumers = tuple(found)

    def take_pending(self, reply: Any) -> None:
        """Take an XPENDING reply in its extended form."""
        self.pending = xinfo.pending_look(reply)

    def take_oldest(self, reply: Any) -> None:
        """Take an XRANGE reply of one entry."""
        self.oldest_id = xinfo.first_id(reply)

    def count_taker(self, lag: ToCount, cap: int) -> Callable[[Any], None]:
        """Who takes the count that a lag needs, be it a number or the entries themselves."""

        def take(reply: Any) -> None:
            self.lag = lag.counted(reply if isinstance(reply, int) else len(reply), cap)

        return take

    @property
    def known_lag(self) -> Lag:
        """The lag as far as it is known."""
        return self.lag.uncounted() if isinstance(self.lag, ToCount) else self.lag


@dataclass(slots=True)
class Reading:
    """One stream. `at_ms` is Redis time; `ttl_ms` None is a key that does not expire."""

    at_ms: int
    facts: StreamFacts
    ttl_ms: int | None
    groups: list[GroupReading]
    payload_bytes: int
    """Size of the larger of its first and last entry: what an entry of it is about as large as."""
    complete: bool | None
    """Whether its last message ends a generation."""
    signature: int | None
    """What the answers come to: the same again, and nothing has changed. None if they leave a lag open."""
    is_of_one_moment: bool = False
    """Whether stream, groups and counts were asked for in one step."""
    is_unchanged: bool = False
    """Whether nothing was written, read or removed since the last reading."""


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """How the stream is kept short, as far as rlb does it; None is unknown, 0 without limit."""

    max_length: int | None
    retention_ms: int | None


FOREIGN = StreamBounds(None, None)
"""A stream that others write: its bounds are not known, only seen in what they do."""


class Gone:
    """There is no stream at the key."""


@dataclass(slots=True)
class Failed:
    """Redis refused to answer for this stream; `kind` is the error's prefix."""

    kind: str


Outcome = Reading | Gone | Failed
