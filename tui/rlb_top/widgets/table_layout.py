"""Which columns of a table fit a width, and how wide each is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from rich.cells import cell_len

RowT = TypeVar("RowT")
RowT_contra = TypeVar("RowT_contra", contravariant=True)

WIDEST = 60
"""A column grows to what its texts need, and to so many cells at most."""


class TableColumn(Protocol[RowT_contra]):
    """What a table has to know of a column; those of the overview are in `rlb_top.columns`."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def width(self) -> int:
        """The least cells that it takes."""
        ...

    @property
    def justify(self) -> Literal["left", "right"]: ...
    @property
    def grows(self) -> bool:
        """Whether it takes a share of the room that is left."""
        ...

    @property
    def priority(self) -> int:
        """0 never gives way; the greatest gives way first."""
        ...

    @property
    def text(self) -> Callable[[RowT_contra], str]: ...


@dataclass(frozen=True)
class PlainColumn(Generic[RowT]):
    """A column of a table that is not sorted by hand."""

    id: str
    title: str
    width: int
    text: Callable[[RowT], str] = field(repr=False)
    justify: Literal["left", "right"] = "right"
    priority: int = 5
    grows: bool = False


class Placed(NamedTuple, Generic[RowT_contra]):
    """A column at its place: `x` cells from the left, `width` cells wide."""

    column: TableColumn[RowT_contra]
    x: int
    width: int


def fitted(
    columns: Sequence[TableColumn[RowT]], width: int, *, gap: int = 1, needs: Mapping[str, int] | None = None
) -> list[Placed[RowT]]:
    """The columns that fit `width` cells, `gap` apart; the last of the least important gives way first.

    `needs` is how many cells the texts of a column would take, by its id: those that grow are not made wider.
    """
    kept = list(columns)
    while len(kept) > 1 and sum(column.width for column in kept) + gap * (len(kept) - 1) > width:
        last = max(range(len(kept)), key=lambda index: (kept[index].priority, index))
        if kept[last].priority == 0:
            break
        del kept[last]
    room = width - sum(column.width for column in kept) - gap * (len(kept) - 1)
    widths = _grown(kept, room, needs or {})
    placed: list[Placed[RowT]] = []
    x = 0
    for column, cells in zip(kept, widths, strict=True):
        placed.append(Placed(column, x, cells))
        x += cells + gap
    return placed


def _grown(columns: Sequence[TableColumn[RowT]], room: int, needs: Mapping[str, int]) -> list[int]:
    """The widths, with the room handed out to those that grow."""
    widths = [column.width for column in columns]
    growing = [index for index, column in enumerate(columns) if column.grows]
    while room > 0 and growing:
        share = max(1, room // len(growing))
        for index in list(growing):
            most = min(WIDEST, needs.get(columns[index].id, WIDEST))
            more = max(0, min(share, room, most - widths[index]))
            widths[index] += more
            room -= more
            if widths[index] >= most:
                growing.remove(index)
    return widths


class Needs:
    """Cells that the texts seen so far take in the columns that grow. They never shrink under somebody's eyes."""

    def __init__(self) -> None:
        self.cells: dict[str, int] = {}

    def note(self, columns: Sequence[TableColumn[RowT]], rows: Sequence[RowT]) -> bool:
        """Take these rows in; whether they need more than those before."""
        has_grown = False
        for column in columns:
            if column.grows:
                need = max((cell_len(column.text(row)) for row in rows), default=0)
                if need > self.cells.get(column.id, 0):
                    self.cells[column.id], has_grown = need, True
        return has_grown
