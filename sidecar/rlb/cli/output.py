"""Ways out: consoles, tables, JSON, questions. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNBOUND_COLUMNS = 1000
"""Width where nobody looks: a table in a pipe is not to be cut to 80 columns."""

Justify = Literal["left", "right"]


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream, width=None if stream.isatty() else UNBOUND_COLUMNS, highlight=False, markup=False, emoji=False
    )


def table(columns: Iterable[tuple[str, Justify]], title: str | None = None) -> Table:
    """An empty table in the one style that all commands have; long ids fold, so that they can still be copied."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", header_style="bold", show_edge=False, pad_edge=False
    )
    for name, justify in columns:
        made.add_column(name, justify=justify, overflow="fold")
    return made


def print_json(value: Any) -> None:
    """The value as JSON: on one line for pipes, indented for a terminal."""
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(_plain(value), ensure_ascii=False, indent=indent), flush=True)


def print_json_line(value: Any) -> None:
    """The value as one line of JSON, wherever it goes."""
    print(json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")), flush=True)


def note(text: str) -> None:
    """A remark on standard error."""
    print(f"rlb: {text}", file=sys.stderr, flush=True)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with a yes: given by `--yes`, or typed.

    Raises:
        typer.BadParameter: there is nobody to ask.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to be asked: give --yes")
    # Typer's own question writes a part of itself to standard output, which belongs to results.
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Abort


def _plain(value: Any) -> Any:
    """Shapes of the API by their names on the wire. They are told by what they offer: pydantic is slow to import."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
