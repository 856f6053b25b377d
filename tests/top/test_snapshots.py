"""How the screens look. After a change that is meant: run this with `--snapshot-update`, and look at each picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from rlb_top import following
from rlb_top.actions import PendingEntry
from rlb_top.preferences import Preferences
from rlb_top.source import Component, Piece
from tests.support.scripted_source import (
    AT,
    ScriptedActions,
    ScriptedContent,
    ScriptedSource,
    group,
    snapshot,
    stream,
)
from tests.top.incidents import incident, losing
from tests.top.running import app_of, settled, until

SnapCompare = Callable[..., bool]

NORMAL, SMALL, LARGE = (80, 24), (60, 20), (160, 45)

COMPONENTS = (
    Component("redis", "up", AT - 3600),
    Component("monitor", "up", AT - 3600),
    Component("retention", "down", AT - 30, "another sidecar does it"),
)

TEXT = (
    Piece("A consumer group is behind by the entries that it has not been handed yet.\n\n"),
    Piece("Counting them is not as easy as it looks: once entries were trimmed, the server no longer knows."),
    Piece(" So it is counted from the last position that is certain.", missing=3, finish_reason="stop"),
)


def in_trouble() -> ScriptedSource:
    """An incident of a minute, with everything that a sidecar offers."""
    entries = [
        PendingEntry(f"{1_789_999_760_000 + 431 * i}-0", f"billing-{1 + i % 3 // 2}", 238.2 - 0.4 * i, 1 + i * i % 4)
        for i in range(17)
    ]
    return ScriptedSource(
        *incident(),
        actions=ScriptedActions(entries=entries),
        content=ScriptedContent(*TEXT),
        components=COMPONENTS,
    )


def pressing(*keys: str) -> Callable[[Pilot[Any]], Any]:
    """What is done before the picture is taken: everything arrives, then the keys."""

    async def run(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause(0.2)

    return run


def look(
    snap_compare: SnapCompare,
    source: ScriptedSource,
    *keys: str,
    size: tuple[int, int] = NORMAL,
    theme: str = "rlb-dark",
) -> bool:
    """Whether the screen looks as it did, after these keys."""
    app = app_of(source, preferences=Preferences(theme=theme))
    return snap_compare(app, terminal_size=size, run_before=pressing(*keys))


SCREENS: dict[str, tuple[tuple[int, int], str, tuple[str, ...]]] = {
    "overview": (NORMAL, "rlb-dark", ()),
    "overview light": (NORMAL, "rlb-light", ()),
    "overview small": (SMALL, "rlb-dark", ()),
    "overview large": (LARGE, "rlb-dark", ()),
    "overview colour-blind": (NORMAL, "rlb-colour-blind", ()),
    "models light": (NORMAL, "rlb-light", ("2",)),
    "filtered and paused": (NORMAL, "rlb-dark", ("slash", *"billing", "enter", "space")),
    "stream": (NORMAL, "rlb-dark", ("enter",)),
    "stream small": (SMALL, "rlb-dark", ("enter", "tab")),
    "stream large light": (LARGE, "rlb-light", ("enter", "j")),
    "pending": (NORMAL, "rlb-dark", ("enter", "tab", "tab")),
    "confirm": (NORMAL, "rlb-dark", ("enter", "tab", "tab", "B")),
    "generations small light": (SMALL, "rlb-light", ("4",)),
    "generation": (NORMAL, "rlb-dark", ("4", "j", "enter")),
    "health": (NORMAL, "rlb-dark", ("5",)),
    "help": (NORMAL, "rlb-dark", ("question_mark",)),
    "help small light": (SMALL, "rlb-light", ("question_mark",)),
    "columns": (NORMAL, "rlb-dark", ("c",)),
    "palette": (NORMAL, "rlb-dark", ("ctrl+p", *"sort by l")),
}


@pytest.mark.parametrize("screen", SCREENS, ids=lambda name: name.replace(" ", "-"))
def test_a_screen_looks_as_it_did(snap_compare: SnapCompare, screen: str) -> None:
    size, theme, keys = SCREENS[screen]
    assert look(snap_compare, in_trouble(), *keys, size=size, theme=theme)


def test_an_empty_picture_looks_as_it_did(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, ScriptedSource(snapshot()))


def test_an_unknown_lag_looks_as_it_did(snap_compare: SnapCompare) -> None:
    unknown = {"lag": None, "lag_seconds": None, "lag_quality": "unknown", "status": "unknown", "read_rate": None}
    groups = [group(name, lost_unread=None, reason="not watched for long enough", **unknown) for name in ("a", "b")]
    picture = snapshot(stream("chat-1", "llama-3.1-8b", *groups, write_rate=None), totals={"tokens_in": None})
    assert look(snap_compare, ScriptedSource(picture))


def test_losing_data_looks_as_it_did(snap_compare: SnapCompare) -> None:
    """Before anything is lost, it is said how long there is left."""
    assert look(snap_compare, ScriptedSource(*(losing(second) for second in range(30))), size=SMALL, theme="rlb-light")


@pytest.mark.parametrize("theme", ["rlb-dark", "rlb-light"])
def test_a_lost_source_looks_as_it_did(snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setattr(following, "FIRST_RETRY_S", 3600.0)
    monkeypatch.setattr(following, "LONGEST_RETRY_S", 3600.0)
    source = ScriptedSource(*incident())
    source.lose("no sidecar answers at /run/rlb/rlb.sock: connection refused")
    app = app_of(source, preferences=Preferences(theme=theme))

    async def later(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.overview.has_class("-stale"))
        app.state.clock.now_s += 42.0  # type: ignore[attr-defined]
        app.overview.tick()
        await pilot.pause()

    assert snap_compare(app, terminal_size=NORMAL, run_before=later)


def test_without_colours_it_looks_as_it_did(snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert look(snap_compare, in_trouble())
