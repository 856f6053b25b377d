"""The parts that are pure: bars, cells, the layout of a table, its cursor, and what an action says of itself."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.color import Color
from textual.theme import Theme

from rlb_top import deeds
from rlb_top.actions import StreamName
from rlb_top.columns import columns_of
from rlb_top.theme import THEMES, with_severities
from rlb_top.widgets.bars import bars, nice_time, nice_top
from rlb_top.widgets.cells import cell
from rlb_top.widgets.cursor import Cursor
from rlb_top.widgets.table_layout import Needs, PlainColumn, fitted
from tests.support.scripted_source import ScriptedActions

STREAM = StreamName("llm:stream:s:m", "s", "m")


def test_bars_rise_with_the_numbers_and_gaps_stay_blank() -> None:
    assert bars([0.0, 4.0, 8.0, None, 8.0], 1) == ["▁▄█ █"]
    assert bars([0.0, 8.0, 16.0, None], 2) == ["  █ ", "▁██ "]


def test_bars_of_nothing_are_blank() -> None:
    assert bars([None, None], 2) == ["  ", "  "]
    assert bars([], 1) == [""]
    assert bars([0.0], 1) == ["▁"]


@given(
    st.lists(st.none() | st.floats(0, 1e12), max_size=50),
    st.integers(1, 12),
)
def test_bars_fill_their_rectangle(series: list[float | None], height: int) -> None:
    rows = bars(series, height)
    assert [len(row) for row in rows] == [len(series)] * height
    for index, number in enumerate(series):
        column = "".join(row[index] for row in rows)
        assert (column.strip() == "") == (number is None)


@given(st.floats(0, 1e15))
def test_a_scale_ends_at_or_above_the_greatest_number(greatest: float) -> None:
    assert greatest <= nice_top(greatest) <= max(1.0, 10 * greatest)
    assert nice_time(greatest) >= greatest


@given(st.text(), st.integers(0, 40), st.sampled_from(["left", "right"]))
def test_a_cell_is_as_wide_as_it_is_told(text: str, width: int, justify: str) -> None:
    printable = "".join(character for character in text if character.isprintable())
    assert cell_len(cell(printable, width, justify)) == width  # type: ignore[arg-type]


def test_a_name_loses_its_middle_and_a_sentence_its_end() -> None:
    assert cell("llama-3.1-70b-instruct", 11) == "llama…truct"
    assert cell("12 entries undelivered", 11) == "12 entries…"
    assert cell("a", 3, "right") == "  a"
    assert cell("語語", 5) == "語語 "


@pytest.mark.parametrize("width", range(10, 220, 7))
def test_columns_never_take_more_than_there_is_and_never_lose_the_most_important(width: int) -> None:
    columns = columns_of("groups")
    placed = fitted(columns, width)
    ids = [each.column.id for each in placed]
    assert {"status", "lag_s"} <= set(ids)
    last = placed[-1]
    if width >= 19:
        assert last.x + last.width <= width
    assert ids == [column.id for column in columns if column.id in ids]
    assert all(each.x >= before.x + before.width + 1 for before, each in pairwise(placed))


def test_columns_grow_to_what_their_texts_need_and_the_needs_never_shrink() -> None:
    columns = [
        PlainColumn[str]("a", "a", 4, lambda row: row, "left", grows=True),
        PlainColumn[str]("b", "b", 4, lambda row: row),
    ]
    needs = Needs()
    assert needs.note(columns, ["x" * 12])
    assert not needs.note(columns, ["x"])
    assert [each.width for each in fitted(columns, 80, needs=needs.cells)] == [12, 4]
    assert [each.width for each in fitted(columns, 13, needs=needs.cells)] == [8, 4]


@given(st.lists(st.text(min_size=1), unique=True), st.lists(st.text(min_size=1), unique=True), st.integers(-5, 40))
def test_a_cursor_is_always_on_a_row_and_on_its_own_while_that_is_there(
    rows: list[str], later: list[str], index: int
) -> None:
    cursor = Cursor[str](lambda row: row)
    cursor.move(rows, index)
    before = rows[cursor.index] if rows else None
    cursor.follow(later)
    assert 0 <= cursor.index < max(1, len(later))
    if before in later:
        assert later[cursor.index] == before


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_theme_has_a_colour_for_every_severity_and_text_can_be_read_on_it(theme: Theme) -> None:
    from textual.color import Color

    variables = with_severities(theme.to_color_system().generate() | theme.variables)
    ground = Color.parse(variables["background"])
    for name in ("foreground", *(name for name in variables if name.startswith("severity-"))):
        assert contrast(Color.parse(variables[name]), ground) >= 3.0, name


def contrast(front: Color, ground: Color) -> float:
    """The contrast of two colours, as WCAG has it."""

    def luminance(colour: Color) -> float:
        parts = [part / 255 for part in colour.rgb]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(front), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


async def test_an_action_on_what_was_settled_meanwhile_says_so() -> None:
    class Late(ScriptedActions):
        async def acknowledge(self, *_: object) -> int:  # type: ignore[override]
            return 0

    deed = deeds.acknowledge(Late(), STREAM, "app", ["1-0", "2-0"])
    assert "2 entries of app" in deed.question
    assert await deed.perform("") == "none of it was pending any more"


def test_a_number_is_asked_for_where_one_is_needed() -> None:
    deed = deeds.trim(ScriptedActions(), STREAM, 120)
    assert deed.suggestion == "120"
    assert deed.check("12") is None
    assert deed.check("-1") is not None
    assert deed.check("") is not None
