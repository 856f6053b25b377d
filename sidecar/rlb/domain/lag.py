"""Lag: how many entries a group has not been handed yet, and how well that is known.

The server's own number is not copied: on most versions it is NULL or too high once entries were trimmed or deleted.
Let the stream hold `length` entries from `first` to `last`, and the group stand at `cursor`:

1. A cursor outside `[first, last)` decides the lag alone: all of the entries, or none. The length counts only entries
   that are there, so neither trims nor deletions matter.
2. Else let `anchor` be the lowest position (see `positions`) at or above both the cursor and the highest deleted id.
   Behind it nothing is missing, so the lag is `entries-added now - entries-added at the anchor`, plus the entries
   from the cursor to the anchor. A cursor that stands at a position needs no counting at all.
3. Else the server's number, where its version computes it right, nothing was deleted ahead of the cursor, and it
   does not contradict the positions.
4. Else the entries from the cursor to the anchor are counted, up to `COUNT_CAP`; beyond, bounds are given.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from rlb.domain.entry_id import EntryId
from rlb.domain.positions import Positions
from rlb.domain.stream_facts import GroupFacts, StreamFacts

LagQuality = Literal["exact", "server", "bounded", "unknown"]

COUNT_CAP = 1000
"""Undelivered entries that are counted one by one; beyond, bounds are given."""


class Lag(NamedTuple):
    """`entries` is exact, the server's, or the least it can be, as `quality` says; `upper_bound` is the most."""

    entries: int | None
    quality: LagQuality
    upper_bound: int | None = None

    @property
    def exact(self) -> int | None:
        """The number of entries, if that is certain."""
        return self.entries if self.quality == "exact" else None

    @property
    def believed(self) -> int | None:
        """The number of entries, if it is taken to be right: certain, or told by a server that is right there."""
        return self.entries if self.quality in ("exact", "server") else None


NO_LAG = Lag(0, "exact")
UNKNOWN_LAG = Lag(None, "unknown")


class ToCount(NamedTuple):
    """A lag that needs the entries in `(cursor, until]` counted: it is their number plus `beyond`."""

    until: EntryId
    beyond: int
    most: int
    """The most that the whole lag can be."""

    def counted(self, count: int, cap: int = COUNT_CAP) -> Lag:
        """The lag, from a count that stopped at `cap`."""
        least = self.beyond + count
        return Lag(least, "bounded", self.most) if count >= cap and least < self.most else Lag(least, "exact")

    def uncounted(self) -> Lag:
        """The lag as far as it is known without a count."""
        least = max(1, self.beyond)
        return Lag(least, "bounded", self.most) if least < self.most else Lag(least, "exact")


def lag_by_cursor(stream: StreamFacts, cursor: EntryId) -> Lag | None:
    """The lag, where the cursor alone decides it (step 1)."""
    if stream.length == 0 or stream.first_id is None or stream.last_id is None or cursor >= stream.last_id:
        return NO_LAG
    if cursor < stream.first_id:
        return Lag(stream.length, "exact")
    if cursor == stream.first_id:
        return Lag(stream.length - 1, "exact")
    return Lag(1, "exact") if stream.length == 2 else None


def lag_of(
    stream: StreamFacts, group: GroupFacts, positions: Positions | None, *, trusts_server: bool
) -> Lag | ToCount:
    """The lag, or what has to be counted for it. `positions` None: the stream's counters are not to be relied on."""
    cursor = group.last_delivered_id
    if (lag := lag_by_cursor(stream, cursor)) is not None:
        return lag
    assert stream.last_id is not None
    plain = ToCount(stream.last_id, 0, stream.length - 1)
    added, deleted = stream.entries_added, stream.max_deleted_id
    if positions is None or added is None or deleted is None:
        return plain
    anchor = positions.at_or_above(max(cursor, deleted))
    if anchor is None:
        return plain
    anchor_id, added_at_anchor = anchor
    beyond = added - added_at_anchor
    if beyond >= stream.length:
        return plain
    if anchor_id == cursor:
        return Lag(beyond, "exact")
    below = positions.at_or_below(cursor)
    most = stream.length - 1 if below is None else min(stream.length - 1, added - below[1])
    least = max(1, beyond)
    told = group.server_lag
    if trusts_server and told is not None and deleted <= cursor and least <= told <= most:
        return Lag(told, "server", most)
    return ToCount(min(anchor_id, stream.last_id), beyond, most)
