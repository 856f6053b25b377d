"""The dialog before an action: what it will do, what it needs to know, and no as the easier answer."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Footer, Input, Static

from rlb_top import format as fmt
from rlb_top.deeds import Deed


class ConfirmScreen(ModalScreen[str | None]):
    """Gives what was typed, an empty text where nothing has to be, or None for no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", "No"),
        Binding("n", "no", "No", show=False),
        Binding("y", "yes", "Yes"),
        Binding("left,h", "app.focus_previous", "Other button", show=False),
        Binding("right,l", "app.focus_next", "Other button", show=False),
    ]

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self._deed = deed
        self.input = Input(deed.suggestion, placeholder=deed.prompt or "", compact=True)
        self.wrong = Static("", classes="wrong")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._deed.title
            yield Static(Content(fmt.line(self._deed.question)), classes="question")
            if self._deed.prompt is not None:
                yield Static(Content(self._deed.prompt), classes="prompt")
                yield self.input
                yield self.wrong
            with Horizontal(classes="buttons"):
                yield Button("No", id="no", compact=True)
                yield Button("Yes", id="yes", variant="warning", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        if self._deed.prompt is not None:
            self.input.focus()
        else:
            self.query_one("#no").focus()

    @on(Button.Pressed, "#no")
    def action_no(self) -> None:
        _ = self.dismiss(None)

    @on(Button.Pressed, "#yes")
    def action_yes(self) -> None:
        text = self.input.value if self._deed.prompt is not None else ""
        wrong = self._deed.check(text) if self._deed.prompt is not None else None
        if wrong is None:
            _ = self.dismiss(text)
        else:
            self.wrong.update(Content(wrong))
            self.input.focus()

    @on(Input.Submitted)
    def _typed(self) -> None:
        """Enter in the field goes on to the question; it is not yet the answer."""
        self.query_one("#yes").focus()
