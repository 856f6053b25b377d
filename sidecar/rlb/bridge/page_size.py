"""How many entries to ask Redis for, which counts them, so that an answer has about so many bytes."""

from __future__ import annotations

from collections.abc import Sequence

from rlb.domain.entry import Entry

FIRST = 16
"""Entries of the first page, when nothing is known of their size."""


class PageSize:
    """A number of entries that follows the size of those that were read last."""

    __slots__ = ("_limit_bytes", "_most", "count")

    def __init__(self, limit_bytes: int, most: int) -> None:
        self.count = min(FIRST, most)
        self._limit_bytes = limit_bytes
        self._most = most

    def learn(self, entries: Sequence[Entry]) -> int:
        """Take the size of what has been read into account; gives it, in bytes."""
        size = sum(len(entry.json) for entry in entries)
        if entries:
            self.count = max(1, min(self._most, self._limit_bytes * len(entries) // max(1, size)))
        return size
