"""A stream in memory that counts as Redis does, for the pure logic that reads Redis's counters."""

from __future__ import annotations

from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.stream_facts import GroupFacts, StreamFacts


class SimulatedStream:
    """Entries with ids `1-1`, `2-1`, ...; one group; and what is true, kept apart from what is told."""

    def __init__(self) -> None:
        self.entries: list[EntryId] = []
        self.added = 0
        self.deleted = ZERO
        self.cursor = ZERO
        self.lost = 0
        """Entries removed while the group had not been handed them."""

    def add(self, count: int) -> None:
        for _ in range(count):
            self.added += 1
            self.entries.append(EntryId(self.added, 1))

    def read(self, count: int) -> None:
        undelivered = self.undelivered[:count]
        if undelivered:
            self.cursor = undelivered[-1]

    def trim(self, count: int) -> None:
        self._remove(self.entries[:count])

    def delete(self, at: int) -> None:
        if at < len(self.entries):
            entry = self.entries[at]
            self.deleted = max(self.deleted, entry)
            self._remove([entry])

    def _remove(self, removed: list[EntryId]) -> None:
        self.lost += sum(entry > self.cursor for entry in removed)
        self.entries = [entry for entry in self.entries if entry not in removed]

    @property
    def undelivered(self) -> list[EntryId]:
        return [entry for entry in self.entries if entry > self.cursor]

    def facts(self) -> StreamFacts:
        """What XINFO STREAM would say."""
        first, last = (self.entries[0], self.entries[-1]) if self.entries else (None, None)
        generated = EntryId(self.added, 1) if self.added else ZERO
        return StreamFacts(len(self.entries), generated, first, last, self.added, self.deleted)

    def group(self, server_lag: int | None = None, entries_read: int | None = None) -> GroupFacts:
        """What XINFO GROUPS would say; its own lag may be anything."""
        return GroupFacts("g", 0, 0, self.cursor, entries_read, server_lag)

    def count(self, until: EntryId) -> int:
        """Undelivered entries up to an id."""
        return sum(entry <= until for entry in self.undelivered)
