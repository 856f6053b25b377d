"""The commands and their order in the help. Importing this must stay cheap: what a command needs, it imports itself."""

from __future__ import annotations

from typing import Annotated

import typer

from rlb._version import __version__
from rlb.cli import acl, config, dead_letters, groups, health, observe, pending, produce, removal, run, streams, tail
from rlb.cli.demo import command as demo

SIDECAR = "Sidecar"
TOKENS = "Tokens"
STREAMS = "Streams and groups"

app = typer.Typer(
    name="rlb",
    help="Carry the tokens of language models through Redis Streams, over a Unix socket.",
    epilog="Exit codes: 0, 1 failed, 2 usage, 69 sidecar or Redis unreachable, 78 bad settings.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _print_version(*, asked: bool) -> None:
    if asked:
        print(f"rlb {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback does it all
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=lambda asked: _print_version(asked=asked)
        ),
    ] = False,
) -> None:
    """Carry the tokens of language models through Redis Streams, over a Unix socket."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


for panel, commands in {
    SIDECAR: (run.run, observe.observe, demo.demo, health.health, config.config, acl.acl),
    TOKENS: (produce.produce, tail.tail),
    STREAMS: (streams.streams, streams.info, removal.trim, removal.delete),
}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(groups.app, name="groups", rich_help_panel=STREAMS)
app.add_typer(pending.app, name="pending", rich_help_panel=STREAMS)
app.add_typer(dead_letters.app, name="dlq", rich_help_panel=STREAMS)
