"""`rlb dlq`: the entries that a group could not handle; look at them, have them delivered again, drop them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from rlb.cli import text
from rlb.cli.connection import with_bridge
from rlb.cli.options import GroupOption, JsonOption, SocketOption, YesOption, check_entry_id
from rlb.cli.output import Justify, confirm, console, note, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from rlb.client import Bridge, DeadLetter

PAGE = 500
BATCH = 100
"""Dead letters that one request handles; between two of them the progress moves."""
SHOWN_TEXT = 40

COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("id", "left"),
    ("stream", "left"),
    ("entry", "left"),
    ("deliveries", "right"),
    ("consumer", "left"),
    ("reason", "left"),
    ("token", "left"),
)

app = typer.Typer(no_args_is_help=True, help="Dead letters: list them, have them delivered again, drop them.")


def _check_ids(values: list[str] | None) -> list[str] | None:
    for value in values or ():
        check_entry_id(value)
    return values


IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids as `rlb dlq list` shows them.", callback=_check_ids),
]
AllOption = Annotated[bool, typer.Option("--all", help="All that there are now.")]


@app.command("list")
def list_letters(
    group: GroupOption,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Dead letters to show at most.")] = 100,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Only those behind this one.", callback=check_entry_id)
    ] = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a group's dead letters, oldest first."""
    # One more than is shown tells whether there are more.
    found = with_bridge(socket, lambda bridge: fetch_letters(bridge, group, limit + 1, after))
    shown = found[:limit]
    if as_json:
        print_json(shown)
    elif shown:
        console().print(letter_table(shown))
    else:
        note(f"no dead letters of {group}")
    if len(found) > limit:
        note(f"there are more; go on with --after {shown[-1].id}")


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

        await _in_batches("replaying", wanted, one_batch)
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

        await _in_batches("dropping", wanted, one_batch)
        return sum(counts)

    dropped = with_bridge(socket, work)
    if as_json:
        print_json({"dropped": dropped})
    else:
        print(f"{text.plural(dropped, 'dead letter')} dropped")


async def fetch_letters(
    bridge: Bridge, group: str, limit: int | None = None, after: str | None = None
) -> list[DeadLetter]:
    """The dead letters that there are, oldest first, page by page; at most `limit`."""
    found: list[DeadLetter] = []
    while limit is None or len(found) < limit:
        count = PAGE if limit is None else min(PAGE, limit - len(found))
        page = await bridge.dead_letters(group, after=after, limit=count)
        found += page
        if len(page) < count:
            break
        after = page[-1].id
    return found


async def _in_batches(doing: str, ids: list[str], handle: Callable[[list[str]], Awaitable[None]]) -> None:
    """Hand the ids on in batches; shows how far it is where it takes long enough to be seen."""
    from rich.progress import Progress

    # The bar disappears when all is done: what remains is the result.
    with Progress(console=console(stderr=True), transient=True, disable=len(ids) <= BATCH) as progress:
        task = progress.add_task(doing, total=len(ids))
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            await handle(batch)
            progress.advance(task, len(batch))


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
