"""The line above the keys: which view this is, how it is cut and sorted, and what came of the last action."""

from __future__ import annotations

from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from rlb_top import format as fmt

VIEWS = ("groups", "models", "streams", "generations", "health")
"""The views in the order of their keys, from 1."""

TOLD_S = 12.0
"""How long a message stays."""

NARROW = 90


class StatusLine(Widget):
    """The views on the left, with a click to each, or for a while a message; on the right what the screen says."""

    def __init__(self, view: str = "") -> None:
        super().__init__()
        self.view = view
        self.right = ""
        self._told: tuple[str, bool] | None = None
        self._timer: Timer | None = None

    @property
    def told(self) -> str | None:
        """The message that is shown."""
        return self._told[0] if self._told is not None else None

    def show(self, right: str, view: str | None = None) -> None:
        """Say this on the right."""
        view = self.view if view is None else view
        if (right, view) != (self.right, self.view):
            self.right, self.view = right, view
            self.refresh()

    def tell(self, text: str, *, is_error: bool = False) -> None:
        """Show a message for a while: the outcome of an action, or why there was none."""
        self._told = (fmt.line(text), is_error)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(TOLD_S, self.hush)
        self.refresh()

    def hush(self) -> None:
        """Take the message away."""
        self._told = None
        self.refresh()

    def render(self) -> Content:
        width = self.size.width
        if self._told is not None:
            text, is_error = self._told
            mark = ("✗", "$text-error bold") if is_error else ("✓", "$text-success bold")
            left = Content.assemble(" ", mark, f" {text}")
            return left.truncate(width, ellipsis=True)
        right = Content.assemble((f"{self.right} ", "$quiet"))
        left = self._views(width).truncate(max(0, width - right.cell_length), ellipsis=True)
        return left.pad_right(max(0, width - right.cell_length - left.cell_length)) + right

    def _views(self, width: int) -> Content:
        parts: list[str] = []
        for number, view in enumerate(VIEWS, 1):
            if view == self.view:
                parts.append(f"[reverse] {number} {view} [/]")
            else:
                name = "" if width < NARROW else f" {view}"
                parts.append(f"[@click=app.view('{view}')] {number}{name} [/]")
        return Content.from_markup(" " + "".join(parts))
