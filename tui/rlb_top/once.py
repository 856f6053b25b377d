"""`rlb-top --once`: one picture on standard output, as a table, JSON or CSV."""

from __future__ import annotations

import asyncio
import csv
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing

from rich.cells import cell_len, set_cell_size

from rlb.domain.snapshot import Snapshot
from rlb_top import format as fmt
from rlb_top.arguments import Arguments
from rlb_top.columns import Column, columns_of
from rlb_top.rows import Mode, Row
from rlb_top.source import SnapshotSource, SourceLostError
from rlb_top.sources.opening import INTERVAL_S, asked_sort
from rlb_top.view import parse_query, view_of

WAIT_S = 15.0
"""How long a first poll may take."""

GAP = "  "


async def print_once(source: SnapshotSource, arguments: Arguments) -> int:
    """Print one snapshot.

    Raises:
        SourceLostError: there is none.
        UsageError: there is no such column to sort by.
    """
    mode: Mode = arguments.mode or "groups"
    sort = asked_sort(arguments.sort or "status", mode)
    # Rates are known only from the second poll on; a sidecar has polled before.
    is_first = source.kind == "redis"
    if is_first and (source.interval_s or INTERVAL_S) > INTERVAL_S:
        await source.set_interval(INTERVAL_S)  # somebody waits for it
    snapshot = await _taken(source, polls=2 if is_first else 1)
    rows = view_of(snapshot, mode, sort=sort, query=parse_query(arguments.words))
    match arguments.format:
        case "json":
            print(snapshot.model_dump_json(by_alias=True, indent=2 if sys.stdout.isatty() else None))
        case "csv":
            _print_csv(rows, columns_of(mode, [column.id for column in columns_of(mode)] + ["length", "reason"]))
        case "table":
            for line in table_lines(source.name, snapshot, rows, columns_of(mode)):
                print(line)
    sys.stdout.flush()
    return 0


async def _taken(source: SnapshotSource, polls: int) -> Snapshot:
    """A snapshot after so many polls; what there is by then if they take too long."""
    latest: Snapshot | None = None
    times: set[float] = set()
    try:
        async with asyncio.timeout(WAIT_S), aclosing(source.watch()) as snapshots:
            async for snapshot in snapshots:
                latest = snapshot
                if snapshot.at is not None:
                    times.add(snapshot.at)
                if snapshot.sidecar.scope == "off" or _is_enough(snapshot, len(times), polls):
                    break
    except TimeoutError:
        pass
    if latest is None:
        raise SourceLostError(f"nothing came from {source.name} within {WAIT_S:g} s")
    return latest


def _is_enough(snapshot: Snapshot, seen: int, polls: int) -> bool:
    """Whether so many polls have told what they can; where two came at one moment, the next one tells the rates."""
    if polls == 1 or not polls <= seen < 2 * polls:
        return seen >= polls
    return all(stream.write_rate is not None for stream in snapshot.streams)


def table_lines(source: str, snapshot: Snapshot, rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    """The table as lines, aligned; in a terminal the names are cut until it fits."""
    yield from headline(source, snapshot)
    yield ""
    if not rows:
        yield "no streams" if not snapshot.streams else "nothing matches"
        return
    texts = [[column.text(row) for column in columns] for row in rows]
    widths = [
        max(cell_len(column.title), *(cell_len(line[index]) for line in texts)) for index, column in enumerate(columns)
    ]
    if sys.stdout.isatty():
        _narrow(widths, columns, shutil.get_terminal_size().columns)
    yield _line([column.title for column in columns], columns, widths)
    for texts_of_row in texts:
        yield _line(texts_of_row, columns, widths)


def headline(source: str, snapshot: Snapshot) -> list[str]:
    """What the snapshot says of all streams together."""
    redis, totals = snapshot.redis, snapshot.totals
    state = "up" if redis.up else "down"
    reason = f" ({fmt.line(redis.reason)})" if redis.reason else ""
    left_out = totals.streams - len(snapshot.streams)
    shown = f", the {len(snapshot.streams):,} worst shown" if left_out > 0 else ""
    unknown = f", {fmt.count(totals.unknown_lag)} of unknown lag" if totals.unknown_lag else ""
    counts = (
        f"{fmt.plural(totals.streams, 'stream')}{shown}, {fmt.plural(totals.groups, 'group')}{unknown}; "
        f"{fmt.rate(totals.tokens_in)}/s in, {fmt.rate(totals.tokens_out)}/s out; "
        f"{fmt.duration(totals.worst_lag_seconds) if totals.groups else fmt.NONE} behind at the worst; "
        f"{fmt.count(totals.lost_unread)} lost unread"
    )
    return [f"{fmt.line(source)}: {redis.version or 'Redis'}, {state}{reason}", counts]


def _narrow(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Take from the widest names, one column of the terminal at a time, as far as they may be cut."""
    growing = [index for index, column in enumerate(columns) if column.grows]
    while sum(widths) + len(GAP) * (len(widths) - 1) > room:
        cut = [index for index in growing if widths[index] > columns[index].width]
        if not cut:
            return
        widths[max(cut, key=lambda index: widths[index])] -= 1


def _line(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    cells = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        fitted = fmt.shortened(text, width) if cell_len(text) > width else text
        pad = " " * (width - cell_len(fitted))
        cells.append(pad + fitted if column.justify == "right" else set_cell_size(fitted, width))
    return GAP.join(cells).rstrip()


def _print_csv(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """The numbers themselves, in entries, seconds and entries a second; what is unknown is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*(column.id for column in columns), "lag_quality"])
    for row in rows:
        writer.writerow([*(column.value(row) for column in columns), row.lag_quality])
