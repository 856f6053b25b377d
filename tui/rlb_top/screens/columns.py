"""Picking columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, SelectionList
from textual.widgets.selection_list import Selection

from rlb_top.columns import COLUMNS
from rlb_top.rows import Mode


class ColumnsScreen(ModalScreen[tuple[str, ...] | None]):
    """The columns of a mode, each to be shown or not. Gives those picked, none for the usual ones, None if left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Take these", priority=True),
        Binding("u", "usual", "The usual ones"),
        Binding("escape", "leave", "Leave"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, mode: Mode, shown: Sequence[str]) -> None:
        super().__init__()
        self._mode, self._shown = mode, shown
        self.list = SelectionList[str](
            *(
                Selection(f"{column.title:<9} {column.meaning}", column.id, column.id in shown)
                for column in COLUMNS
                if mode in column.modes
            )
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"Columns of {self._mode}"
            yield self.list
        yield Footer(compact=True, show_command_palette=False)

    def action_take(self) -> None:
        _ = self.dismiss(tuple(self.list.selected))

    def action_usual(self) -> None:
        _ = self.dismiss(())

    def action_leave(self) -> None:
        _ = self.dismiss(None)

    def action_down(self) -> None:
        self.list.action_cursor_down()

    def action_up(self) -> None:
        self.list.action_cursor_up()
