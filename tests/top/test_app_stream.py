"""What opens below the overview: a stream, a consumer, generations and their text, health, help and the palette."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from textual.command import CommandList
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from rlb.domain.snapshot import Snapshot
from rlb_top.actions import PendingEntry
from rlb_top.screens.consumer import ConsumerScreen
from rlb_top.screens.generation import GenerationScreen
from rlb_top.screens.generations import GenerationsScreen
from rlb_top.screens.health import HealthScreen
from rlb_top.screens.help import HelpScreen
from rlb_top.screens.stream import StreamScreen
from rlb_top.source import Component, Piece
from tests.support.scripted_source import AT, ScriptedActions, ScriptedContent, ScriptedSource, snapshot
from tests.top.incidents import incident, losing
from tests.top.running import app_of, overview_of, settled, table_of, text_of, until

ENTRIES = [PendingEntry(f"{1_790_000_000_000 + i}-0", f"billing-{1 + i % 2}", 200.0 - i, 1 + i) for i in range(5)]

ScreenT = TypeVar("ScreenT", bound=Screen[Any])


async def shown(pilot: Pilot[Any], kind: type[ScreenT]) -> ScreenT:
    """The screen of this kind, as soon as it is shown."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, kind)
    return screen


def first_command(pilot: Pilot[Any]) -> str:
    """What the palette offers first, nothing while it looks."""
    offered = pilot.app.screen.query_one(CommandList).options
    return str(offered[0].prompt) if offered else ""


async def opened(pilot: Pilot[Any]) -> StreamScreen:
    """The stream that is worst off, opened."""
    await settled(pilot)
    await pilot.press("enter")
    return await shown(pilot, StreamScreen)


async def test_a_stream_shows_facts_groups_charts_and_consumers() -> None:
    async with app_of(ScriptedSource(*incident())).run_test(size=(160, 45)) as pilot:
        screen = await opened(pilot)
        facts = text_of(screen.facts)
        assert "stream:chat-7f3a:llama-3.1-70b" in facts
        assert "10,000 of 10,000" in facts
        assert "1h00m" in facts
        assert [row.group for row in screen.groups.rows] == ["billing", "archive", "app"]
        assert "BEHIND 3m56s" in text_of(screen.charts.behind)
        assert "✗ dead   billing-1" in text_of(screen.consumers)
        await pilot.press("j")
        await until(pilot, lambda: "archive-1" in text_of(screen.consumers))
        assert "UNREAD 2,595" in text_of(screen.charts.lag)
        assert "archive on chat-7f3a" in text_of(screen.verdict)


async def test_panes_come_one_at_a_time_in_a_short_terminal() -> None:
    source = ScriptedSource(losing(50), actions=ScriptedActions(entries=ENTRIES))
    async with app_of(source).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        panes = (screen.charts, screen.consumers, screen.pending)
        assert [pane.display for pane in panes] == [True, False, False]
        await pilot.press("tab")
        assert [pane.display for pane in panes] == [False, True, False]
        assert screen.consumers.has_focus
        await pilot.press("tab")
        assert screen.pending.has_focus
        assert "1790000000004-0" in text_of(screen.pending)
        await pilot.press("tab")
        assert screen.groups.has_focus
        await pilot.press("shift+tab")
        assert screen.pending.has_focus


async def test_pending_entries_are_looked_up_for_the_group_under_the_cursor() -> None:
    source = ScriptedSource(losing(50), actions=ScriptedActions(entries=ENTRIES))
    async with app_of(source).run_test(size=(160, 45)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: len(screen.pending.rows) == 5)
        assert "Pending 5 of 17" in text_of(screen.bar)


async def test_a_source_without_details_says_so() -> None:
    async with app_of(ScriptedSource(losing(50))).run_test(size=(160, 45)) as pilot:
        screen = await opened(pilot)
        assert "this source does not show entries" in text_of(screen.pending)


async def test_what_cannot_be_looked_up_is_told_in_place() -> None:
    source = ScriptedSource(losing(50), actions=ScriptedActions(error="Redis cannot be reached"))
    async with app_of(source).run_test(size=(160, 45)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: "Redis cannot be reached" in text_of(screen.pending))


async def test_a_stream_that_is_gone_keeps_what_was_known() -> None:
    source = ScriptedSource(losing(50))
    async with app_of(source).run_test(size=(160, 45)) as pilot:
        screen = await opened(pilot)
        source.push(snapshot(at=AT + 51))
        await settled(pilot)
        assert screen.has_class("-gone")
        assert [row.group for row in screen.groups.rows] == ["billing", "archive", "app"]
        assert "not among the streams" in text_of(screen.status_line)


async def test_a_stream_that_nobody_reads_has_facts_and_no_groups() -> None:
    async with app_of(ScriptedSource(losing(50))).run_test(size=(160, 45)) as pilot:
        await settled(pilot)
        await pilot.press("G", "enter")
        screen = await shown(pilot, StreamScreen)
        assert "draft-11" in text_of(screen.facts)
        assert "unread" in text_of(screen.groups)
        assert "no consumers" in text_of(screen.consumers)


async def test_a_consumer_shows_its_own_pending_entries() -> None:
    source = ScriptedSource(losing(50), actions=ScriptedActions(entries=ENTRIES))
    async with app_of(source).run_test(size=(110, 30)) as pilot:
        await opened(pilot)
        await pilot.press("tab", "enter")
        screen = await shown(pilot, ConsumerScreen)
        await until(pilot, lambda: len(screen.pending.rows) == 3)
        facts = text_of(screen.facts)
        assert "billing-1" in facts
        assert "dead" in facts
        source.push(snapshot(at=AT + 51))
        await settled(pilot)
        assert "not there any more" in text_of(screen.facts)


async def test_generations_are_listed_and_their_text_is_asked_for_only_when_one_is_opened() -> None:
    content = ScriptedContent(
        Piece("Once "), Piece("upon\x1b[2J a"), Piece(" time", missing=2), Piece("", finish_reason="stop")
    )
    source = ScriptedSource(losing(50), content=content)
    async with app_of(source).run_test(size=(110, 30)) as pilot:
        await settled(pilot)
        await pilot.press("4")
        screen = await shown(pilot, GenerationsScreen)
        lines = text_of(screen.table).splitlines()
        assert "◆ stalled" in lines[1]
        assert "3 in flight" in text_of(screen.status_line)
        assert content.asked == []
        await pilot.press("j", "enter")
        opened = await shown(pilot, GenerationScreen)
        await until(pilot, lambda: "ended: stop" in text_of(opened.status_line))
        assert content.asked == [("chat-7f3a", "llama-3.1-70b")]
        assert opened.text.text == "Once upon\N{REPLACEMENT CHARACTER}[2J a\n[… 2 messages missing …]\n time"
        assert "2,048" in text_of(opened.facts)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.screen is overview_of(pilot))


async def test_a_source_without_content_says_that_there_is_no_text() -> None:
    async with app_of(ScriptedSource(losing(50))).run_test(size=(110, 30)) as pilot:
        await settled(pilot)
        await pilot.press("4", "enter")
        screen = await shown(pilot, GenerationScreen)
        await until(pilot, lambda: "no text to show" in screen.text._static.render().plain)


async def test_a_long_text_loses_its_beginning_and_says_so() -> None:
    content = ScriptedContent(*(Piece("0123456789" * 100) for _ in range(30)), Piece("the end"))
    async with app_of(ScriptedSource(losing(50), content=content)).run_test(size=(110, 30)) as pilot:
        await settled(pilot)
        await pilot.press("4", "enter")
        screen = await shown(pilot, GenerationScreen)
        await until(pilot, lambda: screen.text._static.render().plain.endswith("the end"))
        assert len(screen.text.text) == 20_000
        assert screen.text._static.render().plain.startswith("… the beginning is left out …")


async def test_health_shows_redis_and_the_components() -> None:
    components = [Component("redis", "up", AT), Component("api", "down", None, "the socket file is gone")]
    async with app_of(ScriptedSource(losing(50), components=components)).run_test(size=(110, 30)) as pilot:
        await settled(pilot)
        await pilot.press("5")
        screen = await shown(pilot, HealthScreen)
        await until(pilot, lambda: len(screen.table.rows) == 2)
        assert "✗ down      api" in text_of(screen.table)
        assert "the socket file is gone" in text_of(screen.table)
        assert "valkey 9.1.2" in text_of(screen.facts)
        await pilot.press("1")
        await until(pilot, lambda: pilot.app.screen is overview_of(pilot))


class Broken(ScriptedSource):
    """Has a fault wherever it is asked for more than snapshots."""

    def __init__(self, *pictures: Snapshot) -> None:
        super().__init__(*pictures)
        self.content = self

    async def health(self) -> Sequence[Component]:
        raise ZeroDivisionError

    async def tail(self, session_id: str, model_id: str) -> AsyncIterator[Piece]:
        raise ZeroDivisionError
        yield Piece("")


async def test_a_fault_behind_health_or_a_text_is_said_in_its_place() -> None:
    """The screen stays, and the others work."""
    async with app_of(Broken(losing(50))).run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        await pilot.press("5")
        screen = await shown(pilot, HealthScreen)
        await until(pilot, lambda: "internal: ZeroDivisionError" in text_of(screen.table))
        await pilot.press("1", "enter", "w")
        text = await shown(pilot, GenerationScreen)
        await until(pilot, lambda: "internal: ZeroDivisionError" in text_of(text.text.query_one(Static)))


async def test_the_views_can_be_reached_from_anywhere() -> None:
    async with app_of(ScriptedSource(losing(50))).run_test(size=(110, 30)) as pilot:
        await opened(pilot)
        await pilot.press("4")
        await shown(pilot, GenerationsScreen)
        await pilot.press("2")
        await until(pilot, lambda: pilot.app.screen is overview_of(pilot))
        assert table_of(pilot).mode == "models"
        await pilot.click("StatusLine", offset=(30, 0))
        await until(pilot, lambda: table_of(pilot).mode == "streams")


async def test_help_names_the_keys_that_work_here_and_no_others() -> None:
    async with app_of(ScriptedSource(losing(50))).run_test(size=(110, 45)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        overview = await shown(pilot, HelpScreen)
        named = {name for _, name, _ in overview._lines}
        assert {"Filter", "Pause", "Columns", "Quit"} <= named
        assert "Trim" not in named
        await pilot.press("escape", "enter")
        await shown(pilot, StreamScreen)
        await pilot.press("question_mark")
        stream = await shown(pilot, HelpScreen)
        named = {name for _, name, _ in stream._lines}
        assert {"Back", "Pane"} <= named
        assert not {"Filter", "Trim"} & named


async def test_the_palette_goes_to_a_stream_and_sorts() -> None:
    async with app_of(ScriptedSource(losing(50))).run_test(size=(110, 45)) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+p", *"b2d4")
        await until(pilot, lambda: "b2d4" in first_command(pilot))
        await pilot.press("enter")
        screen = await shown(pilot, StreamScreen)
        assert screen.stream.session_id == "chat-b2d4"
        await pilot.press("escape", "ctrl+p", *"sort by pending")
        await until(pilot, lambda: "sort by pending" in first_command(pilot).lower())
        await pilot.press("enter")
        await until(pilot, lambda: table_of(pilot).sort.column == "pending")
