"""Help: the keys that work where it was asked for, and what the marks mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from rlb_top.severity import SEVERITIES
from rlb_top.widgets.cells import cell

KEYS_WIDE = 15

_NAMES = {
    "enter": "⏎",
    "escape": "esc",
    "slash": "/",
    "space": "space",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "comma": ",",
    "full_stop": ".",
    "question_mark": "?",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "shift+tab": "⇧tab",
}

_EVERYWHERE = frozenset(("app.focus_next", "app.focus_previous", "screen.copy_text"))


class HelpScreen(ModalScreen[None]):
    """Made from the active bindings, so it cannot say what is not so."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", "Close", key_display="esc"),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, bindings: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._lines = key_lines(bindings.values())
        self.scroll = VerticalScroll(Static(self._content(), classes="lines"), classes="dialog")

    def compose(self) -> ComposeResult:
        self.scroll.border_title = "Keys here"
        yield self.scroll
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.scroll.focus()

    def _content(self) -> Content:
        lines = [
            Content.assemble(
                (cell(keys, KEYS_WIDE), "$accent bold"), (name, "bold"), (f"  {more}" if more else "", "$quiet")
            )
            for keys, name, more in self._lines
        ]
        lines += [Content(""), Content.assemble(("What a status means", "$primary bold"))]
        lines += [
            Content.assemble((cell(each.text, KEYS_WIDE), f"$severity-{each.status} bold"), each.meaning)
            for each in SEVERITIES
        ]
        lines += [
            Content(""),
            Content.assemble((cell("↑ ↓ →", KEYS_WIDE), "bold"), "behind more, less, or the same as half a minute ago"),
            Content.assemble((cell("? ≥", KEYS_WIDE), "bold"), "not known; at least so many"),
        ]
        return Content("\n").join(lines)

    def action_leave(self) -> None:
        _ = self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.scroll.scroll_relative(y=lines, animate=False)


def key_name(key: str) -> str:
    """A key as it is written on it."""
    if key in _NAMES:
        return _NAMES[key]
    return key.replace("ctrl+", "^")


def is_told(binding: Binding) -> bool:
    """Whether the binding is worth a line: those that every Textual app has are not."""
    return bool(binding.description) and not binding.system and binding.action not in _EVERYWHERE


def key_lines(bindings: Iterable[ActiveBinding]) -> list[tuple[str, str, str]]:
    """Keys, what they do, and more on it: one line for each action that may be taken now."""
    keys: dict[tuple[str, str], list[str]] = {}
    more: dict[tuple[str, str], str] = {}
    for _, binding, is_enabled, tooltip in sorted(bindings, key=lambda found: not found.binding.show):
        if is_enabled and is_told(binding):
            action = (binding.action, binding.description)
            keys.setdefault(action, []).append(key_name(binding.key))
            more[action] = tooltip or binding.tooltip
    return [(" ".join(names), action[1], more[action]) for action, names in keys.items()]
