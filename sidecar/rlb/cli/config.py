"""`rlb config`: the settings that a sidecar would start with, and the schema of a settings file."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rlb.cli.options import ConfigOption, JsonOption
from rlb.cli.output import console, print_json


def config(
    file: ConfigOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a settings file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the effective settings, from file and environment, with secrets masked.

    As YAML, which is a settings file again where it holds no secret.
    """
    from rlb.settings import effective, json_schema, load_settings

    if schema:
        print_json(json_schema())
        return
    settings = effective(load_settings(file))
    if as_json:
        print_json(settings)
        return
    import yaml

    document = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=1000)
    if sys.stdout.isatty():
        console().print(_coloured(document))
    else:
        print(document, end="")


def _coloured(document: str) -> object:
    """The names of the settings stand out from their values."""
    from rich.text import Text

    shown = Text(document.rstrip("\n"))
    shown.highlight_regex(r"(?m)^\w+:", "bold")
    shown.highlight_regex(r"(?m)^ +\w+:", "cyan")
    return shown
