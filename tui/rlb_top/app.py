"""The application: it reads the source, keeps the picture, and shows a screen of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.theme import Theme

from rlb_top.commands import KeyCommands, StreamCommands
from rlb_top.following import Lost, follow
from rlb_top.messages import SnapshotReceived, SourceEnded, SourceWasLost
from rlb_top.preferences import Preferences
from rlb_top.rows import MODES
from rlb_top.screens.base import MonitorScreen
from rlb_top.screens.generations import GenerationsScreen
from rlb_top.screens.health import HealthScreen
from rlb_top.screens.help import HelpScreen
from rlb_top.screens.overview import OverviewScreen
from rlb_top.source import SnapshotSource
from rlb_top.state import Picture, State
from rlb_top.theme import DEFAULT_THEME, THEMES, with_severities

TICK_S = 1.0
"""How often ages are told anew."""


class RlbTopApp(App[int]):
    """rlb-top on a terminal. It follows the source and closes it; its value is an exit code, None for 0."""

    TITLE = "rlb-top"
    CSS_PATH = "rlb_top.tcss"
    COMMANDS = App.COMMANDS | {KeyCommands, StreamCommands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (120, "-wide")]  # noqa: RUF012 - as in App
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "view('groups')", "Groups", show=False),
        Binding("2", "view('models')", "Models", show=False),
        Binding("3", "view('streams')", "Streams", show=False),
        Binding("4", "view('generations')", "Generations", show=False),
        Binding("5", "view('health')", "Health", show=False),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
    ]

    def __init__(
        self,
        source: SnapshotSource,
        *,
        preferences: Preferences | None = None,
        preferences_path: Path | None = None,
        notes: Sequence[str] = (),
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = State(source, preferences or Preferences(), preferences_path, read_only, clock)
        self._notes = notes
        # Without colours there are none at all: Textual by itself would keep shades of grey.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        for theme in THEMES:
            self.register_theme(theme)
        chosen = self.state.preferences.theme
        self.theme = chosen if chosen in self.available_themes else DEFAULT_THEME
        self.overview = OverviewScreen(self.state)
        self.add_mode("overview", lambda: self.overview)
        self.add_mode("generations", lambda: GenerationsScreen(self.state))
        self.add_mode("health", lambda: HealthScreen(self.state))

    def get_css_variables(self) -> dict[str, str]:
        return with_severities(super().get_css_variables())

    async def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        await self.switch_mode("overview")
        for note in self._notes:
            self.overview.tell(note, is_error=True)
        self.set_interval(TICK_S, self._tick)
        self._read()

    async def on_unmount(self) -> None:
        await self.state.source.close()

    @work(exclusive=True, group="source")
    async def _read(self) -> None:
        """Follow the source. Workers touch no widgets, they post messages."""
        # The history is told there and not where it is shown, as a message may be replaced by the next.
        async for found in follow(self.state.source, self.state.history.add):
            if isinstance(found, Lost):
                self.post_message(SourceWasLost(found))
            else:
                self.post_message(SnapshotReceived(found))
        self.post_message(SourceEnded())

    def on_snapshot_received(self, message: SnapshotReceived) -> None:
        self._present(Picture(message.snapshot, self.state.clock()))

    def on_source_was_lost(self, message: SourceWasLost) -> None:
        before = self.state.picture
        self._present(Picture(before.snapshot, before.received_s, message.lost))

    def on_source_ended(self) -> None:
        before = self.state.picture
        self._present(Picture(before.snapshot, before.received_s, is_over=True))

    async def action_view(self, view: str) -> None:
        """Show one of the views, from wherever."""
        if isinstance(self.screen, ModalScreen):
            return
        await self.switch_mode("overview" if view in MODES else view)
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        if view in MODES:
            self.overview.set_mode(view)

    async def action_help(self) -> None:
        """Tell of the keys that work here."""
        if not isinstance(self.screen, ModalScreen):
            await self.push_screen(HelpScreen(self.screen.active_bindings))

    def _present(self, picture: Picture) -> None:
        """Keep the picture, and show it on the screens that are seen: below a dialog there is one more."""
        self.state.picture = picture
        with self.batch_update():
            for screen in self._seen():
                screen.present(picture)

    def _tick(self) -> None:
        for screen in self._seen():
            screen.tick()

    def _seen(self) -> list[MonitorScreen]:
        seen: list[MonitorScreen] = []
        for screen in reversed(self.screen_stack):
            if isinstance(screen, MonitorScreen):
                seen.append(screen)
            if not screen.is_modal:
                break
        return seen

    def _theme_changed(self, theme: Theme) -> None:
        self.state.remember(self.state.preferences.model_copy(update={"theme": theme.name}))
