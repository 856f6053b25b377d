"""The groups of one stream."""

from __future__ import annotations

from rlb_top.columns import COLUMNS
from rlb_top.rows import Row
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.tones import tone_of

_OF_THE_STREAM = ("session", "model", "in", "length", "bytes", "age", "ttl", "reason")
"""What all groups of a stream have in common, or is told elsewhere."""


def group_table() -> RowTable[Row]:
    """A table of groups, the worst first."""
    columns = [column for column in COLUMNS if "groups" in column.modes and column.id not in _OF_THE_STREAM]
    return RowTable(columns, key=lambda row: row.key, tone=tone_of, id="groups")
