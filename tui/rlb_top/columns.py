"""The columns of the table: what each shows, how it is sorted, and which give way when there is no room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from rlb_top import format as fmt
from rlb_top.history import Trend
from rlb_top.rows import MODES, Mode, Row
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


def _status_text(row: Row) -> str:
    return BY_STATUS[row.status].text


def _worst(row: Row) -> tuple[int, float, int]:
    return RANKS[row.status], row.lag_s or 0.0, row.lag or 0


def _oldest_text(row: Row) -> str:
    return fmt.duration(row.oldest_s) if row.pending else fmt.NONE


def _group_count(row: Row) -> int:
    return len(row.infos)


def _of_stream(name: str) -> Callable[[Row], Any]:
    return lambda row: getattr(row.stream, name) if row.stream is not None else None


def _shown(get: Callable[[Row], Any], show: Callable[[Any], str], *, of_group: bool = False) -> Callable[[Row], str]:
    """A number by itself; what is of a group is not there where none reads."""
    return lambda row: fmt.NONE if of_group and not row.infos else show(get(row))


def _seconds_if_any(seconds: float | None) -> str:
    """What is not known because there is none: the headroom of a group that will lose nothing, no expiry."""
    return fmt.duration(seconds) if seconds is not None else fmt.NONE


def _attribute(name: str, show: Callable[[Any], str], *, of_group: bool = False) -> tuple[Any, Any]:
    """An attribute of a row, and its text."""
    get = attrgetter(name)
    return get, _shown(get, show, of_group=of_group)


def _stream_attribute(name: str, show: Callable[[Any], str]) -> tuple[Any, Any]:
    """An attribute of the row's stream, and its text."""
    get = _of_stream(name)
    return get, _shown(get, show)


def _name(name: str) -> tuple[Any, Any, Any]:
    """An attribute that is foreign text, its text for a cell, and the same in one case."""
    get = attrgetter(name)
    return (
        get,
        lambda row: fmt.line(get(row) or fmt.NONE),
        lambda row: found.casefold() if (found := get(row)) else None,
    )


COLUMNS: tuple[Column, ...] = (
    Column(
        *("status", "status", "how the group does", 10, attrgetter("status"), _status_text, _worst),
        justify="left",
        priority=0,
    ),
    Column(
        *("group", "group", "the consumer group", 8, *_name("group")),
        justify="left",
        is_descending=False,
        priority=1,
        grows=True,
        modes=("groups", "models"),
    ),
    Column(
        *("session", "session", "the session, or the stream's key", 10, *_name("session")),
        justify="left",
        is_descending=False,
        priority=2,
        grows=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("model", "model", "the model", 8, *_name("model")),
        justify="left",
        is_descending=False,
        priority=4,
        grows=True,
    ),
    Column(
        *("streams", "streams", "streams of the model that the group reads", 7, *_attribute("streams", fmt.count)),
        priority=6,
        modes=("models",),
    ),
    Column(
        *("groups", "groups", "groups that read it", 6, _group_count, _shown(_group_count, fmt.count)),
        priority=8,
        modes=("streams",),
    ),
    Column("lag", "lag", "entries not read yet", 9, attrgetter("lag"), lag_text, priority=1),
    Column(
        *("lag_s", "behind", "age of the oldest entry not read yet, and whether it grows", 8),
        *(attrgetter("lag_s"), behind_text),
        priority=0,
    ),
    Column("in", "in/s", "entries written a second", 6, *_attribute("in_rate", fmt.rate), priority=6),
    Column("out", "out/s", "entries read a second", 6, *_attribute("out_rate", fmt.rate, of_group=True), priority=6),
    Column(
        *("pending", "pending", "entries delivered and not acknowledged", 7),
        *_attribute("pending", fmt.count, of_group=True),
    ),
    Column(
        *("oldest", "oldest", "age of the oldest pending entry", 6, attrgetter("oldest_s"), _oldest_text),
        priority=7,
    ),
    Column(
        *("headroom", "headroom", "time until unread entries are removed", 8),
        *_attribute("headroom_s", _seconds_if_any),
        is_descending=False,
    ),
    Column(
        *("lost", "lost", "entries removed unread, at least", 7, *_attribute("lost", fmt.count, of_group=True)),
        priority=3,
    ),
    Column(
        *("consumers", "cons", "consumers", 4, *_attribute("consumers", fmt.count, of_group=True)),
        priority=8,
    ),
    Column(
        *("length", "length", "entries kept", 9, *_attribute("length", fmt.count)),
        priority=9,
        is_optional=True,
    ),
    Column(
        *("bytes", "memory", "memory of the stream", 6, *_stream_attribute("bytes", fmt.size)),
        priority=9,
        is_optional=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("age", "age", "age of the oldest entry kept", 6, *_stream_attribute("age_seconds", _seconds_if_any)),
        priority=9,
        is_optional=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("ttl", "expires", "time until the stream expires", 7, *_stream_attribute("ttl_seconds", _seconds_if_any)),
        is_descending=False,
        priority=9,
        is_optional=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("reason", "reason", "why the status is not ok", 20, *_name("reason")),
        justify="left",
        is_descending=False,
        priority=9,
        grows=True,
        is_optional=True,
    ),
)

BY_ID: dict[str, Column] = {column.id: column for column in COLUMNS}


def columns_of(mode: Mode, picked: Sequence[str] | None = None) -> list[Column]:
    """The columns of a mode in their order: those that were picked, by their ids, or those shown by default."""
    there = [column for column in COLUMNS if mode in column.modes]
    if picked is None:
        return [column for column in there if not column.is_optional]
    return [column for column in there if column.id in picked] or there[:1]
