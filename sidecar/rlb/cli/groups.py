"""`rlb groups`: the consumer groups of a stream; `rlb groups create` and `rlb groups remove-consumer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlb.cli.connection import with_bridge
from rlb.cli.group_tables import group_table
from rlb.cli.options import (
    GroupOption,
    JsonOption,
    ModelOption,
    OptionalModel,
    OptionalSession,
    SessionOption,
    SocketOption,
    YesOption,
    both_or_neither,
    check_name,
    check_start,
    refuse_misplaced,
)
from rlb.cli.output import confirm, console, note, print_json
from rlb.cli.overview import overview_table, worst_first

app = typer.Typer()

LIMIT = 100
"""Streams whose groups are shown unless told otherwise."""


@app.callback(invoke_without_command=True)
def groups(
    context: typer.Context,
    session: OptionalSession = None,
    model: OptionalModel = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Streams to show.")] = LIMIT,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the consumer groups of a stream, as they are at this moment; without one, those that are worst off."""
    if context.invoked_subcommand is not None:
        options = {
            "--session": session,
            "--model": model,
            "--limit": limit if limit != LIMIT else None,
            "--socket": socket,
            "--json": as_json or None,
        }
        refuse_misplaced(context.invoked_subcommand, options)
        return
    if session is None and model is None:
        _show_worst(socket, limit, as_json=as_json)
        return
    session, model = both_or_neither(session, model)
    found = with_bridge(socket, lambda bridge: bridge.stream_info(session, model)).groups
    if as_json:
        print_json(found)
    elif found:
        console().print(group_table(found))
    else:
        note("no groups; `rlb groups create` makes one")


def _show_worst(socket: Path | None, limit: int, *, as_json: bool) -> None:
    snapshot = with_bridge(socket, lambda bridge: bridge.snapshot(limit=limit))
    if not snapshot.redis.up:
        note(f"this was so at the last poll: Redis is down now, {snapshot.redis.reason or 'for an unknown reason'}")
    pairs = list(worst_first(snapshot.streams))
    if as_json:
        print_json([{"stream": stream.key, "group": group} for stream, group in pairs])
    elif pairs:
        console().print(overview_table(pairs))
        if snapshot.totals.streams > limit:
            note(f"of the {limit} streams that are worst off, of {snapshot.totals.streams:,}; --limit shows more")
    else:
        note("no groups are watched")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new group.", callback=check_name)],
    session: SessionOption,
    model: ModelOption,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            metavar="0|$|ID",
            help="Where the group begins: at the first message, behind the last one, or behind an entry.",
            callback=check_start,
        ),
    ] = "0",
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a consumer group whose lag is known from the start; one that is there stays as it is."""
    created = with_bridge(socket, lambda bridge: bridge.create_group(session, model, name, start=start))
    if as_json:
        print_json({"created": created})
    else:
        print(f"{name}: made" if created else f"{name}: was there")


@app.command()
def remove_consumer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The consumer.", callback=check_name)],
    session: SessionOption,
    model: ModelOption,
    group: GroupOption,
    yes: YesOption = False,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a consumer that has nothing pending from its group, after asking; one that comes back is made anew."""
    confirm(f"Remove {name} from {group} on the stream of {session} {model}?", yes=yes)
    removed = with_bridge(socket, lambda bridge: bridge.remove_consumer(session, model, group, name))
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"{name}: removed" if removed else f"{name}: was not there")
