"""The view: a snapshot's rows, filtered by words and sorted by a column. Pure, and fast enough for 10,000 rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, NamedTuple

from rlb.domain.snapshot import Snapshot
from rlb_top.columns import BY_ID, COLUMNS, Column, columns_of
from rlb_top.rows import MODES, GroupRow, Mode, ModelRow, Row, StreamRow, Trends, build_rows, no_trends
from rlb_top.severity import RowStatus

__all__ = [
    "COLUMNS",
    "MODES",
    "WORST_FIRST",
    "Column",
    "GroupRow",
    "Mode",
    "ModelRow",
    "Query",
    "Row",
    "Sort",
    "StreamRow",
    "Word",
    "arranged",
    "build_rows",
    "columns_of",
    "parse_query",
    "sort_of",
    "status_counts",
    "view_of",
]

_PARTS = ("status", "model", "session", "group")


@dataclass(frozen=True, slots=True)
class Sort:
    """By which column, and whether against the direction that is usual for it."""

    column: str = "status"
    is_reversed: bool = False

    @property
    def is_descending(self) -> bool:
        """Whether the greatest comes first."""
        return BY_ID[self.column].is_descending != self.is_reversed

    def by(self, column: str) -> Sort:
        """Sorted by this column; if it is so already, the other way round."""
        return replace(self, is_reversed=not self.is_reversed) if column == self.column else Sort(column)


WORST_FIRST = Sort()


def sort_of(text: str, mode: Mode) -> Sort:
    """The sorting that somebody has named: a column's id, with `-` before it for the other way round.

    Raises:
        ValueError: this mode has no such column; the text names those that it has.
    """
    name = text.removeprefix("-")
    there = [column.id for column in COLUMNS if mode in column.modes]
    if name not in there:
        raise ValueError(f"expected one of {', '.join(there)}")
    return Sort(name, is_reversed=text != name)


class Word(NamedTuple):
    """One word, in one case; `part` is where it is looked for, None is anywhere."""

    part: str | None
    text: str
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Words that all have to be in a row, or, if negated, must not be: each in the part that it names, or in any."""

    words: tuple[Word, ...] = ()

    def matches(self, row: Row) -> bool:
        """Whether the row has them all, in whatever case."""
        anything: str | None = None
        for part, text, is_negated in self.words:
            if part is not None:
                value = getattr(row, part)
                is_there = value is not None and text in value.casefold()
            else:
                if anything is None:
                    names = (row.group, row.model, row.session, row.stream.key if row.stream is not None else None)
                    anything = "\n".join((row.status, *filter(None, names))).casefold()
                is_there = text in anything
            if is_there is is_negated:
                return False
        return True


def parse_query(text: str) -> Query:
    """The words of what was typed, such as `llama status:losing !session:test`.

    `status:`, `model:`, `session:` and `group:` say where a word is looked for, `!` that it must not be there.
    """
    words: list[Word] = []
    for word in text.casefold().split():
        bare = word.removeprefix("!")
        part, colon, rest = bare.partition(":")
        named = Word(part, rest, word != bare) if colon and part in _PARTS else Word(None, bare, word != bare)
        if named.text:
            words.append(named)
    return Query(tuple(words))


def arranged(rows: Iterable[Row], sort: Sort = WORST_FIRST, query: Query | None = None) -> list[Row]:
    """The rows that match, sorted; what is unknown comes last either way, and equals keep their places."""
    chosen = [row for row in rows if query.matches(row)] if query is not None and query.words else list(rows)
    chosen.sort(key=lambda row: row.key)
    order = BY_ID[sort.column].sort_value
    known: list[tuple[Any, int]] = []
    unknown: list[Row] = []
    for index, row in enumerate(chosen):
        value = order(row)
        if value is None:
            unknown.append(row)
        else:
            known.append((value, index))
    known.sort(key=itemgetter(0), reverse=sort.is_descending)
    return [chosen[index] for _, index in known] + unknown


def view_of(
    snapshot: Snapshot,
    mode: Mode,
    *,
    sort: Sort = WORST_FIRST,
    query: Query | None = None,
    trends: Trends = no_trends,
) -> list[Row]:
    """The rows of a snapshot as they are to be shown."""
    return arranged(build_rows(snapshot, mode, trends), sort, query)


def status_counts(rows: Iterable[Row]) -> dict[RowStatus, int]:
    """How many rows have each status."""
    return dict(Counter(row.status for row in rows))
