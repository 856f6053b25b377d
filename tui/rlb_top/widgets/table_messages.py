"""What a table tells of."""

from __future__ import annotations

from textual.message import Message
from textual.widget import Widget


class Happened(Message):
    """Something was done to the table."""

    def __init__(self, table: Widget) -> None:
        super().__init__()
        self.table = table

    @property
    def control(self) -> Widget:
        return self.table


class Opened(Happened):
    """Enter was pressed on a row, or it was clicked twice."""


class CursorMoved(Happened):
    """The cursor is on another row, or its row has changed."""


class HeaderPressed(Message):
    """The title of a column was clicked."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = column
