"""The generated part of docs/rlb-top.md: `make docs` writes it, a test holds the page against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from textual.binding import Binding, BindingType

from rlb_top.app import RlbTopApp
from rlb_top.columns import COLUMNS
from rlb_top.screens.base import MonitorScreen
from rlb_top.screens.columns import ColumnsScreen
from rlb_top.screens.confirm import ConfirmScreen
from rlb_top.screens.help import is_told, key_name
from rlb_top.screens.overview import OverviewScreen
from rlb_top.screens.stream import StreamScreen
from rlb_top.severity import SEVERITIES
from rlb_top.widgets.consumer_table import ConsumerTable
from rlb_top.widgets.pending_table import PendingTable
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.stream_table import StreamTable
from rlb_top.widgets.tail_text import TailText

PAGE = Path(__file__).parent.parent / "docs" / "rlb-top.md"

_BEGIN, _END = "<!-- keys -->\n", "<!-- /keys -->"

PLACES: Mapping[str, tuple[type, ...]] = {
    "Everywhere": (RlbTopApp, MonitorScreen),
    "In every table": (RowTable,),
    "Overview": (OverviewScreen, StreamTable),
    "A stream": (StreamScreen,),
    "Its consumers": (ConsumerTable,),
    "Pending entries": (PendingTable,),
    "The text of a generation": (TailText,),
    "Before an action": (ConfirmScreen,),
    "Picking columns": (ColumnsScreen,),
}
"""Where keys work, and who binds them there."""

_PALETTE = ("^p", "Command palette", "everything that can be done here, by its name, and every stream")


def with_tables(text: str) -> str:
    """The page with its generated part as it is now."""
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}{tables()}\n{end}{tail}"


def tables() -> str:
    """The keys, the columns and the statuses."""
    parts = ["## Keys", "", "| where | key | what |", "|---|---|---|"]
    for place, classes in PLACES.items():
        rows = list(_keys(binding for each in classes for binding in each.__dict__["BINDINGS"]))
        if place == "Everywhere":
            rows.append(_PALETTE)
        for number, (keys, what, more) in enumerate(rows):
            shown = " ".join(f"`{key}`" for key in keys.split())
            parts.append(f"| {'' if number else place} | {shown} | {what}{f' ({more})' if more else ''} |")
    parts += ["", "## Columns", "", "| column | `--sort` | what it says | shown |", "|---|---|---|---|"]
    for column in COLUMNS:
        shown = "if picked" if column.is_optional else "yes"
        parts.append(f"| {column.title} | `{column.id}` | {column.meaning} | {shown} |")
    parts += ["", "## Statuses", "", "The worst first; the mark says it without a colour.", ""]
    parts += ["| status | what it means |", "|---|---|"]
    parts += [f"| {each.text} | {each.meaning} |" for each in SEVERITIES]
    return "\n".join(parts) + "\n"


def _keys(bindings: Iterable[BindingType]) -> Iterator[tuple[str, str, str]]:
    """Keys, what they do, and more on it."""
    for binding in bindings:
        assert isinstance(binding, Binding)
        if is_told(binding):
            keys = " ".join(key_name(key.strip()) for key in binding.key.split(","))
            yield keys, binding.description, binding.tooltip


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
