"""Lists that the sidecar gives page by page: collected up to a limit, and shown with a word on what is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

from rlb.cli.options import check_entry_id
from rlb.cli.output import console, note, print_json

PAGE = 500
SHOWN = 100
"""Items that are shown unless told otherwise."""

Item = TypeVar("Item")

LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Entries to show at most.")]
AfterOption = Annotated[
    str | None, typer.Option("--after", metavar="ID", help="Only those behind this one.", callback=check_entry_id)
]


async def collect(
    ask: Callable[[str | None, int], Awaitable[tuple[Sequence[Item], str | None]]],
    limit: int | None = None,
    after: str | None = None,
) -> list[Item]:
    """All items behind `after`, at most `limit`.

    `ask` gets where to begin and how many at most; it gives a page and where the next one begins, None after the last.
    """
    found: list[Item] = []
    while limit is None or len(found) < limit:
        page, after = await ask(after, PAGE if limit is None else min(PAGE, limit - len(found)))
        found += page
        if after is None:
            break
    return found


def show(
    found: list[Item],
    limit: int,
    *,
    as_json: bool,
    as_table: Callable[[list[Item]], Any],
    id_of: Callable[[Item], str],
    nothing: str,
) -> None:
    """Show what was found, of which one more than `limit` was asked for: it tells whether there is more."""
    shown = found[:limit]
    if as_json:
        print_json(shown)
    elif shown:
        console().print(as_table(shown))
    else:
        note(nothing)
    if len(found) > limit:
        note(f"there are more; go on with --after {id_of(shown[-1])}")
