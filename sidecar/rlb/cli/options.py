"""Options that several commands share, each declared once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from rlb.domain.entry_id import parse_entry_id
from rlb.domain.stream_key import checked_name, stream_key
from rlb.errors import ApiError


def _checked(check: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """A callback that refuses what the sidecar would refuse, as a usage error and without asking it."""

    def callback(value: str | None) -> str | None:
        if value is not None:
            try:
                check(value)
            except ApiError as error:
                raise typer.BadParameter(error.detail) from None
        return value

    return callback


def _check_start(value: str) -> None:
    if value not in ("0", "$"):
        parse_entry_id(value)


check_session = _checked(lambda value: stream_key("rlb", value, "m"))
check_model = _checked(lambda value: stream_key("rlb", "s", value))
check_name = _checked(lambda value: checked_name("group", value))
check_start = _checked(_check_start)
check_entry_id = _checked(parse_entry_id)


def both_or_neither(session: str | None, model: str | None) -> tuple[str, str]:
    """A session and a model that name a stream together.

    Raises:
        typer.BadParameter: one of them is missing.
    """
    return given("--session", session), given("--model", model)


def given(name: str, value: str | None) -> str:
    """The value of an option that has to be there, of a command whose subcommands do not need it.

    Raises:
        typer.BadParameter: it is missing.
    """
    if value is None:
        raise typer.BadParameter(f"{name} is missing")
    return value


def refuse_misplaced(subcommand: str, options: Mapping[str, object | None]) -> None:
    """Refuse options in front of a subcommand, which would not see them; those that are not given are None.

    Raises:
        typer.BadParameter: one is given.
    """
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"{name} belongs behind `{subcommand}`")


SESSION_HELP = "Session id."
MODEL_HELP = "Model id, as its hub or server names it."

SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help="The sidecar's socket; by default $RLB_SOCKET__PATH, else where a sidecar listens by default.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
SessionOption = Annotated[str, typer.Option("--session", "-s", metavar="ID", help=SESSION_HELP, callback=check_session)]
ModelOption = Annotated[str, typer.Option("--model", "-m", metavar="ID", help=MODEL_HELP, callback=check_model)]
OptionalSession = Annotated[
    str | None, typer.Option("--session", "-s", metavar="ID", help=SESSION_HELP, callback=check_session)
]
OptionalModel = Annotated[
    str | None, typer.Option("--model", "-m", metavar="ID", help=MODEL_HELP, callback=check_model)
]
GroupOption = Annotated[str, typer.Option("--group", "-g", metavar="NAME", help="Consumer group.", callback=check_name)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file, YAML or TOML; by default $RLB_CONFIG, if set."),
]
