"""Losses: entries that were removed before a group was handed them. Never more than there were.

Two polls are compared. While the group stands still, everything adds up:
`lost = undelivered before + added since - undelivered now`. When it has moved, what was removed and what was read
cannot be told apart in general; then the loss that is still ahead of the cursor is looked at:
`ahead = entries-added - entries added up to the cursor - undelivered now`.
"""

from __future__ import annotations

from typing import NamedTuple

from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.lag import Lag
from rlb.domain.positions import Positions
from rlb.domain.stream_facts import GroupFacts, StreamFacts


class Footing(NamedTuple):
    """Where a group stood at a poll, as far as it was certain."""

    cursor: EntryId
    added: int
    undelivered: int | None
    place: int | None
    """Entries ever added up to the cursor; fewer, by those lost, where `entries-read` had to stand in for it."""
    is_place_exact: bool
    entries_read: int | None
    ahead: int | None
    """Entries beyond the cursor that are gone."""
    reach: EntryId
    """No entry that is gone from beyond the cursor has an id above this."""


def footing_of(
    stream: StreamFacts,
    group: GroupFacts,
    lag: Lag,
    positions: Positions,
    before: Footing | None,
) -> Footing | None:
    """Where the group stands now; None where that cannot be told, as the server counts no entries (Redis 6.2)."""
    added, deleted = stream.entries_added, stream.max_deleted_id
    cursor, read = group.last_delivered_id, group.entries_read
    if added is None or deleted is None or cursor > stream.last_generated_id:
        # A group that was set beyond the stream's end: what is added up to there passes it by.
        return None
    undelivered = lag.believed
    nothing_gone = (
        undelivered is not None and stream.first_id is not None and stream.first_id <= cursor and deleted <= cursor
    )
    place: int | None = None
    is_exact = True
    if cursor == stream.last_generated_id:
        place = added
    elif nothing_gone and undelivered is not None:
        place = added - undelivered
    elif cursor == ZERO:
        place = 0
    elif (seen := positions.added_at(cursor)) is not None:
        place = seen
    elif before is not None and before.cursor == cursor:
        place, is_exact = before.place, before.is_place_exact
    elif read is not None:
        is_exact = False
        if before is None:
            place = read
        elif before.place is not None and before.entries_read is not None and cursor > before.cursor:
            place = before.place + max(0, read - before.entries_read)
    ahead: int | None = None
    if place is not None and undelivered is not None:
        ahead = added - place - undelivered
        if ahead < 0:
            # The counters contradict each other: somebody has set them.
            place = ahead = None
    reach = max(cursor, deleted)
    if stream.first_id is None:
        reach = max(reach, stream.last_generated_id)
    elif cursor < stream.first_id:
        # What was trimmed lies below the first entry.
        reach = max(reach, stream.first_id)
    return Footing(cursor, added, undelivered, place, is_exact, read, ahead, reach)


def footing_at_end(stream: StreamFacts, group: GroupFacts) -> Footing | None:
    """Where a group stands that has been handed everything; None for any other, whose footing has to be kept."""
    cursor, added = group.last_delivered_id, stream.entries_added
    if added is None or stream.max_deleted_id is None or cursor != stream.last_generated_id:
        return None
    return Footing(cursor, added, 0, added, True, group.entries_read, 0, cursor)


def lost_before(now: Footing) -> int:
    """Entries that are visibly missing at the first sight of a stream.

    Without `entries-read` it is not known whether they went before the group was made.
    """
    if now.ahead is None or now.entries_read is None or now.place is None:
        return 0
    return max(0, now.ahead + now.place - now.entries_read)


def lost_between(before: Footing, now: Footing, *, recomputes: bool) -> int:
    """Entries that the group lost since the poll before.

    `recomputes`: the server's `entries-read` jumps over what was lost, rather than count only what was read.
    """
    if now.cursor == before.cursor:
        if before.undelivered is None or now.undelivered is None:
            return 0
        return max(0, before.undelivered + now.added - before.added - now.undelivered)
    if now.cursor < before.cursor or now.ahead is None:
        return 0
    if now.cursor >= before.reach and (now.is_place_exact or recomputes):
        # Whatever was missing before lies behind the cursor now.
        return now.ahead
    return max(0, now.ahead - (before.ahead or 0)) if before.ahead is not None else 0
