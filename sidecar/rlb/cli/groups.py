"""`rlb groups`: the consumer groups of a stream, and `rlb groups create`."""

from __future__ import annotations

from typing import Annotated

import typer

from rlb.cli.connection import with_bridge
from rlb.cli.group_tables import group_table
from rlb.cli.options import (
    MODEL_HELP,
    SESSION_HELP,
    JsonOption,
    ModelOption,
    SessionOption,
    SocketOption,
    check_model,
    check_name,
    check_session,
    check_start,
)
from rlb.cli.output import console, note, print_json

app = typer.Typer()


@app.callback(invoke_without_command=True)
def groups(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Option("--session", "-s", metavar="ID", help=SESSION_HELP, callback=check_session)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="ID", help=MODEL_HELP, callback=check_model)
    ] = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the consumer groups of a stream: `rlb groups -s ID -m ID`."""
    if context.invoked_subcommand is not None:
        given = {"--session": session, "--model": model, "--socket": socket, "--json": as_json or None}
        if misplaced := [name for name, value in given.items() if value is not None]:
            raise typer.BadParameter(f"{misplaced[0]} belongs behind `{context.invoked_subcommand}`")
        return
    for name, value in (("--session", session), ("--model", model)):
        if value is None:
            raise typer.BadParameter(f"{name} is missing")
    assert session is not None
    assert model is not None
    found = with_bridge(socket, lambda bridge: bridge.stream_info(session, model)).groups
    if as_json:
        print_json(found)
    elif found:
        console().print(group_table(found))
    else:
        note("no groups; `rlb groups create` makes one")


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
