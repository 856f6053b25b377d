"""Where the cursor of a table is: on a row, which it follows, or at a place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

from rlb_top.widgets.table_layout import RowT


class Cursor(Generic[RowT]):
    """`index` is always a row's, or 0 where there are none. Until it is moved it stays at the top."""

    def __init__(self, key: Callable[[RowT], str]) -> None:
        self.index = 0
        self._key_of = key
        self._key: str | None = None

    @property
    def key(self) -> str | None:
        """The row that it follows; None: it stays at its place."""
        return self._key

    def move(self, rows: Sequence[RowT], index: int, *, pin: bool = True) -> None:
        """Go to a row, or as near as there is one, and follow it if `pin`."""
        self.index = max(0, min(index, len(rows) - 1))
        self._key = self._key_of(rows[self.index]) if pin and rows else None

    def follow(self, rows: Sequence[RowT]) -> None:
        """Go where the row is now. If it is gone, stay at the place and follow what is there."""
        if self._key is None or not rows:
            self.index = max(0, min(self.index, len(rows) - 1))
            return
        if self.index < len(rows) and self._key_of(rows[self.index]) == self._key:
            return
        for index, row in enumerate(rows):
            if self._key_of(row) == self._key:
                self.index = index
                return
        self.move(rows, self.index)
