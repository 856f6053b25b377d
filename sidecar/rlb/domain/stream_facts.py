"""What XINFO and XPENDING say of a stream, its groups and consumers: plain values, unknown as None.

The first and last entries that XINFO STREAM returns are payload: only their ids get here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlb.domain.entry_id import EntryId


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """XINFO STREAM. `entries_added` and `max_deleted_id` are None below Redis 7."""

    length: int
    last_generated_id: EntryId
    first_id: EntryId | None
    last_id: EntryId | None
    entries_added: int | None
    max_deleted_id: EntryId | None


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group of XINFO GROUPS. `server_lag` is the server's own number, which may be None or wrong."""

    name: str
    consumers: int
    pending: int
    last_delivered_id: EntryId
    entries_read: int | None
    server_lag: int | None


@dataclass(frozen=True, slots=True)
class ConsumerFacts:
    """One consumer of XINFO CONSUMERS. `inactive_ms` (since the last success) exists from Redis 7.2."""

    name: str
    pending: int
    idle_ms: int
    inactive_ms: int | None


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """One entry of a group's pending list."""

    entry_id: EntryId
    consumer: str
    idle_ms: int
    deliveries: int
