"""The monitor's last poll as tables: `rlb groups` without a stream, and `rlb info` without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rlb.cli import text
from rlb.cli.group_tables import behind_of, lag_of
from rlb.cli.output import Justify, table

if TYPE_CHECKING:
    from rich.table import Table

    from rlb.domain.snapshot import Snapshot
    from rlb.domain.stream_info import GroupInfo, StreamInfo

COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("status", "left"),
    ("group", "left"),
    ("session", "left"),
    ("model", "left"),
    ("lag", "right"),
    ("behind by", "right"),
    ("in/s", "right"),
    ("out/s", "right"),
    ("pending", "right"),
    ("lost", "right"),
    ("headroom", "right"),
)

SEVERITY = ("losing", "stopped", "stalled", "rewound", "lagging", "unknown", "ok")


def worst_first(streams: Iterable[StreamInfo]) -> Iterator[tuple[StreamInfo, GroupInfo]]:
    """Every group on every stream, the worst first."""
    pairs = [(stream, group) for stream in streams for group in stream.groups]
    pairs.sort(key=lambda pair: (SEVERITY.index(pair[1].status), -(pair[1].lag_seconds or 0), -(pair[1].lag or 0)))
    yield from pairs


def overview_table(pairs: Iterable[tuple[StreamInfo, GroupInfo]]) -> Table:
    """One row a group on a stream."""
    made = table(COLUMNS)
    for stream, group in pairs:
        made.add_row(
            group.status,
            text.printable(group.group),
            text.printable(stream.session_id if stream.session_id is not None else stream.key),
            text.printable(stream.model_id or "-"),
            lag_of(group),
            behind_of(group),
            text.rate(stream.write_rate),
            text.rate(group.read_rate),
            text.count(group.pending),
            text.count(group.lost_unread),
            text.duration(group.headroom_seconds) if group.headroom_seconds is not None else "-",
        )
    return made


def facts_of(snapshot: Snapshot) -> dict[str, str]:
    """Name and value of each fact of a snapshot as a whole."""
    redis, totals, sidecar = snapshot.redis, snapshot.totals, snapshot.sidecar
    skew = f", its clock is {redis.clock_skew_seconds * 1000:+.0f} ms off" if redis.clock_skew_seconds else ""
    unknown = f", {text.count(totals.unknown_lag)} of unknown lag" if totals.unknown_lag else ""
    state = f"up{skew}" if redis.up else "down"
    return {
        "sidecar": f"{sidecar.version} at {text.printable(sidecar.instance)}"
        f"{', stands by: another polls' if sidecar.leads is False else ''}",
        "redis": f"{redis.version or text.UNKNOWN}, {state}{f' ({redis.reason})' if redis.reason else ''}",
        "watched": f"{text.plural(totals.streams, 'stream')} (scope {sidecar.scope}), "
        f"{text.plural(totals.groups, 'group')}{unknown}",
        "tokens": f"{text.rate(totals.tokens_in)}/s in, {text.rate(totals.tokens_out)}/s out",
        "behind by": text.duration(totals.worst_lag_seconds) if totals.groups else "-",
        "lost unread": text.count(totals.lost_unread),
        "generations": f"{len(snapshot.generations)} open, "
        f"{sum(each.state == 'stalled' for each in snapshot.generations)} stalled",
    }
