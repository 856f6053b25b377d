"""`rlb streams` and `rlb info`: what streams there are, and one of them with its groups."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rlb.cli import text
from rlb.cli.connection import with_bridge
from rlb.cli.group_tables import consumer_table, group_table, worst_lag_of
from rlb.cli.options import JsonOption, OptionalModel, OptionalSession, SocketOption, both_or_neither, check_model
from rlb.cli.output import Justify, console, note, print_json, table
from rlb.cli.overview import facts_of

if TYPE_CHECKING:
    from rich.table import Table

    from rlb.client import Bridge
    from rlb.domain.stream_info import GroupInfo, StreamInfo

PAGE = 500


class Sort(StrEnum):
    """By what streams are sorted: `key`, or the largest first."""

    KEY = "key"
    LENGTH = "length"
    AGE = "age"
    LAG = "lag"
    PENDING = "pending"


class Status(StrEnum):
    """How a group does on a stream, the worst first."""

    LOSING = "losing"
    STOPPED = "stopped"
    STALLED = "stalled"
    REWOUND = "rewound"
    LAGGING = "lagging"
    UNKNOWN = "unknown"
    OK = "ok"


COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("session", "left"),
    ("model", "left"),
    ("length", "right"),
    ("age", "right"),
    ("expires in", "right"),
    ("state", "left"),
    ("in/s", "right"),
    ("groups", "right"),
    ("worst status", "left"),
    ("worst lag", "right"),
    ("pending", "right"),
)


def streams(
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="ID", help="Only this model's.", callback=check_model)
    ] = None,
    sort: Annotated[
        Sort, typer.Option("--sort", metavar="[key|length|age|lag|pending]", help="By key, or the largest first.")
    ] = Sort.KEY,
    status: Annotated[
        Status | None,
        typer.Option("--status", metavar="STATUS", help="Only those on which a group has this status."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Streams to show at most.")] = 100,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """List streams."""
    found, is_all = with_bridge(socket, lambda bridge: fetch_streams(bridge, model, status, sort, limit))
    if as_json:
        print_json(found)
        return
    if not found:
        note("no streams" if model is None else f"no streams of {model}")
        return
    console().print(stream_table(found))
    if not is_all:
        note(f"there are more than {limit}; --limit shows them")


async def fetch_streams(
    bridge: Bridge, model: str | None, status: Status | None, sort: Sort, limit: int
) -> tuple[list[StreamInfo], bool]:
    """Up to `limit` streams, page by page, and whether these are all."""
    found: list[StreamInfo] = []
    cursor = None
    while len(found) < limit:
        count = min(PAGE, limit - len(found))
        page = await bridge.streams(
            model_id=model,
            status=status.value if status is not None else None,
            sort=sort.value,
            limit=count,
            cursor=cursor,
        )
        found += page.streams
        cursor = page.next_cursor
        if cursor is None:
            break
    return found, cursor is None


def stream_table(infos: list[StreamInfo]) -> Table:
    """One row a stream."""
    made = table(COLUMNS)
    for info in infos:
        made.add_row(
            text.printable(info.session_id if info.session_id is not None else info.key),
            text.printable(info.model_id or "-"),
            text.count(info.length),
            text.duration(info.age_seconds) if info.length else "-",
            text.duration(info.ttl_seconds) if info.ttl_seconds is not None else "never",
            state_of(info),
            text.rate(info.write_rate),
            text.count(len(info.groups)),
            worst_status_of(info.groups),
            worst_lag_of(info.groups),
            text.count(sum(group.pending for group in info.groups)),
        )
    return made


def state_of(info: StreamInfo) -> str:
    """Whether the last generation has ended."""
    return {True: "complete", False: "open", None: "-" if not info.length else text.UNKNOWN}[info.complete]


def info(
    session: OptionalSession = None,
    model: OptionalModel = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one stream with its groups and consumers, as it is at this moment; without one, how all of them are."""
    if session is None and model is None:
        snapshot = with_bridge(socket, lambda bridge: bridge.snapshot(limit=0))
        if as_json:
            print_json(snapshot)
        else:
            console().print(grid_of(facts_of(snapshot)))
        return
    session, model = both_or_neither(session, model)
    found = with_bridge(socket, lambda bridge: bridge.stream_info(session, model))
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(grid_of(stream_facts(found)))
    if not found.groups:
        note("no groups")
        return
    out.print()
    out.print(group_table(found.groups))
    if any(group.consumers for group in found.groups):
        out.print()
        out.print(consumer_table(found.groups))


def worst_status_of(groups: Iterable[GroupInfo]) -> str:
    """The worst of the groups' statuses."""
    statuses = {group.status for group in groups}
    return next((status for status in Status if status.value in statuses), "-")


def stream_facts(info: StreamInfo) -> dict[str, str]:
    """Name and value of each fact of a stream."""
    bounds = f"{info.max_length:,} entries" if info.max_length else "no limit on entries"
    age = f"{text.duration(info.retention_ms / 1000)}" if info.retention_ms else "no limit on age"
    expiry = text.duration(info.ttl_seconds) if info.ttl_seconds is not None else "never"
    return {
        "key": text.printable(info.key),
        "entries": f"{text.count(info.length)}, {text.count(info.entries_added)} ever added, "
        f"{text.count(info.entries_trimmed)} trimmed",
        "first": info.first_entry_id or "-",
        "last": info.last_entry_id or "-",
        "state": state_of(info),
        "age": text.duration(info.age_seconds) if info.length else "-",
        "kept": f"{bounds}, {age}",
        "expires in": expiry,
        "written": f"{text.rate(info.write_rate)}/s",
    }


def grid_of(facts: dict[str, str]) -> Table:
    """Facts as two columns."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        grid.add_row(name, value)
    return grid
