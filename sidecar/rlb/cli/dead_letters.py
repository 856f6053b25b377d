"""`rlb dlq`: the entries that a group could not handle; look at them, add to them, deliver them again, drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rlb.cli import pending, text
from rlb.cli.batches import check_ids, in_batches
from rlb.cli.connection import with_bridge
from rlb.cli.options import (
    GroupOption,
    JsonOption,
    ModelOption,
    SessionOption,
    SocketOption,
    YesOption,
)
from rlb.cli.output import Justify, confirm, note, print_json, table
from rlb.cli.paging import SHOWN, AfterOption, LimitOption, collect, show

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rich.table import Table

    from rlb.client import Bridge, DeadLetter

SHOWN_TEXT = 40
MAX_REASON = 256

COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("id", "left"),
    ("stream", "left"),
    ("entry", "left"),
    ("deliveries", "right"),
    ("consumer", "left"),
    ("reason", "left"),
    ("token", "left"),
)

app = typer.Typer(
    no_args_is_help=True, help="Dead letters: list them, add to them, have them delivered again, drop them."
)


IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids as `rlb dlq list` shows them.", callback=check_ids),
]
AllOption = Annotated[bool, typer.Option("--all", help="All that there are now.")]


@app.command("list")
def list_letters(
    group: GroupOption,
    limit: LimitOption = SHOWN,
    after: AfterOption = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a group's dead letters, oldest first."""
    found = with_bridge(socket, lambda bridge: fetch_letters(bridge, group, limit + 1, after))
    show(
        found,
        limit,
        as_json=as_json,
        as_table=letter_table,
        id_of=lambda letter: letter.id,
        nothing=f"no dead letters of {group}",
    )


def _check_reason(value: str | None) -> str | None:
    if value is not None and len(value) > MAX_REASON:
        raise typer.BadParameter(f"expected at most {MAX_REASON} characters")
    return value


@app.command()
def add(
    session: SessionOption,
    model: ModelOption,
    group: GroupOption,
    ids: pending.IdsArgument = None,
    source: pending.FromOption = None,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason",
            metavar="TEXT",
            help="Kept with them; by default, why an app refused the entry last.",
            callback=_check_reason,
        ),
    ] = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set pending entries aside as dead letters, so that the group goes on without them; `replay` brings them back.

    Exit code 1 if an entry that was named is not pending.
    """

    def change(bridge: Bridge, batch: list[str]) -> Awaitable[int]:
        return bridge.bury(session, model, group, batch, reason)

    where = session, model, group
    buried, named = with_bridge(
        socket, lambda bridge: pending.change_pending(bridge, where, ids, source, change, "setting aside")
    )
    if as_json:
        print_json({"buried": buried})
    else:
        print(f"{text.plural(buried, 'entry')} set aside")
    pending.fail_unless_all(buried, named)


@app.command()
def replay(
    group: GroupOption,
    ids: IdsArgument = None,
    every: AllOption = False,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have dead letters delivered again, to the group that gave them up.

    Exit code 1 if a stream no longer holds the entry of one; its dead letter stays.
    """
    chosen = _chosen(ids, every=every)

    async def work(bridge: Bridge) -> tuple[list[str], list[str]]:
        wanted = chosen if chosen is not None else [letter.id for letter in await fetch_letters(bridge, group)]
        replayed: list[str] = []

        async def one_batch(batch: list[str]) -> None:
            replayed.extend(await bridge.replay_dead_letters(group, batch))

        await in_batches("replaying", wanted, one_batch)
        return replayed, sorted(set(wanted) - set(replayed))

    replayed, left = with_bridge(socket, work)
    if as_json:
        print_json({"replayed": replayed, "left": left})
    else:
        print(f"{text.plural(len(replayed), 'dead letter')} delivered again")
    if left:
        note(f"{len(left)} not: no such dead letter, or its stream no longer holds the entry, the first is {left[0]}")
        raise typer.Exit(1)


@app.command()
def drop(
    group: GroupOption,
    ids: IdsArgument = None,
    every: AllOption = False,
    yes: YesOption = False,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters for good, after asking."""
    chosen = _chosen(ids, every=every)
    what = "all dead letters" if chosen is None else text.plural(len(chosen), "dead letter")
    confirm(f"Delete {what} of {group} for good?", yes=yes)

    async def work(bridge: Bridge) -> int:
        wanted = chosen if chosen is not None else [letter.id for letter in await fetch_letters(bridge, group)]
        counts: list[int] = []

        async def one_batch(batch: list[str]) -> None:
            counts.append(await bridge.drop_dead_letters(group, batch))

        await in_batches("dropping", wanted, one_batch)
        return sum(counts)

    dropped = with_bridge(socket, work)
    if as_json:
        print_json({"dropped": dropped})
    else:
        print(f"{text.plural(dropped, 'dead letter')} dropped")


async def fetch_letters(
    bridge: Bridge, group: str, limit: int | None = None, after: str | None = None
) -> list[DeadLetter]:
    """The dead letters that there are, oldest first; at most `limit`."""

    async def page(after: str | None, count: int) -> tuple[list[DeadLetter], str | None]:
        letters = await bridge.dead_letters(group, after=after, limit=count)
        return letters, letters[-1].id if len(letters) == count else None

    return await collect(page, limit, after)


def _chosen(ids: list[str] | None, *, every: bool) -> list[str] | None:
    """The ids that were given; None for all of them."""
    if every == bool(ids):
        raise typer.BadParameter("give ids, or --all")
    return None if every else list(dict.fromkeys(ids or ()))


def letter_table(letters: list[DeadLetter]) -> Table:
    """One row a dead letter."""
    made = table(COLUMNS)
    for letter in letters:
        made.add_row(
            letter.id,
            text.printable(letter.stream),
            letter.entry_id,
            text.count(letter.deliveries),
            text.printable(letter.consumer),
            text.printable(letter.reason),
            repr(text.tail_end(letter.message.token, SHOWN_TEXT)) if letter.message is not None else "-",
        )
    return made
