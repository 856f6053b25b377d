"""The names of the panes of a screen, one of them current."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.widget import Widget


class PaneBar(Widget):
    """One line; a click on a name goes to its pane."""

    def __init__(self, panes: Mapping[str, str]) -> None:
        super().__init__()
        self.titles = dict(panes)
        self.current = next(iter(panes))

    def show(self, current: str, **titles: str) -> None:
        """Mark this pane, and call some by another name: `Pending 17`."""
        self.current = current
        self.titles.update(titles)
        self.refresh()

    def render(self) -> Content:
        parts = [
            f"[reverse bold] {title} [/]" if pane == self.current else f"[@click=screen.pane('{pane}')] {title} [/]"
            for pane, title in self.titles.items()
        ]
        return Content.from_markup(" " + " ".join(parts))
