"""The table of the overview: the rows of a mode, cut, sorted and filtered as the person wants them."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message

from rlb.domain.snapshot import Snapshot
from rlb_top.columns import BY_ID, Column, columns_of
from rlb_top.history import History
from rlb_top.rows import Mode, Row
from rlb_top.severity import RowStatus
from rlb_top.state import State
from rlb_top.view import Query, Sort, arranged, build_rows, parse_query, status_counts
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.table_layout import Placed
from rlb_top.widgets.table_messages import HeaderPressed
from rlb_top.widgets.tones import tone_of

REASON_FROM = 24
"""Cells that have to be free for the reasons to be shown."""

_SORT = Binding.Group("Sort", compact=True)


def _key(row: Row) -> str:
    return row.key


class StreamTable(RowTable[Row]):
    """Groups, models or streams, one a line, the worst first until somebody sorts otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("less_than_sign,H", "sort_by(-1)", "Sort by the column before", key_display="<", group=_SORT),
        Binding("greater_than_sign,L", "sort_by(1)", "Sort by the next column", key_display=">", group=_SORT),
        Binding("r", "reverse", "Reverse", tooltip="sort the other way round"),
    ]

    class Arranged(Message):
        """The rows are cut, sorted or filtered in another way."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.mode: Mode = state.preferences.mode
        self.sort = state.preferences.sort_of(self.mode)
        self.query_text = ""
        self._query = Query()
        self._all: list[Row] = []
        self._snapshot: Snapshot | None = None
        super().__init__(self._columns(), key=_key, tone=tone_of, id="streams")
        self._tell_sort()

    @property
    def _history(self) -> History:
        return self._state.history

    @property
    def total(self) -> int:
        """Rows before the filter."""
        return len(self._all)

    @property
    def counts(self) -> dict[RowStatus, int]:
        """How many rows have each status, before the filter."""
        return status_counts(self._all)

    def take(self, snapshot: Snapshot) -> None:
        """Show this snapshot from now on."""
        self._snapshot = snapshot
        self._all = build_rows(snapshot, self.mode, self._history.trend)
        self._arrange()

    def set_mode(self, mode: Mode) -> None:
        """Show groups, models or streams, each as they were cut and sorted last."""
        self.mode, preferences = mode, self._state.preferences
        self.sort = preferences.sort_of(mode)
        self._tell_sort()
        self.set_columns(self._columns())
        self.select(0, pin=False)
        if self._snapshot is not None:
            self.take(self._snapshot)

    def set_query(self, text: str) -> None:
        """Show only rows that have all these words."""
        self.query_text, self._query = text, parse_query(text)
        self._arrange()

    def set_sort(self, sort: Sort) -> None:
        """Sort so, and remember it."""
        self.sort = sort
        self._state.remember(self._state.preferences.with_sort(self.mode, sort))
        self._tell_sort()
        self._arrange()

    def pick_columns(self, columns: tuple[str, ...] | None) -> None:
        """Show these columns of the mode, and remember them; None: those shown by default."""
        self._state.remember(self._state.preferences.with_columns(self.mode, columns))
        self.set_columns(self._columns())
        self.post_message(self.Arranged())

    def action_sort_by(self, step: int) -> None:
        """Sort by the column next to that which the rows are sorted by."""
        placed = self.placed_ids
        ids = [column.id for column in self.columns if column.id in placed]
        at = ids.index(self.sort.column) if self.sort.column in ids else -1 if step > 0 else 0
        self.set_sort(Sort(ids[(at + step) % len(ids)]))

    def action_reverse(self) -> None:
        self.set_sort(self.sort.by(self.sort.column))

    @on(HeaderPressed)
    def _header_pressed(self, event: HeaderPressed) -> None:
        event.stop()
        self.set_sort(self.sort.by(event.column))

    def _place(self) -> None:
        """Fill what the columns leave free with the reasons, unless somebody has picked the columns."""
        super()._place()
        if self._placed and self._state.preferences.columns_of(self.mode) is None:
            last = self._placed[-1]
            x = last.x + last.width + 2
            left = self.size.width - 2 - x
            if left >= REASON_FROM:
                self._placed.append(Placed(BY_ID["reason"], x, left))

    def _columns(self) -> list[Column]:
        return columns_of(self.mode, self._state.preferences.columns_of(self.mode))

    def _tell_sort(self) -> None:
        self.sorted_by = (self.sort.column, self.sort.is_descending)

    def _arrange(self) -> None:
        if self._snapshot is None:
            return
        rows = arranged(self._all, self.sort, self._query)
        self.show(rows, self._why_empty())
        self.post_message(self.Arranged())

    def _why_empty(self) -> str:
        if self._all:
            return f"nothing matches “{self.query_text}”"
        snapshot = self._snapshot
        if snapshot is not None and snapshot.at is None:
            return "the monitor has not looked yet"
        return "no streams yet"

    def sort_title(self) -> str:
        """By what the rows are sorted, for the status line."""
        return f"by {BY_ID[self.sort.column].title}{'▼' if self.sort.is_descending else '▲'}"
