"""Running the app in a test: without animations, with a clock that stands still, and waiting for what is to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from textual.pilot import Pilot

from rlb_top.app import RlbTopApp
from rlb_top.screens.overview import OverviewScreen
from rlb_top.widgets.stream_table import StreamTable
from tests.support.scripted_source import ScriptedSource

TURNS = 400
"""Turns of the loop until a test gives up: some seconds."""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 5000.0

    def __call__(self) -> float:
        return self.now_s


def app_of(source: ScriptedSource, **arguments: Any) -> RlbTopApp:
    """The app on this source."""
    app = RlbTopApp(source, **({"clock": Clock()} | arguments))
    app.animation_level = "none"
    return app


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Wait until this holds."""
    for _ in range(TURNS):
        if holds():
            await pilot.pause()
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not come to hold")


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until the app has shown everything that its source was given."""
    app = cast("RlbTopApp", pilot.app)
    source = cast("ScriptedSource", app.state.source)
    await until(pilot, lambda: source.is_drained)
    await pilot.pause()
    await pilot.pause()


def table_of(pilot: Pilot[Any]) -> StreamTable:
    """The table of the overview."""
    return cast("RlbTopApp", pilot.app).overview.table


def overview_of(pilot: Pilot[Any]) -> OverviewScreen:
    """The overview."""
    return cast("RlbTopApp", pilot.app).overview


def keys_of(table: StreamTable) -> list[str]:
    """The rows of the table as `group on session`."""
    return [f"{row.group} on {row.session}" if row.group else f"{row.session or row.model}" for row in table.rows]


def text_of(widget: Any) -> str:
    """What a widget shows, line by line, without spaces at the ends."""
    lines = [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]
    return "\n".join(lines)
