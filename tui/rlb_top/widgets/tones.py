"""Which cells stand out, and as what. Pure: a tone is the end of a component class, its colour is in the theme."""

from __future__ import annotations

from rlb_top import format as fmt
from rlb_top.rows import Row
from rlb_top.severity import SEVERITIES

MUTED = "muted"
NAME = "name"

TONES: tuple[str, ...] = (*(severity.status for severity in SEVERITIES), MUTED, NAME)
"""Every tone there is: the severities, what is not worth a look, and what the row is called."""

SOON_S = 60.0
"""Headroom below which data is as good as lost."""

LATER_S = 600.0

_CALM = frozenset(("ok", "unread", "unknown"))
_NAMES = frozenset(("group", "session", "model"))


def tone_of(row: Row, column: str) -> str | None:
    """The tone of a row's cell; None is plain text."""
    if column == "status":
        return row.status
    if column == "lost":
        return "losing" if row.lost else _known(row.lost)
    if column == "headroom":
        left_s = row.headroom_s
        return MUTED if left_s is None else "losing" if left_s < SOON_S else "lagging" if left_s < LATER_S else None
    if column == "lag":
        return _known(row.lag) if row.status in _CALM else row.status
    if column == "lag_s":
        return _known(row.lag and row.lag_s) if row.status in _CALM else row.status
    if column == "reason":
        return row.status if row.status not in _CALM else MUTED
    if column in _NAMES:
        return NAME if column in ("group", "session") else None
    return None


def _known(number: float | None) -> str | None:
    """What is not known stands out a little, a 0 steps back."""
    return "unknown" if number is None else MUTED if number == 0 else None


def dimmed(text: str) -> bool:
    """Whether a cell's text says that there is nothing to say."""
    return text in (fmt.NONE, "0", "0s")
