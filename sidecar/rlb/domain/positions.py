"""Positions: how many entries had ever been added up to certain ids, as seen by earlier polls.

At the moment of a poll, all `entries-added` of them have ids up to `last-generated-id`. That pair stays true for the
life of the stream, whatever is trimmed or deleted later, and needs nothing of what the server believes about groups.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from rlb.domain.entry_id import EntryId

MAX_POSITIONS = 32
"""Positions kept of one stream; past it, every second of the older half is forgotten."""

Position = tuple[EntryId, int]


class Positions:
    """The positions of one stream, by ascending id."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: tuple[Position, ...] = ()

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, generated: EntryId, added: int) -> None:
        """Note where the stream stands now; forgets all if that contradicts what was seen before."""
        seen = self._seen
        if seen:
            last_id, last_added = seen[-1]
            if generated == last_id and added == last_added:
                return
            if generated <= last_id or added < last_added:
                # XSETID, or another stream under the same key.
                seen = ()
        if len(seen) >= MAX_POSITIONS:
            half = MAX_POSITIONS // 2
            seen = seen[:half:2] + seen[half:]
        self._seen = (*seen, (generated, added))

    def clear(self) -> None:
        """Forget all: the stream's counters were set by hand."""
        self._seen = ()

    def forget_below(self, cursors: Iterable[EntryId]) -> None:
        """Forget what lies so far below every group that it bounds none of them."""
        seen = self._seen
        if len(seen) > 1:
            lowest = min(cursors, default=seen[-1][0])
            keep_from = max(0, bisect_right(seen, lowest, key=_id) - 1)
            if keep_from:
                self._seen = seen[keep_from:]

    def at_or_above(self, entry_id: EntryId) -> Position | None:
        """The lowest position that is not below the id."""
        at = bisect_left(self._seen, entry_id, key=_id)
        return self._seen[at] if at < len(self._seen) else None

    def at_or_below(self, entry_id: EntryId) -> Position | None:
        """The highest position that is not above the id."""
        at = bisect_right(self._seen, entry_id, key=_id)
        return self._seen[at - 1] if at else None

    def added_at(self, entry_id: EntryId) -> int | None:
        """How many entries had been added up to exactly this id, if a poll saw the stream there."""
        position = self.at_or_above(entry_id)
        return position[1] if position is not None and position[0] == entry_id else None


def _id(position: Position) -> EntryId:
    return position[0]
