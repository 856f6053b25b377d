"""The columns of the table: what each shows, how it is sorted, and which give way when there is no room."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from rlb_top import format as fmt
from rlb_top.column import (
    ARROWS,
    Column,
    attribute,
    behind_text,
    group_count,
    lag_text,
    name,
    oldest_text,
    seconds_if_any,
    shown,
    status_text,
    stream_attribute,
    worst,
)
from rlb_top.row import Mode

__all__ = ["ARROWS", "BY_ID", "COLUMNS", "Column", "columns_of", "lag_text"]

COLUMNS: tuple[Column, ...] = (
    Column(
        *("status", "status", "how the group does", 10, attrgetter("status"), status_text, worst),
        justify="left",
        priority=0,
    ),
    Column(
        *("group", "group", "the consumer group", 8, *name("group")),
        justify="left",
        is_descending=False,
        priority=1,
        grows=True,
        modes=("groups", "models"),
    ),
    Column(
        *("session", "session", "the session, or the stream's key", 10, *name("session")),
        justify="left",
        is_descending=False,
        priority=2,
        grows=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("model", "model", "the model", 8, *name("model")),
        justify="left",
        is_descending=False,
        priority=4,
        grows=True,
    ),
    Column(
        *("streams", "streams", "streams of the model that the group reads", 7, *attribute("streams", fmt.count)),
        priority=6,
        modes=("models",),
    ),
    Column(
        *("groups", "groups", "groups that read it", 6, group_count, shown(group_count, fmt.count)),
        priority=8,
        modes=("streams",),
    ),
    Column("lag", "lag", "entries not read yet", 9, attrgetter("lag"), lag_text, priority=1),
    Column(
        *("lag_s", "behind", "age of the oldest entry not read yet, and whether it grows", 8),
        *(attrgetter("lag_s"), behind_text),
        priority=0,
    ),
    Column("in", "in/s", "entries written a second", 6, *attribute("in_rate", fmt.rate), priority=6),
    Column("out", "out/s", "entries read a second", 6, *attribute("out_rate", fmt.rate, of_group=True), priority=6),
    Column(
        *("pending", "pending", "entries delivered and not acknowledged", 7),
        *attribute("pending", fmt.count, of_group=True),
    ),
    Column(
        *("oldest", "oldest", "age of the oldest pending entry", 6, attrgetter("oldest_s"), oldest_text),
        priority=7,
    ),
    Column(
        *("headroom", "headroom", "time until unread entries are removed", 8),
        *attribute("headroom_s", seconds_if_any),
        is_descending=False,
    ),
    Column(
        *("lost", "lost", "entries removed unread, at least", 7, *attribute("lost", fmt.count, of_group=True)),
        priority=3,
    ),
    Column(
        *("consumers", "cons", "consumers", 4, *attribute("consumers", fmt.count, of_group=True)),
        priority=8,
    ),
    Column(
        *("length", "length", "entries kept", 9, *attribute("length", fmt.count)),
        priority=9,
        is_optional=True,
    ),
    Column(
        *("bytes", "memory", "memory of the stream", 6, *stream_attribute("bytes", fmt.size)),
        priority=9,
        is_optional=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("age", "age", "age of the oldest entry kept", 6, *stream_attribute("age_seconds", seconds_if_any)),
        priority=9,
        is_optional=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("ttl", "expires", "time until the stream expires", 7, *stream_attribute("ttl_seconds", seconds_if_any)),
        is_descending=False,
        priority=9,
        is_optional=True,
        modes=("groups", "streams"),
    ),
    Column(
        *("reason", "reason", "why the status is not ok", 20, *name("reason")),
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
