"""The window in which a message id is recognised when it comes again."""

from __future__ import annotations

from rlb.domain.entry_id import EntryId


class RecentMessages:
    """The newest message ids of one stream and where they stand, at most `limit`; older ones are forgotten."""

    __slots__ = ("_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[str, EntryId] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, message_id: str) -> EntryId | None:
        """The entry of a message that is still in the window."""
        return self._entries.get(message_id)

    def add(self, message_id: str, entry_id: EntryId) -> None:
        """Note a message that stands in the stream."""
        entries = self._entries
        entries[message_id] = entry_id
        if len(entries) > self._limit:
            del entries[next(iter(entries))]
