"""A table that paints only the lines that are seen: 10,000 rows cost as much as forty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic

from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from rlb_top.widgets.cursor import Cursor
from rlb_top.widgets.table_keys import KEYS
from rlb_top.widgets.table_layout import Needs, Placed, RowT, TableColumn, fitted
from rlb_top.widgets.table_lines import COMPONENTS, Line, Tone, blank_line, header_line, painted, row_line
from rlb_top.widgets.table_messages import CursorMoved, HeaderPressed, Opened


class RowTable(ScrollView, Generic[RowT], can_focus=True, inherit_bindings=False):
    """Rows with a header that stays, and a cursor that stays on its row wherever that is sorted to.

    The rows come sorted, by `show`. Only lines that have changed are painted again.
    """

    BINDINGS: ClassVar[list[BindingType]] = KEYS
    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS

    def __init__(
        self,
        columns: Sequence[TableColumn[RowT]],
        *,
        key: Callable[[RowT], str],
        tone: Tone[RowT] = lambda _row, _column: None,
        empty: str = "",
        opens: bool = True,
        id: str | None = None,  # noqa: A002 - as every widget
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: Sequence[RowT] = ()
        self.columns = columns
        self.empty = empty
        """What is said where there are no rows."""
        self.sorted_by: tuple[str, bool] | None = None
        """The column that the rows are sorted by, and whether the greatest comes first."""
        self.opens = opens
        """Whether there is more to see of a row."""
        self._cursor = Cursor(key)
        self._top = 0
        """The first line, as it was when the cursor was last brought into sight."""
        self._tone = tone
        self._placed: list[Placed[RowT]] = []
        self._needs = Needs()
        self._shown: dict[int, Line] = {}
        """What the lines on the screen say."""

    @property
    def row(self) -> RowT | None:
        """The row under the cursor."""
        return self.rows[self._cursor.index] if self.rows else None

    @property
    def placed_ids(self) -> list[str]:
        """The columns that there is room for."""
        return [placed.column.id for placed in self._placed]

    def show(self, rows: Sequence[RowT], empty: str | None = None) -> None:
        """Show these rows instead; the cursor stays on its row, or where it was if that is gone."""
        was_scrolled = self._is_scrolled
        self.rows = rows
        self.empty = self.empty if empty is None else empty
        self._cursor.follow(rows)
        self._fit()
        if not was_scrolled:
            self._reveal()
        if self._has_grown():
            self._place()
        self._repaint()
        self.post_message(CursorMoved(self))

    def set_columns(self, columns: Sequence[TableColumn[RowT]]) -> None:
        """Show these columns, or as many of them as fit."""
        self.columns = columns
        self._needs = Needs()
        self._has_grown()
        self._place()
        self.refresh()

    def select(self, index: int, *, pin: bool = True) -> None:
        """Put the cursor on a row; unless `pin`, it stays at that place, whatever row comes there."""
        self._cursor.move(self.rows, index, pin=pin)
        self._reveal()
        self._repaint()
        self.post_message(CursorMoved(self))

    def render_line(self, y: int) -> Strip:
        line = self._shown[y] = self._line(y)
        return painted(self, line, self._placed, self.size.width)

    def on_resize(self) -> None:
        self._has_grown()
        self._place()
        self._fit()
        if not self._is_scrolled:
            self._reveal()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            pressed = [placed for placed in self._placed if placed.x <= offset.x - 1 <= placed.x + placed.width]
            if pressed:
                self.post_message(HeaderPressed(pressed[0].column.id))
            return
        index = self.scroll_offset.y + offset.y - 1
        if index < len(self.rows):
            self.select(index)
            if event.chain == 2:
                self.action_open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.opens if action == "open" else super().check_action(action, parameters)

    def action_move(self, lines: int) -> None:
        self.select(self._cursor.index + lines)

    def action_page(self, pages: int) -> None:
        self.select(self._cursor.index + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        self.select(0, pin=False)

    def action_last(self) -> None:
        self.select(len(self.rows) - 1)

    def action_open(self) -> None:
        if self.row is not None and self.opens:
            self.post_message(Opened(self))

    def _place(self) -> None:
        width = self.size.width
        self._placed = fitted(self.columns, width - 2, gap=2 if width >= 110 else 1, needs=self._needs.cells)

    def _has_grown(self) -> bool:
        """Whether what is in sight needs more room than before."""
        top = self.scroll_offset.y
        return self._needs.note(self.columns, self.rows[top : top + self.size.height])

    def _fit(self) -> None:
        size = Size(self.size.width, len(self.rows) + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def _reveal(self) -> None:
        """Scroll as little as makes the cursor visible."""
        if not self._is_in_sight():
            top, index = self.scroll_offset.y, self._cursor.index
            y = index if index < top else index - max(1, self.size.height - 1) + 1
            self.scroll_to(y=y, animate=False, immediate=True)
        self._top = self.scroll_offset.y

    @property
    def _is_scrolled(self) -> bool:
        """Whether somebody has scrolled with the wheel, who is left there until the cursor is moved."""
        return min(self.scroll_offset.y, self.max_scroll_y) != min(self._top, self.max_scroll_y)

    def _is_in_sight(self) -> bool:
        return 0 <= self._cursor.index - self.scroll_offset.y < max(1, self.size.height - 1)

    def _repaint(self) -> None:
        """Paint the lines again that have changed."""
        for y in range(self.size.height):
            if self._shown.get(y) != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def _line(self, y: int) -> Line:
        index = self.scroll_offset.y + y - 1
        if y == 0:
            return header_line(self._placed, self.sorted_by)
        if index >= len(self.rows):
            return blank_line(self.empty if not self.rows and y == 2 else "", self.size.width)
        ground = "table--row"
        if index == self._cursor.index:
            ground = "table--cursor" if self.has_focus else "table--cursor-blurred"
        return row_line(self._placed, self.rows[index], self._tone, ground)
