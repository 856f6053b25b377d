"""`rlb trim` and `rlb delete`: what takes entries away."""

from __future__ import annotations

from typing import Annotated

import typer

from rlb.cli import text
from rlb.cli.connection import with_bridge
from rlb.cli.options import JsonOption, ModelOption, SessionOption, SocketOption, YesOption
from rlb.cli.output import confirm, print_json


def _older_than_ms(value: str) -> int:
    try:
        return text.parse_duration_ms(value)
    except ValueError as error:
        raise typer.BadParameter(f"expected {error}") from None


def trim(
    session: SessionOption,
    model: ModelOption,
    max_length: Annotated[
        int | None, typer.Option("--max-length", metavar="N", min=0, help="Keep the newest N entries.")
    ] = None,
    older_than_ms: Annotated[
        int | None,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Remove what is older, such as 90s, 10m or 1.5h.",
            parser=_older_than_ms,
        ),
    ] = None,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the oldest entries of a stream, read or not."""
    if (max_length is None) == (older_than_ms is None):
        raise typer.BadParameter("give one of --max-length and --older-than")
    removed = with_bridge(
        socket,
        lambda bridge: bridge.trim_stream(session, model, max_length=max_length, older_than_ms=older_than_ms),
    )
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"{text.plural(removed, 'entry')} removed")


def delete(
    session: SessionOption,
    model: ModelOption,
    yes: YesOption = False,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a stream with its groups, after asking."""
    confirm(f"Delete the stream of {session} {model} with all its entries and groups?", yes=yes)
    with_bridge(socket, lambda bridge: bridge.delete_stream(session, model))
    if as_json:
        print_json({"deleted": True})
    else:
        print("deleted")
