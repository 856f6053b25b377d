"""`rlb health`, for command lines that `probe` leaves to the full parser, and for the help."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rlb.cli.options import JsonOption, SocketOption
from rlb.cli.probe import TIMEOUT_S, Question, answer


class About(StrEnum):
    """What to ask for."""

    LIVE = "live"
    READY = "ready"
    ALL = "all"


def health(
    about: Annotated[
        About,
        typer.Argument(
            help="live: the process turns. ready: it takes requests. all: every component is up, Redis included.",
            metavar="[live|ready|all]",
        ),
    ] = About.ALL,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="S", min=0.05, help="Seconds to wait.")] = TIMEOUT_S,
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the sidecar how it is: exit code 0 if well, 1 if not or if nobody answers."""
    raise typer.Exit(answer(Question(about.value, socket, timeout_s, as_json)))
