"""The text of a generation, as it grows."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from rlb_top import format as fmt
from rlb_top.source import Piece

MAX_CHARACTERS = 20_000
"""What is kept of a text; its beginning goes, and is said to have gone."""

PAINT_S = 0.1
"""Pieces that come within so long are painted together."""


class TailText(VerticalScroll):
    """It keeps to its end until somebody scrolls up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "To the beginning", show=False),
        Binding("G", "follow", "To the end", show=False),
        Binding("ctrl+d", "page_down", "Page down", show=False),
        Binding("ctrl+u", "page_up", "Page up", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._notes: list[str] = []
        self._static = Static("")
        self._is_due = False
        self._is_cut = False

    def compose(self) -> ComposeResult:
        yield self._static

    def on_mount(self) -> None:
        self.anchor()

    def add(self, piece: Piece) -> None:
        """Show a piece behind what there is."""
        if piece.missing is None or piece.missing:
            missing = fmt.plural(piece.missing, "message") if piece.missing else "messages"
            self.text += f"\n[… {missing} missing …]\n"
        self.text += fmt.printable(piece.text)
        if len(self.text) > MAX_CHARACTERS:
            self.text, self._is_cut = self.text[-MAX_CHARACTERS:], True
        self._paint_soon()

    def note(self, text: str) -> None:
        """Say something below the text."""
        self._notes.append(fmt.line(text))
        self._paint_soon()

    def action_follow(self) -> None:
        """Keep to the end again."""
        self.anchor()
        self.scroll_end(animate=False)

    def _paint_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self.set_timer(PAINT_S, self._paint)

    def _paint(self) -> None:
        self._is_due = False
        cut = ("… the beginning is left out …\n", "$quiet") if self._is_cut else ""
        self._static.update(
            Content.assemble(cut, self.text, *((f"\n{note}", "$severity-unknown") for note in self._notes))
        )
