"""The lines of a table, each from its cells. Styles are the table's component classes, so colours are in the theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.segment import Segment
from rich.style import Style
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


def header_line(table: Widget, placed: Sequence[Placed[RowT]], sorted_by: tuple[str, bool] | None, width: int) -> Strip:
    """The titles, with an arrow at the column that the rows are sorted by."""
    usual = table.get_component_rich_style("table--header")
    highlighted = table.get_component_rich_style("table--header-sorted")
    name, is_descending = sorted_by or (None, False)
    arrow = "▼" if is_descending else "▲"
    cells: list[tuple[str, Style]] = []
    for column, _, cells_wide in placed:
        title, style = column.title.upper(), usual
        if column.id == name:
            title, style = f"{arrow}{title}" if column.justify == "right" else f"{title}{arrow}", highlighted
        cells.append((cell(title, cells_wide, column.justify), style))
    return _joined(cells, placed, usual, width)


def row_line(
    table: Widget, placed: Sequence[Placed[RowT]], row: RowT, tone_of: Tone[RowT], under: str, width: int
) -> Strip:
    """A row on the ground that `under` names: `row`, `cursor` or `cursor-blurred`."""
    style = table.get_component_rich_style(f"table--{under}")
    # Without colours the cursor is the other way round, and a tone would leave holes in it.
    has_tones = not style.reverse
    cells: list[tuple[str, Style]] = []
    for column, _, cells_wide in placed:
        text, tint = column.text(row), style
        if has_tones and (tone := MUTED if dimmed(text) else tone_of(row, column.id)):
            tint += table.get_component_rich_style(f"table--{tone}", partial=True)
        cells.append((cell(text, cells_wide, column.justify), tint))
    return _joined(cells, placed, style, width)


def blank_line(table: Widget, text: str, width: int) -> Strip:
    """A line without a row; the text, if there is any, in its middle."""
    style = table.get_component_rich_style("table--empty")
    return Strip([Segment(text.center(width)[:width], style)], width)


def _joined(cells: Sequence[tuple[str, Style]], placed: Sequence[Placed[RowT]], style: Style, width: int) -> Strip:
    """The cells at their places, one cell in from the left."""
    segments = [Segment(" ", style)]
    x = 1
    for (text, cell_style), place in zip(cells, placed, strict=True):
        if place.x + 1 > x:
            segments.append(Segment(" " * (place.x + 1 - x), style))
        segments.append(Segment(text, cell_style))
        x = place.x + 1 + place.width
    return Strip(segments).adjust_cell_length(width, style)
