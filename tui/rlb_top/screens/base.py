"""What all screens of the monitor have in common: the line at the top, the status line, the keys, and the picture."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from rlb_top.deeds import Deed
from rlb_top.faults import words_of
from rlb_top.pace import change_pace, pace_text, toggle
from rlb_top.screens.confirm import ConfirmScreen
from rlb_top.state import Picture, State
from rlb_top.widgets.consumer_table import Wanted
from rlb_top.widgets.status_line import StatusLine
from rlb_top.widgets.top_line import TopLine

_STEP = Binding.Group("Step", compact=True)


class MonitorScreen(Screen[None]):
    """A screen that shows pictures. The app hands each to the screens that are seen; others catch up later."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "back", "Back", key_display="esc", tooltip="to the screen before"),
        Binding("plus,equals_sign", "pace(1)", "Pictures more often", key_display="+", show=False),
        Binding("minus", "pace(-1)", "Pictures less often", key_display="-", show=False),
        Binding("comma", "step(-1)", "A picture back", key_display=",", group=_STEP),
        Binding("full_stop", "step(1)", "A picture on", key_display=".", group=_STEP),
        Binding("p", "play", "Play", tooltip="or pause the recording"),
    ]
    VIEW: ClassVar[str] = ""
    """The view that the screen belongs to, one of `status_line.VIEWS`."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.top_line = TopLine(state)
        self.status_line = StatusLine(self.VIEW)

    def compose(self) -> ComposeResult:
        yield self.top_line
        yield from self.body()
        yield self.status_line
        yield Footer(compact=True)

    @abstractmethod
    def body(self) -> ComposeResult:
        """What is between the line at the top and the status line."""

    @abstractmethod
    def show(self, picture: Picture) -> None:
        """Show the picture, or what is new of it."""

    def said(self) -> str:
        """What the status line says on the right."""
        return pace_text(self.state.source)

    def present(self, picture: Picture) -> None:
        """Show the picture, dimmed if the source is away."""
        if not self.is_mounted:
            return
        snapshot = picture.snapshot
        self.set_class(picture.lost is not None or (snapshot is not None and not snapshot.redis.up), "-stale")
        self.top_line.show(picture)
        self.show(picture)
        self.status_line.show(self.said())

    def tick(self) -> None:
        """A second has passed: ages have grown."""
        self.top_line.refresh()
        self.status_line.show(self.said())

    def tell(self, text: str, *, is_error: bool = False) -> None:
        """Say something in the status line, for a while."""
        self.status_line.tell(text, is_error=is_error)

    def on_screen_resume(self) -> None:
        self.present(self.state.picture)

    def on_mount(self) -> None:
        self.present(self.state.picture)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("step", "play"):
            return self.state.source.playback is not None
        if action == "pace":
            return self.state.source.playback is not None or self.state.source.kind != "recording"
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        if len(self.app.screen_stack) > 1:
            _ = self.dismiss()
        else:
            self.app.call_later(self.app.run_action, "view('groups')")

    async def action_pace(self, step: int) -> None:
        try:
            self.tell(await change_pace(self.state.source, step))
        except ValueError as error:
            self.tell(str(error), is_error=True)

    def action_step(self, frames: int) -> None:
        if self.state.source.playback is not None:
            self.state.source.playback.step(frames)

    def action_play(self) -> None:
        if self.state.source.playback is not None:
            toggle(self.state.source.playback)
            self.status_line.show(self.said())

    @on(Wanted)
    def _wanted(self, event: Wanted) -> None:
        event.stop()
        self.carry_out(event.deed)

    @work(group="deeds")
    async def carry_out(self, deed: Deed) -> None:
        """Ask whether it is meant, do it, and say what came of it."""
        answer = await self.app.push_screen_wait(ConfirmScreen(deed))
        if answer is None:
            self.tell(f"{deed.title}: not done")
            return
        try:
            self.tell(await deed.perform(answer))
        except Exception as error:  # noqa: BLE001 - of whatever kind: see faults
            self.tell(f"{deed.title}: {words_of(error)}", is_error=True)
        self.done()

    def done(self) -> None:
        """Something was done: what is shown of it is out of date."""
