"""Facts: names with their values, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from rlb_top.widgets.cells import fitted_content

COLUMN = 38
"""Cells that a fact takes, and in a narrow terminal."""

NARROW_COLUMN = 29

NAME = 12


class Fact(NamedTuple):
    """A name with its value; `style` is for what stands out."""

    name: str
    value: str
    style: str = ""


class Facts(Widget):
    """A heading over the whole width, then the facts. Those that do not fit the height are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.heading: Fact | None = None
        self.facts: Sequence[Fact] = ()

    def show(self, heading: Fact, facts: Sequence[Fact]) -> None:
        """Show these instead, the more telling ones first."""
        is_longer = len(facts) != len(self.facts)
        self.heading, self.facts = heading, facts
        self.refresh(layout=is_longer)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - of Widget
        return 1 + -(-len(self.facts) // _columns(width))

    def render(self) -> Content:
        width, heading = self.size.width, self.heading
        if heading is None:
            return Content("")
        columns = _columns(width)
        wide = width // columns
        rows = min(-(-len(self.facts) // columns), self.size.height - 1)
        lines = [_fact(heading, width)]
        for row in range(rows):
            line = Content("")
            # Down the columns, as a list is read.
            for fact in self.facts[: rows * columns][row::rows]:
                line += _fact(fact, wide - 1) + Content(" ")
            lines.append(line)
        return Content("\n").join(lines)


def _columns(width: int) -> int:
    return max(1, width // (COLUMN if width >= 2 * COLUMN else NARROW_COLUMN))


def _fact(fact: Fact, width: int) -> Content:
    name, value, style = fact
    return fitted_content(Content.assemble((f" {name:<{NAME}} ", "$quiet"), (value, style)), width)
