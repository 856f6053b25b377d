"""Groups and consumers as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rlb.cli import text
from rlb.cli.output import Justify, table

if TYPE_CHECKING:
    from rich.table import Table

    from rlb.domain.stream_info import GroupInfo

GROUP_COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("group", "left"),
    ("status", "left"),
    ("lag", "right"),
    ("behind by", "right"),
    ("out/s", "right"),
    ("pending", "right"),
    ("oldest pending", "right"),
    ("lost", "right"),
    ("headroom", "right"),
    ("last delivered", "left"),
    ("consumers", "right"),
)
CONSUMER_COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("consumer", "left"),
    ("of group", "left"),
    ("state", "left"),
    ("pending", "right"),
    ("idle", "right"),
    ("inactive", "right"),
)


def group_table(groups: Iterable[GroupInfo]) -> Table:
    """One row a group."""
    made = table(GROUP_COLUMNS)
    for group in groups:
        made.add_row(
            text.printable(group.group),
            group.status,
            lag_of(group),
            behind_of(group),
            text.rate(group.read_rate),
            text.count(group.pending),
            text.duration(group.oldest_pending_seconds) if group.pending else "-",
            text.count(group.lost_unread),
            text.duration(group.headroom_seconds) if group.headroom_seconds is not None else "-",
            group.last_delivered_id,
            text.count(len(group.consumers)),
        )
    return made


def consumer_table(groups: Iterable[GroupInfo]) -> Table:
    """One row a consumer."""
    made = table(CONSUMER_COLUMNS)
    for group in groups:
        for consumer in group.consumers:
            made.add_row(
                text.printable(consumer.consumer),
                text.printable(group.group),
                consumer.state,
                text.count(consumer.pending),
                text.duration(consumer.idle_seconds),
                text.duration(consumer.inactive_seconds),
            )
    return made


def lag_of(group: GroupInfo) -> str:
    """The lag, with how well it is known: a number, a range, or `?`."""
    if group.lag is None:
        return text.UNKNOWN
    if group.lag_quality == "bounded":
        return f"{group.lag:,} to {text.count(group.lag_upper_bound)}"
    return text.count(group.lag)


def behind_of(group: GroupInfo) -> str:
    """The age of the oldest undelivered entry."""
    return text.duration(group.lag_seconds) if group.lag != 0 else "-"


def worst_lag_of(groups: Iterable[GroupInfo]) -> str:
    """The largest lag; `≥` where that of a group is not known exactly, and so may be larger."""
    groups = tuple(groups)
    known = [group.lag for group in groups if group.lag is not None]
    if not groups:
        return "-"
    if not known:
        return text.UNKNOWN
    is_sure = len(known) == len(groups) and all(group.lag_quality != "bounded" for group in groups)
    return text.count(max(known)) if is_sure else f"≥ {max(known):,}"
