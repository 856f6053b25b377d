"""`rlb pending`: what a group was handed and has not acknowledged; `rlb pending claim` hands it to another consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rlb.cli import text
from rlb.cli.batches import check_ids, in_batches
from rlb.cli.connection import with_bridge
from rlb.cli.options import (
    GroupOption,
    JsonOption,
    ModelOption,
    OptionalModel,
    OptionalSession,
    SessionOption,
    SocketOption,
    check_name,
    given,
    refuse_misplaced,
)
from rlb.cli.output import Justify, note, print_json, table
from rlb.cli.paging import SHOWN, AfterOption, LimitOption, collect, show

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rich.table import Table

    from rlb.client import Bridge, PendingInfo

COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("entry", "left"),
    ("consumer", "left"),
    ("idle", "right"),
    ("deliveries", "right"),
)

IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ENTRY]...", help="Entry ids as `rlb pending` shows them.", callback=check_ids),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="NAME", help="All that this consumer has pending, instead of ids.", callback=check_name
    ),
]

app = typer.Typer()


@app.callback(invoke_without_command=True)
def pending(
    context: typer.Context,
    session: OptionalSession = None,
    model: OptionalModel = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", metavar="NAME", help="Consumer group.", callback=check_name)
    ] = None,
    consumer: Annotated[
        str | None, typer.Option("--consumer", metavar="NAME", help="Only this one's.", callback=check_name)
    ] = None,
    limit: LimitOption = SHOWN,
    after: AfterOption = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a group was handed of a stream and has not acknowledged, without what it holds, lowest ids first."""
    if context.invoked_subcommand is not None:
        options = {
            "--session": session,
            "--model": model,
            "--group": group,
            "--consumer": consumer,
            "--limit": limit if limit != SHOWN else None,
            "--after": after,
            "--socket": socket,
            "--json": as_json or None,
        }
        refuse_misplaced(context.invoked_subcommand, options)
        return
    where = given("--session", session), given("--model", model), given("--group", group)
    found = with_bridge(socket, lambda bridge: fetch_pending(bridge, where, consumer, limit + 1, after))
    show(
        found,
        limit,
        as_json=as_json,
        as_table=pending_table,
        id_of=lambda entry: entry.entry_id,
        nothing=f"nothing is pending for {consumer or where[2]}",
    )


@app.command()
def claim(
    session: SessionOption,
    model: ModelOption,
    group: GroupOption,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Who gets the entries.", callback=check_name)],
    ids: IdsArgument = None,
    source: FromOption = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand pending entries to another consumer, however short they have been idle.

    If it reads, it gets them at once. Exit code 1 if an entry that was named is not pending.
    """

    def change(bridge: Bridge, batch: list[str]) -> Awaitable[int]:
        return bridge.claim(session, model, group, to, batch)

    where = session, model, group
    claimed, named = with_bridge(socket, lambda bridge: change_pending(bridge, where, ids, source, change, "claiming"))
    if as_json:
        print_json({"claimed": claimed})
    else:
        print(f"{text.plural(claimed, 'entry')} handed to {to}")
    fail_unless_all(claimed, named)


async def fetch_pending(
    bridge: Bridge,
    where: tuple[str, str, str],
    consumer: str | None,
    limit: int | None = None,
    after: str | None = None,
) -> list[PendingInfo]:
    """What a group has pending, the lowest ids first; at most `limit`."""

    async def page(after: str | None, count: int) -> tuple[Sequence[PendingInfo], str | None]:
        answer = await bridge.pending(*where, consumer=consumer, after=after, limit=count)
        return answer.pending, answer.next_after

    return await collect(page, limit, after)


async def change_pending(
    bridge: Bridge,
    where: tuple[str, str, str],
    ids: list[str] | None,
    source: str | None,
    change: Callable[[Bridge, list[str]], Awaitable[int]],
    doing: str,
) -> tuple[int, int]:
    """Do something to entries that were named, or to all that a consumer has; gives to how many, and how many named.

    Raises:
        typer.BadParameter: neither of the two is given, or both.
    """
    if bool(ids) == (source is not None):
        raise typer.BadParameter("give entry ids, or --from")
    wanted = list(dict.fromkeys(ids or ()))
    if source is not None:
        wanted = [entry.entry_id for entry in await fetch_pending(bridge, where, source)]
    counts: list[int] = []

    async def one_batch(batch: list[str]) -> None:
        counts.append(await change(bridge, batch))

    await in_batches(doing, wanted, one_batch)
    return sum(counts), len(wanted) if source is None else sum(counts)


def fail_unless_all(done: int, named: int) -> None:
    """End with exit code 1 if entries that were named were not pending."""
    if done < named:
        note(f"{named - done} not: not pending, or no longer in the stream")
        raise typer.Exit(1)


def pending_table(entries: list[PendingInfo]) -> Table:
    """One row an entry."""
    made = table(COLUMNS)
    for entry in entries:
        made.add_row(
            entry.entry_id,
            text.printable(entry.consumer),
            text.duration(entry.idle_seconds),
            text.count(entry.deliveries),
        )
    return made
