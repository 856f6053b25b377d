"""Many ids on one command line: checked before anything is asked, and handled a batch at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rlb.cli.options import check_entry_id
from rlb.cli.output import console

BATCH = 100
"""Ids that one request handles; between two of them the progress moves."""


def check_ids(values: list[str] | None) -> list[str] | None:
    """A callback that refuses what is no entry id."""
    for value in values or ():
        check_entry_id(value)
    return values


async def in_batches(doing: str, ids: list[str], handle: Callable[[list[str]], Awaitable[None]]) -> None:
    """Hand the ids on in batches; shows how far it is where it takes long enough to be seen."""
    from rich.progress import Progress

    # The bar disappears when all is done: what remains is the result.
    with Progress(console=console(stderr=True), transient=True, disable=len(ids) <= BATCH) as progress:
        task = progress.add_task(doing, total=len(ids))
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            await handle(batch)
            progress.advance(task, len(batch))
