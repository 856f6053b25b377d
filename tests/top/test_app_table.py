"""The table of the overview: sorted, cut, paused, followed by a cursor, scrolled, and painted."""

from __future__ import annotations

from textual.events import Key
from textual.keys import _character_to_key
from textual.strip import Strip

from rlb_top.view import Sort
from tests.support.scripted_source import AT, ScriptedSource
from tests.top.incidents import WORST_FIRST, lags, losing, picture
from tests.top.running import app_of, keys_of, overview_of, settled, table_of, text_of, until


async def test_every_column_sorts_and_reverses() -> None:
    async with app_of(lags(a=5, b=300, c=20)).run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        assert keys_of(table) == ["b on b", "c on c", "a on a"]
        await pilot.press("greater_than_sign")
        assert table.sort == Sort("group")
        assert keys_of(table) == ["a on a", "b on b", "c on c"]
        await pilot.press("r")
        assert keys_of(table) == ["c on c", "b on b", "a on a"]
        await pilot.press("less_than_sign")
        assert table.sort == Sort("status")
        seen = set()
        for _ in table.columns:
            await pilot.press("greater_than_sign")
            seen.add(table.sort.column)
        assert seen == {column.id for column in table.columns}


async def test_a_click_on_a_title_sorts_by_it_and_a_second_reverses() -> None:
    async with app_of(lags(a=5, b=300, c=20)).run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        x = text_of(table).splitlines()[0].index("GROUP") + 1
        await pilot.click(table, offset=(x, 0))
        assert keys_of(table) == ["a on a", "b on b", "c on c"]
        await pilot.click(table, offset=(x, 0))
        await pilot.pause()
        assert keys_of(table) == ["c on c", "b on b", "a on a"]


async def test_the_filter_cuts_while_it_is_typed_and_escape_clears_it() -> None:
    async with app_of(ScriptedSource(losing(59))).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        overview, table = overview_of(pilot), table_of(pilot)
        await pilot.press("slash", *"bill")
        assert keys_of(table) == ["billing on chat-7f3a", "billing on chat-91c0"]
        await pilot.press("enter")
        assert table.has_focus
        assert "2 of 9" in text_of(overview.status_line)
        await pilot.press("slash", *" status:losing", "enter")
        assert keys_of(table) == ["billing on chat-7f3a"]
        await pilot.press("escape")
        assert keys_of(table) == WORST_FIRST
        await pilot.press("slash", *"nosuch", "enter")
        assert "nothing matches" in text_of(table)


async def test_what_is_typed_in_the_instant_after_the_slash_goes_to_the_filter() -> None:
    """All keys are there before the first is read. A slash in a name is one of them, as `<` is."""
    async with app_of(ScriptedSource(losing(59))).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        for character in "/jG/<":
            pilot.app.post_message(Key(_character_to_key(character), character))
        await until(pilot, lambda: overview_of(pilot).filter.value == "jG/<")
        assert overview_of(pilot).filter.has_focus
        assert table_of(pilot).query_text == "jG/<"


async def test_a_paused_table_stands_still_while_the_numbers_go_on() -> None:
    source = lags(a=5)
    async with app_of(source).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        overview = overview_of(pilot)
        await pilot.press("space")
        source.push(picture(AT + 1, a=70))
        await settled(pilot)
        assert overview.table.rows[0].lag == 5
        assert "BEHIND 1m10s" in text_of(overview.gauges)
        assert "PAUSED" in text_of(overview.status_line)
        await pilot.press("space")
        assert overview.table.rows[0].lag == 70
        assert "PAUSED" not in text_of(overview.status_line)


async def test_the_cursor_follows_its_row_wherever_that_is_sorted_to() -> None:
    source = lags(a=5, b=300, c=20)
    async with app_of(source).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        await pilot.press("j")
        assert table.row is not None
        assert table.row.group == "c"
        source.push(picture(AT + 1, a=5, b=300, c=900))
        await settled(pilot)
        assert keys_of(table)[0] == "c on c"
        assert table.row.group == "c"
        source.push(picture(AT + 2, a=5, b=300))
        await settled(pilot)
        assert table.row.group == "b"


async def test_a_cursor_that_was_not_moved_stays_on_whatever_is_worst() -> None:
    source = lags(a=5, b=300)
    async with app_of(source).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        source.push(picture(AT + 1, a=900, b=300))
        await settled(pilot)
        assert table.row is not None
        assert table.row.group == "a"
        await pilot.press("j")
        await pilot.press("g")
        source.push(picture(AT + 2, a=5, b=300))
        await settled(pilot)
        assert table.row.group == "b"


async def test_the_cursor_stays_in_sight_in_a_long_table() -> None:
    source = lags(**{f"g{number:03}": number for number in range(500)})
    async with app_of(source).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        await pilot.press("G")
        assert table.row is not None
        assert table.row.group == "g000"
        assert "g000" in text_of(table)
        await pilot.press("k", "ctrl+u", "pageup")
        assert table.row.group in text_of(table)
        await pilot.press("home")
        assert "g499" in text_of(table)


async def test_who_scrolls_with_the_wheel_is_left_there() -> None:
    source = lags(**{f"g{number:03}": number for number in range(500)})
    async with app_of(source).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        table.scroll_to(y=100, animate=False)
        await pilot.pause()
        source.push(picture(AT + 1, **{f"g{number:03}": number for number in range(500)}))
        await settled(pilot)
        assert table.scroll_offset.y == 100
        await pilot.press("j")
        assert table.scroll_offset.y < 100
        assert table.row is not None
        assert table.row.group in text_of(table)


async def test_who_has_scrolled_is_not_taken_along_by_the_cursor() -> None:
    """Its row was still in sight, and goes to the end of the table; without the wheel the view goes along."""
    lags_of = {f"g{number:03}": number for number in range(500)}
    source = lags(**lags_of)
    async with app_of(source).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        await pilot.press("j", "j", "j")
        table.scroll_to(y=1, animate=False)
        await pilot.pause()
        source.push(picture(AT + 1, **(lags_of | {"g496": 0})))
        await settled(pilot)
        assert table.row is not None
        assert (table.row.group, table.scroll_offset.y) == ("g496", 1)
        await pilot.press("k", "k")
        assert table.scroll_offset.y > 400
        source.push(picture(AT + 2, **(lags_of | {table.row.group: 600})))
        await settled(pilot)
        assert table.scroll_offset.y == 0


async def test_only_lines_that_changed_are_painted_again() -> None:
    source = lags(a=5, b=300, c=20)
    async with app_of(source).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        table, painted = table_of(pilot), []
        render_line = table.render_line

        def noting(y: int) -> Strip:
            painted.append(y)
            return render_line(y)

        table.render_line = noting
        source.push(picture(AT, a=5, b=300, c=21))
        await settled(pilot)
        assert set(painted) == {2}
