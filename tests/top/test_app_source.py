"""The source: lost and regained, slow, at its end, or with controls of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from rlb.domain.snapshot import RedisInfo, Snapshot
from rlb_top import following
from rlb_top.app import RlbTopApp
from tests.support.scripted_source import AT, ScriptedSource
from tests.top.incidents import losing
from tests.top.running import Clock, app_of, keys_of, overview_of, settled, table_of, text_of, until


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are tried again at once."""
    monkeypatch.setattr(following, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(following, "LONGEST_RETRY_S", 0.01)


async def test_a_lost_source_keeps_the_last_picture_dimmed_with_its_age_and_comes_back() -> None:
    clock, source = Clock(), ScriptedSource(losing(50))
    async with app_of(source, clock=clock).run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        overview = overview_of(pilot)
        before = keys_of(overview.table)
        assert not overview.has_class("-stale")
        source.lose("no sidecar answers")
        await until(pilot, lambda: overview.has_class("-stale"))
        clock.now_s += 75
        overview.tick()
        await pilot.pause()
        assert keys_of(overview.table) == before
        assert "no contact: no sidecar answers" in text_of(overview.top_line)
        assert "1m15s old" in text_of(overview.top_line)
        assert overview.table.styles.text_opacity < 1
        assert source.watched > 1
        source.push(losing(51))
        await until(pilot, lambda: not overview.has_class("-stale"))
        assert "no contact" not in text_of(overview.top_line)
        assert "old" not in text_of(overview.top_line)


async def test_a_source_that_is_away_from_the_first_shows_why() -> None:
    source = ScriptedSource()
    source.lose("no sidecar answers at /run/rlb.sock")
    async with app_of(source).run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: "no sidecar answers" in text_of(overview_of(pilot).top_line))
        assert "no contact" in text_of(table_of(pilot))
        source.push(losing(3))
        await until(pilot, lambda: len(table_of(pilot).rows) == 9)


async def test_a_fault_of_the_source_is_said_and_it_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """The screen stays, without the error's text, which is for nobody; the log has the place."""
    source = ScriptedSource(losing(50))
    async with app_of(source).run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        overview = overview_of(pilot)
        source.lose(ZeroDivisionError("what a mess"))
        await until(pilot, lambda: overview.has_class("-stale"))
        assert "no contact: internal: ZeroDivisionError; trying again" in text_of(overview.top_line)
        source.push(losing(51))
        await until(pilot, lambda: not overview.has_class("-stale"))
    (record,) = [record for record in caplog.records if record.getMessage() == "top.internal"]
    assert vars(record)["fault"] == "ZeroDivisionError"
    assert "scripted_source.py:" in vars(record)["place"]


async def test_a_snapshot_that_the_history_cannot_take_is_such_a_fault() -> None:
    source = ScriptedSource(losing(50), losing(51))
    app = app_of(source)
    add, told = app.state.history.add, []

    def add_but_the_first(snapshot: Snapshot) -> None:
        told.append(snapshot.at)
        if len(told) == 1:
            raise KeyError("billing")
        add(snapshot)

    app.state.history.add = add_but_the_first
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: len(table_of(pilot).rows) == 9)
    assert told == [AT + 50, AT + 51]
    assert source.watched == 2


async def test_the_keys_work_while_the_source_is_away() -> None:
    source = ScriptedSource(losing(50))
    source.lose("gone")
    async with app_of(source).run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: overview_of(pilot).has_class("-stale"))
        await pilot.press("j", "greater_than_sign", "slash", *"billing", "enter")
        assert keys_of(table_of(pilot)) == ["billing on chat-7f3a", "billing on chat-91c0"]


async def test_redis_away_is_said_though_the_source_is_there() -> None:
    away = RedisInfo(up=False, version="valkey 9.1.2", clock_skew_seconds=None, reason="connection refused")
    source = ScriptedSource(losing(50).model_copy(update={"redis": away}))
    async with app_of(source).run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        assert "Redis is away: connection refused" in text_of(overview_of(pilot).top_line)
        assert overview_of(pilot).has_class("-stale")


async def test_a_slow_screen_shows_the_newest_snapshot_and_the_history_has_them_all() -> None:
    source = ScriptedSource(*(losing(second) for second in range(30)))
    app = app_of(source)
    shown = []
    present = app._present
    app._present = lambda picture: (shown.append(picture.snapshot.at), present(picture))[1]
    async with app.run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        assert shown[-1] == AT + 29
        assert len(shown) < 30
        assert sum(number is not None for number in app.state.history.series("", "in", 60, span_s=60.0)) >= 29


async def test_an_old_picture_of_a_source_that_says_nothing_more_tells_its_age() -> None:
    clock = Clock()
    async with app_of(ScriptedSource(losing(50)), clock=clock).run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        clock.now_s += 8
        overview_of(pilot).tick()
        await pilot.pause()
        assert "old" not in text_of(overview_of(pilot).top_line)
        clock.now_s += 60
        overview_of(pilot).tick()
        await pilot.pause()
        assert "1m08s old" in text_of(overview_of(pilot).top_line)


@dataclass
class Controls:
    """The controls of a recording."""

    is_paused: bool = False
    speed: float = 1.0
    position: int = 0
    frames: int = 90
    position_s: float = 75.0
    length_s: float = 90.0
    stepped: int = 0

    def step(self, frames: int = 1) -> None:
        self.stepped += frames
        self.is_paused = True


class Recorded(ScriptedSource):
    """A source with the controls of a recording, that ends."""

    kind = "recording"

    def __init__(self, *pictures: Snapshot) -> None:
        super().__init__()
        self.interval_s = None
        self.playback = Controls()
        self._pictures = pictures

    async def watch(self) -> AsyncIterator[Snapshot]:
        for picture in self._pictures:
            yield picture


async def test_a_recording_is_played_stepped_and_sped_up_by_keys() -> None:
    source = Recorded(losing(3), losing(4))
    async with app_of(source).run_test(size=(120, 24)) as pilot:
        overview = overview_of(pilot)
        await until(pilot, lambda: "the end" in text_of(overview.top_line))
        assert "▶ 01:15 of 01:30 at 1x" in text_of(overview.status_line)
        await pilot.press("p")
        assert source.playback.is_paused
        assert "▮▮" in text_of(overview.status_line)
        await pilot.press("full_stop", "full_stop", "comma")
        assert source.playback.stepped == 1
        await pilot.press("plus")
        assert source.playback.speed == 2.0


async def test_a_source_without_controls_has_no_keys_for_them() -> None:
    async with app_of(ScriptedSource(losing(3))).run_test() as pilot:
        await settled(pilot)
        assert "p" not in pilot.app.screen.active_bindings
        assert "full_stop" not in pilot.app.screen.active_bindings


async def test_notes_from_the_start_are_shown() -> None:
    app = RlbTopApp(ScriptedSource(losing(3)), notes=["state.json is ignored: it is broken"])
    async with app.run_test(size=(120, 24)) as pilot:
        await settled(pilot)
        assert "state.json is ignored" in text_of(overview_of(pilot).status_line)
