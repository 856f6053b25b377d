"""How the sidecar, Redis and what is between them are."""

from __future__ import annotations

import time

from textual import work
from textual.app import ComposeResult

from rlb.domain.snapshot import Snapshot
from rlb_top import format as fmt
from rlb_top.faults import words_of
from rlb_top.screens.base import MonitorScreen
from rlb_top.source import Component
from rlb_top.state import Picture, State
from rlb_top.widgets.facts import Fact, Facts
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.table_layout import PlainColumn

EVERY_S = 2.0
"""How often the components are asked for."""

_MARKS = {"up": "●", "down": "✗", "starting": "○", "stopping": "○"}
_TONES = {"up": "ok", "down": "stopped", "starting": "lagging", "stopping": "lagging"}


def _since(component: Component) -> str:
    if component.since is None:
        return fmt.UNKNOWN
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(component.since))


COLUMNS = (
    PlainColumn[Component]("state", "state", 10, lambda row: f"{_MARKS[row.state]} {row.state}", "left", 0),
    PlainColumn[Component]("name", "component", 12, lambda row: fmt.line(row.name), "left", 0),
    PlainColumn[Component]("since", "since", 20, _since, "left", 4),
    PlainColumn[Component]("reason", "why", 16, lambda row: fmt.line(row.reason or ""), "left", 1, grows=True),
)


class HealthScreen(MonitorScreen):
    """Redis and the monitor by the snapshot, the components by asking the source."""

    VIEW = "health"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.facts = Facts()
        self.table = RowTable[Component](
            COLUMNS,
            key=lambda row: row.name,
            tone=lambda row, column: _TONES[row.state] if column == "state" else None,
            opens=False,
            id="components",
        )
        self._asked_s: float | None = None

    def body(self) -> ComposeResult:
        yield self.facts
        yield self.table

    def on_mount(self) -> None:
        super().on_mount()
        self.table.focus()

    def show(self, picture: Picture) -> None:
        if picture.snapshot is not None:
            self.facts.show(*health_facts(picture.snapshot))
        self._ask()

    def tick(self) -> None:
        super().tick()
        self._ask()

    def _ask(self) -> None:
        now_s = self.state.clock()
        if self._asked_s is None or not 0 <= now_s - self._asked_s < EVERY_S:
            self._asked_s = now_s
            self._fetch()

    @work(exclusive=True, group="health")
    async def _fetch(self) -> None:
        try:
            found = await self.state.source.health()
        except Exception as error:  # noqa: BLE001 - of whatever kind: see faults
            self.table.show((), fmt.line(words_of(error)))
        else:
            self.table.show(found, "this source has no components to tell of")


def health_facts(snapshot: Snapshot) -> tuple[Fact, list[Fact]]:
    """What a snapshot says of who made it."""
    redis, sidecar = snapshot.redis, snapshot.sidecar
    skew_s = redis.clock_skew_seconds
    state = "● up" if redis.up else "✗ away"
    why = f": {fmt.line(redis.reason)}" if redis.reason else ""
    heading = Fact("redis", f"{state}{why}", "$severity-ok" if redis.up and not why else "$severity-stopped bold")
    return heading, [
        Fact("server", fmt.line(redis.version or fmt.UNKNOWN)),
        Fact("clock ahead", f"{skew_s * 1000:,.0f}ms" if skew_s is not None else fmt.UNKNOWN),
        Fact("monitor", f"{fmt.line(sidecar.instance)}, {sidecar.version}"),
        Fact("watches", {"own": "its own streams", "all": "all streams", "off": "nothing: off"}[sidecar.scope]),
        Fact("a poll takes", fmt.duration(snapshot.poll_seconds)),
        Fact("streams", f"{fmt.count(snapshot.totals.streams)}, groups {fmt.count(snapshot.totals.groups)}"),
        Fact("lag unknown", f"of {fmt.plural(snapshot.totals.unknown_lag, 'group')}"),
    ]
