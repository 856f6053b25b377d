"""Picking columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer

from rlb_top.columns import COLUMNS, Column
from rlb_top.rows import Mode
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.table_layout import PlainColumn


class ColumnsScreen(ModalScreen[tuple[str, ...] | None]):
    """The columns of a mode, each to be shown or not. Gives those picked, none for the usual ones, None if left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,x", "mark", "Show or not", key_display="space", priority=True),
        Binding("enter", "take", "Take these", key_display="⏎", priority=True),
        Binding("u", "usual", "The usual ones"),
        Binding("escape,q", "leave", "Leave", key_display="esc"),
    ]

    def __init__(self, mode: Mode, shown: Sequence[str]) -> None:
        super().__init__()
        self._mode = mode
        self.picked = set(shown)
        columns = (
            PlainColumn[Column]("mark", "", 1, lambda row: "■" if row.id in self.picked else "□", "left", 0),
            PlainColumn[Column]("title", "column", 9, lambda row: row.title, "left", 0),
            PlainColumn[Column]("meaning", "what it shows", 20, lambda row: row.meaning, "left", 0, grows=True),
        )
        self.table = RowTable[Column](columns, key=lambda row: row.id, opens=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Columns of {self._mode}"
            yield self.table
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.table.show([column for column in COLUMNS if self._mode in column.modes])
        self.table.focus()

    def action_mark(self) -> None:
        if self.table.row is not None:
            self.picked ^= {self.table.row.id}
            self.table.show(self.table.rows)

    def action_take(self) -> None:
        _ = self.dismiss(tuple(column.id for column in self.table.rows if column.id in self.picked))

    def action_usual(self) -> None:
        _ = self.dismiss(())

    def action_leave(self) -> None:
        _ = self.dismiss(None)
