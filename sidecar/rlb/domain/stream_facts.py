"""What XINFO and XPENDING say of a stream, its groups and consumers: plain values, unknown as None.

The first and last entries that XINFO STREAM returns are payload: only their ids get here.
"""

from __future__ import annotations

from typing import NamedTuple

from rlb.domain.entry_id import EntryId


class StreamFacts(NamedTuple):
    """XINFO STREAM. `entries_added` and `max_deleted_id` are None below Redis 7."""

    length: int
    last_generated_id: EntryId
    first_id: EntryId | None
    last_id: EntryId | None
    entries_added: int | None
    max_deleted_id: EntryId | None


class GroupFacts(NamedTuple):
    """One group of XINFO GROUPS. `server_lag` is the server's own number, which may be None or wrong."""

    name: str
    consumers: int
    pending: int
    last_delivered_id: EntryId
    entries_read: int | None
    server_lag: int | None


class ConsumerFacts(NamedTuple):
    """One consumer of XINFO CONSUMERS. `inactive_ms` (since the last success) exists from Redis 7.2."""

    name: str
    pending: int
    idle_ms: int
    inactive_ms: int | None
    never_read: bool = False
    """The server says that it has never succeeded; False where the server does not tell."""


class PendingEntry(NamedTuple):
    """One entry of a group's pending list."""

    entry_id: EntryId
    consumer: str
    idle_ms: int
    deliveries: int


class PendingLook(NamedTuple):
    """The first entries of a group's pending list, those with the lowest ids, as many as are looked at."""

    oldest_id: EntryId | None
    longest_idle_ms: int | None
    deliveries: tuple[int, ...]


NOTHING_PENDING = PendingLook(None, None, ())


def is_another_stream(before: StreamFacts, now: StreamFacts) -> bool:
    """Whether the key holds a stream that was made anew since: what counts upwards went back, or grew too little."""
    if now.last_generated_id < before.last_generated_id:
        return True
    if now.entries_added is None or before.entries_added is None:
        return False
    return now.entries_added - before.entries_added < max(0, now.length - before.length)


def removed_between(before: StreamFacts, now: StreamFacts) -> int:
    """Entries that were trimmed or deleted in between; 0 too where the server does not count entries."""
    if now.entries_added is None or before.entries_added is None:
        return 0
    return max(0, now.entries_added - before.entries_added + before.length - now.length)


def was_set_by_hand(before: StreamFacts | None, now: StreamFacts) -> bool:
    """Whether XSETID has set the counters, so that they count no longer."""
    deleted = now.max_deleted_id
    if deleted is not None and now.last_id is not None and deleted <= now.last_id < now.last_generated_id:
        # Only the deletion of the newest entry leaves the last id behind, and that would show.
        return True
    if before is None or deleted is None or deleted != before.max_deleted_id or now.last_id is None:
        return False
    return now.last_id == before.last_id and now.entries_added != before.entries_added
