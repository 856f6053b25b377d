"""What a column is, and the ways in which rows are put into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from rlb_top import format as fmt
from rlb_top.history import Trend
from rlb_top.row import MODES, Mode, Row
from rlb_top.severity import BY_STATUS, RANKS

Justify = Literal["left", "right"]

ARROWS: dict[Trend | None, str] = {"rising": "↑", "falling": "↓", "steady": "→", None: " "}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. What is not said of one suits a number that is the worse the greater it is."""

    id: str
    title: str
    meaning: str
    width: int
    value: Callable[[Row], Any] = field(repr=False)
    """What it is about: text, a number or None; what `--once` tells of it."""
    text: Callable[[Row], str] = field(repr=False)
    """That for the eye."""
    order: Callable[[Row], Any] | None = field(default=None, repr=False)
    """What it is sorted by, if not by `value`: of one type for all rows, or None, which comes last either way."""
    justify: Justify = "right"
    is_descending: bool = True
    """Whether the first sorting by it has the greatest first."""
    priority: int = 5
    """Those of a higher number are the first to give way in a narrow terminal."""
    grows: bool = False
    """Whether it takes a share of the room that is left; `width` is its least then."""
    is_optional: bool = False
    """Whether it is shown only when it is picked."""
    modes: tuple[Mode, ...] = MODES

    @property
    def sort_value(self) -> Callable[[Row], Any]:
        """Gives what a row is sorted by; None is unknown."""
        return self.order or self.value


def lag_text(row: Row) -> str:
    """The lag with how well it is known: `1,000`, `≥1,000` where it may be more, `?`; nothing without a group."""
    if not row.infos:
        return fmt.NONE
    return f"≥{fmt.count(row.lag)}" if row.lag is not None and row.lag_quality == "bounded" else fmt.count(row.lag)


def behind_text(row: Row) -> str:
    """The age of the oldest unread entry, and where it is going."""
    if not row.infos:
        return fmt.NONE
    is_level = row.lag == 0 and row.lag_quality != "bounded"
    return f"{fmt.NONE if is_level else fmt.duration(row.lag_s)} {ARROWS[row.trend]}"


def status_text(row: Row) -> str:
    return BY_STATUS[row.status].text


def worst(row: Row) -> tuple[int, float, int]:
    return RANKS[row.status], row.lag_s or 0.0, row.lag or 0


def oldest_text(row: Row) -> str:
    return fmt.duration(row.oldest_s) if row.pending else fmt.NONE


def group_count(row: Row) -> int:
    return len(row.infos)


def _of_stream(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.stream, name) if row.stream is not None else None


def shown(get: Callable[[Row], Any], show: Callable[[Any], str], *, of_group: bool = False) -> Callable[[Row], str]:
    """A number by itself; what is of a group is not there where none reads."""
    return lambda row: fmt.NONE if of_group and not row.infos else show(get(row))


def seconds_if_any(seconds: float | None) -> str:
    """What is not known because there is none: the headroom of a group that will lose nothing, no expiry."""
    return fmt.duration(seconds) if seconds is not None else fmt.NONE


def attribute(name: str, show: Callable[[Any], str], *, of_group: bool = False) -> tuple[Any, Any]:
    """An attribute of a row, and its text."""
    get = attrgetter(name)
    return get, shown(get, show, of_group=of_group)


def stream_attribute(name: str, show: Callable[[Any], str]) -> tuple[Any, Any]:
    """An attribute of the row's stream, and its text."""
    get = _of_stream(name)
    return get, shown(get, show)


def name(name: str) -> tuple[Any, Any, Any]:
    """An attribute that is foreign text, its text for a cell, and the same in one case."""
    get = attrgetter(name)
    return (
        get,
        lambda row: fmt.line(get(row) or fmt.NONE),
        lambda row: found.casefold() if (found := get(row)) else None,
    )
