"""The themes: dark, light, and two that do not rest on red and green. Colours are named here and nowhere else.

Every severity is a variable of the theme, `$severity-losing` and so on. A theme that has none, as Textual's own, gets
them from its colours for errors, warnings and success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from textual.color import Color
from textual.theme import Theme

DEFAULT_THEME = "rlb-dark"

_FALLBACKS = {
    "severity-losing": "text-error",
    "severity-stopped": "text-error",
    "severity-stalled": "text-warning",
    "severity-rewound": "text-accent",
    "severity-lagging": "text-warning",
    "severity-unknown": "text-secondary",
    "severity-ok": "text-success",
    "severity-unread": "quiet",
}


class _Ground(NamedTuple):
    """What text stands on, and the text."""

    background: str
    surface: str
    panel: str
    foreground: str
    is_dark: bool


_DARK = _Ground("#11151c", "#171c25", "#212936", "#d7dde6", is_dark=True)
_LIGHT = _Ground("#fbfbf8", "#f1f1ec", "#e2e4de", "#1d2329", is_dark=False)


def _theme(name: str, ground: _Ground, *, primary: str, accent: str, warning: str, **severities: str) -> Theme:
    """A theme; `severities` has a colour for each status."""
    return Theme(
        name=name,
        primary=primary,
        secondary=severities["unknown"],
        accent=accent,
        warning=warning,
        error=severities["stopped"],
        success=severities["ok"],
        foreground=ground.foreground,
        background=ground.background,
        surface=ground.surface,
        panel=ground.panel,
        dark=ground.is_dark,
        variables={f"severity-{status}": colour for status, colour in severities.items()},
    )


THEMES: tuple[Theme, ...] = (
    _theme(
        "rlb-dark",
        _DARK,
        primary="#6cb2ff",
        accent="#c792ea",
        warning="#f2c14e",
        losing="#ff5c8a",
        stopped="#ff6b6b",
        stalled="#ff9e4a",
        rewound="#c792ea",
        lagging="#f2c14e",
        unknown="#93a4bd",
        ok="#7fd48a",
        unread="#6f7d92",
    ),
    _theme(
        "rlb-light",
        _LIGHT,
        primary="#1f5fbf",
        accent="#6b2fa0",
        warning="#8a5a00",
        losing="#b0004e",
        stopped="#b3261e",
        stalled="#a84300",
        rewound="#6b2fa0",
        lagging="#7a5c00",
        unknown="#56606d",
        ok="#1c7c3c",
        unread="#7a8490",
    ),
    # Colours that keep apart for every kind of colour blindness, after the set of Okabe and Ito.
    _theme(
        "rlb-colour-blind",
        _DARK,
        primary="#56b4e9",
        accent="#cc79a7",
        warning="#f0e442",
        losing="#ff8fc8",
        stopped="#e9711c",
        stalled="#e69f00",
        rewound="#cc79a7",
        lagging="#f0e442",
        unknown="#a5b0bf",
        ok="#56b4e9",
        unread="#7f8c9f",
    ),
    _theme(
        "rlb-colour-blind-light",
        _LIGHT,
        primary="#0072b2",
        accent="#8e3f6f",
        warning="#7d6f00",
        losing="#8e0f5b",
        stopped="#b34700",
        stalled="#8f6200",
        rewound="#8e3f6f",
        lagging="#6d6100",
        unknown="#56606d",
        ok="#0072b2",
        unread="#7a8490",
    ),
)


def with_severities(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a theme, and `$quiet` and a colour for each severity where it does not name one."""
    found = dict(variables)
    front, ground = Color.parse(found["foreground"]), Color.parse(found["background"])
    found.setdefault("quiet", "ansi_bright_black" if front.ansi is not None else front.blend(ground, 0.42).hex)
    for name, fallback in _FALLBACKS.items():
        found.setdefault(name, found[fallback])
    return found
