"""The overview: what it shows of a snapshot, its modes and columns, what is remembered, and where it leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlb_top.app import RlbTopApp
from rlb_top.preferences import Preferences, load_preferences
from rlb_top.screens.columns import ColumnsScreen
from rlb_top.screens.stream import StreamScreen
from tests.support.scripted_source import ScriptedSource, group, snapshot, stream
from tests.top.incidents import WORST_FIRST, incident, lags, losing
from tests.top.running import Clock, app_of, keys_of, overview_of, settled, table_of, text_of, until


async def test_the_worst_comes_first_and_the_verdict_says_what_is_the_matter() -> None:
    async with app_of(ScriptedSource(*incident())).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        overview = overview_of(pilot)
        assert keys_of(overview.table) == WORST_FIRST
        gauges, verdict = text_of(overview.gauges), text_of(overview.verdict)
        assert "✗ 1 losing" in gauges
        assert "BEHIND 3m56s ↑" in gauges
        assert "LOST 589" in gauges
        assert "✗ losing billing on chat-7f3a" in verdict
        assert "2,778 unread since 14:10:23Z (3m56s), getting worse" in verdict
        assert "2 consumers, 2 dead" in verdict


async def test_a_gap_between_snapshots_is_a_gap_in_the_charts() -> None:
    async with app_of(ScriptedSource(*incident())).run_test(size=(160, 45)) as pilot:
        await settled(pilot)
        bottom = text_of(overview_of(pilot).charts.came).splitlines()[-2]
        assert bottom.strip().count("█" * 10) == 2
        assert " " * 3 in bottom.strip()


async def test_the_modes_show_groups_models_and_streams() -> None:
    async with app_of(ScriptedSource(losing(59))).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        await pilot.press("2")
        assert (table.rows[0].model, table.rows[0].group) == ("llama-3.1-70b", "billing")
        assert "STREAMS" in text_of(table).splitlines()[0]
        await pilot.press("enter")
        assert table.mode == "groups"
        assert keys_of(table) == ["billing on chat-7f3a"]
        await pilot.press("3")
        assert table.query_text
        await pilot.press("escape")
        assert len(table.rows) == 5


@pytest.mark.parametrize(
    ("width", "there", "gone"), [(60, "LOST", "MODEL"), (80, "MODEL", "CONS"), (200, "CONS", "TTL")]
)
async def test_columns_give_way_in_a_narrow_terminal(width: int, there: str, gone: str) -> None:
    async with app_of(ScriptedSource(losing(59))).run_test(size=(width, 24)) as pilot:
        await settled(pilot)
        titles = text_of(table_of(pilot)).splitlines()[0]
        assert there in titles
        assert gone not in titles
        assert "LAG" in titles
        assert "BEHIND" in titles


async def test_columns_are_picked_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    app = app_of(ScriptedSource(losing(59)), preferences_path=path)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        await pilot.press("c")
        assert isinstance(pilot.app.screen, ColumnsScreen)
        await pilot.press("j", "space", "enter")
        await until(pilot, lambda: "GROUP" not in text_of(table_of(pilot)).splitlines()[0])
    remembered, note = load_preferences(path)
    assert note is None
    columns = remembered.columns_of("groups")
    assert columns is not None
    assert "group" not in columns
    assert "session" in columns


async def test_what_was_chosen_is_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    async with app_of(ScriptedSource(losing(59)), preferences_path=path).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        await pilot.press("3", "greater_than_sign", "r")
        pilot.app.theme = "rlb-light"
        await pilot.pause()
    preferences, note = load_preferences(path)
    assert note is None
    assert (preferences.mode, preferences.theme) == ("streams", "rlb-light")
    async with app_of(ScriptedSource(losing(59)), preferences=preferences).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        table = table_of(pilot)
        assert table.mode == "streams"
        assert table.sort == preferences.sort_of("streams")
        assert table.sort.is_reversed
        assert pilot.app.theme == "rlb-light"


async def test_a_theme_that_is_gone_is_no_trouble() -> None:
    preferences = Preferences(theme="no-such-theme")
    async with app_of(ScriptedSource(losing(59)), preferences=preferences).run_test() as pilot:
        await settled(pilot)
        assert pilot.app.theme == "rlb-dark"


async def test_the_interval_is_changed_by_keys() -> None:
    source = lags(a=5)
    async with app_of(source).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        await pilot.press("minus", "minus")
        assert source.interval_s == 5.0
        assert "every 5 s" in text_of(overview_of(pilot).status_line)
        await pilot.press(*["plus"] * 9)
        assert source.interval_s == 0.2


async def test_enter_opens_the_stream_and_escape_comes_back_to_the_same_row() -> None:
    async with app_of(ScriptedSource(losing(59))).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "j", "enter")
        screen = pilot.app.screen
        assert isinstance(screen, StreamScreen)
        await until(pilot, lambda: screen.group == "archive")
        assert screen.stream.session_id == "chat-7f3a"
        await pilot.press("escape")
        assert pilot.app.screen is overview_of(pilot)
        assert table_of(pilot).row is not None
        assert table_of(pilot).row.group == "archive"


async def test_a_second_click_on_a_row_opens_it() -> None:
    async with app_of(ScriptedSource(losing(59))).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        await pilot.click(table_of(pilot), offset=(20, 3), times=2)
        await until(pilot, lambda: isinstance(pilot.app.screen, StreamScreen))


async def test_unknown_is_a_question_mark_and_never_a_zero() -> None:
    unknown = group("search", lag=None, lag_seconds=None, lag_quality="unknown", lost_unread=None, read_rate=None)
    source = ScriptedSource(
        snapshot(stream("s", "m", unknown, write_rate=None), totals={"tokens_in": None, "tokens_out": None})
    )
    async with app_of(source).run_test(size=(160, 24)) as pilot:
        await settled(pilot)
        row = text_of(table_of(pilot)).splitlines()[1].split()
        assert row.count("?") == 5
        gauges = text_of(overview_of(pilot).gauges)
        assert "BEHIND ?" in gauges
        assert "IN ?/s" in gauges


async def test_an_empty_picture_says_so() -> None:
    source = ScriptedSource(snapshot())
    async with app_of(source).run_test() as pilot:
        await settled(pilot)
        assert "no streams yet" in text_of(table_of(pilot))
        assert table_of(pilot).row is None
        await pilot.press("j", "G", "enter", "r", "greater_than_sign")
        source.push(losing(3))
        await settled(pilot)
        assert len(table_of(pilot).rows) == 9


async def test_what_is_left_out_of_a_snapshot_is_said() -> None:
    source = ScriptedSource(snapshot(stream("s", "m", group()), totals={"streams": 12_345}))
    async with app_of(source).run_test(size=(110, 24)) as pilot:
        await settled(pilot)
        assert "the worst 1 of 12,345 streams" in text_of(overview_of(pilot).gauges)


async def test_names_that_are_no_text_do_the_terminal_no_harm() -> None:
    source = ScriptedSource(snapshot(stream("s\x1b[31m", "m\n", group("g\x9b2J"))))
    async with app_of(source).run_test(size=(160, 24)) as pilot:
        await settled(pilot)
        shown = text_of(table_of(pilot)) + text_of(overview_of(pilot).verdict)
        assert "\x1b" not in shown
        assert "\x9b" not in shown


async def test_q_quits_and_closes_the_source() -> None:
    source = lags(a=1)
    app: RlbTopApp = app_of(source, clock=Clock())
    async with app.run_test() as pilot:
        await settled(pilot)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert source.closed
    assert not app.return_code
