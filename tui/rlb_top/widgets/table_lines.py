"""The lines of a table, each from its cells. Styles are the table's component classes, so colours are in the theme.

What a line says and how it looks are apart: whether it has changed is seen from its words, which costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from rlb_top.widgets.cells import cell
from rlb_top.widgets.table_layout import Placed, RowT
from rlb_top.widgets.tones import MUTED, TONES, dimmed

COMPONENTS: set[str] = {
    "table--header",
    "table--header-sorted",
    "table--row",
    "table--cursor",
    "table--cursor-blurred",
    "table--empty",
    *(f"table--{tone}" for tone in TONES),
}

Tone = Callable[[RowT, str], str | None]
"""The tone of a row's cell in the column of this id."""


class Line(NamedTuple):
    """What a line says: the component class of its ground, and its cells with a class each, or None."""

    ground: str
    cells: tuple[tuple[str, str | None], ...]


def header_line(placed: Sequence[Placed[RowT]], sorted_by: tuple[str, bool] | None) -> Line:
    """The titles, with an arrow at the column that the rows are sorted by."""
    name, is_descending = sorted_by or (None, False)
    arrow = "▼" if is_descending else "▲"
    cells: list[tuple[str, str | None]] = []
    for column, _, width in placed:
        title, style = column.title.upper(), None
        if column.id == name:
            title, style = f"{arrow}{title}" if column.justify == "right" else f"{title}{arrow}", "table--header-sorted"
        cells.append((cell(title, width, column.justify), style))
    return Line("table--header", tuple(cells))


def row_line(placed: Sequence[Placed[RowT]], row: RowT, tone_of: Tone[RowT], ground: str) -> Line:
    """A row on the ground of this class."""
    cells: list[tuple[str, str | None]] = []
    for column, _, width in placed:
        text = column.text(row)
        tone = MUTED if dimmed(text) else tone_of(row, column.id)
        cells.append((cell(text, width, column.justify), f"table--{tone}" if tone else None))
    return Line(ground, tuple(cells))


def blank_line(text: str, width: int) -> Line:
    """A line without a row; the text, if there is any, in its middle."""
    return Line("table--empty", ((text.center(width)[:width], None),))


def painted(table: Widget, line: Line, placed: Sequence[Placed[RowT]], width: int) -> Strip:
    """The line as it looks, its cells at their places, one cell in from the left."""
    style = table.get_component_rich_style(line.ground)
    if line.ground == "table--empty":
        return Strip([Segment(line.cells[0][0], style)], width)
    # Without colours the cursor is the other way round, and a tone would leave holes in it.
    has_tones = not style.reverse
    segments = [Segment(" ", style)]
    x = 1
    for (text, name), place in zip(line.cells, placed, strict=True):
        if place.x + 1 > x:
            segments.append(Segment(" " * (place.x + 1 - x), style))
        if has_tones and name is not None:
            segments.append(Segment(text, style + table.get_component_rich_style(name, partial=True)))
        else:
            segments.append(Segment(text, style))
        x = place.x + 1 + place.width
    if x <= width:
        segments.append(Segment(" " * (width - x), style))
        return Strip(segments, width)
    return Strip(segments, x).crop(0, width)
