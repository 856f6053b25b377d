"""Text cut and padded to the cells of a terminal. Pure."""

from __future__ import annotations

from typing import Literal

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from rlb_top import format as fmt


def cell(text: str, width: int, justify: Literal["left", "right"] = "left") -> str:
    """The text in exactly so many cells; of what is too long a name loses its middle, a sentence its end."""
    if text.isascii():
        if len(text) > width:
            return _cut(text, width)
        return text.rjust(width) if justify == "right" else text.ljust(width)
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(_cut(text, width), width)
    padding = " " * (width - cells)
    return f"{padding}{text}" if justify == "right" else f"{text}{padding}"


def _cut(text: str, width: int) -> str:
    return f"{text[: width - 1]}…" if " " in text and width > 1 else fmt.shortened(text, width)


def fitted_content(content: Content, width: int) -> Content:
    """The content in exactly so many cells."""
    shorter = content.truncate(max(0, width), ellipsis=True)
    return shorter.pad_right(max(0, width - shorter.cell_length))
