"""The keys of every table: the arrows, and those of vi."""

from __future__ import annotations

from textual.binding import Binding, BindingType

MOVE = Binding.Group("Move")
"""Keys that move: the palette does not offer them."""

KEYS: list[BindingType] = [
    Binding("down,j", "move(1)", "Down", show=False, group=MOVE),
    Binding("up,k", "move(-1)", "Up", show=False, group=MOVE),
    Binding("pagedown,ctrl+d,ctrl+f", "page(1)", "Page down", show=False, group=MOVE),
    Binding("pageup,ctrl+u,ctrl+b", "page(-1)", "Page up", show=False, group=MOVE),
    Binding("home,g", "first", "To the top, and stay there", show=False, group=MOVE),
    Binding("end,G", "last", "To the bottom", show=False, group=MOVE),
    Binding("enter,l,right", "open", "Open", key_display="⏎", tooltip="what the row is about"),
]
