"""One stream: its facts, its groups, and of the group under the cursor charts, consumers and pending entries."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from rlb.domain.stream_info import StreamInfo
from rlb_top import deeds
from rlb_top import format as fmt
from rlb_top.actions import StreamName
from rlb_top.rows import GroupRow, Row, StreamRow
from rlb_top.screens.base import MonitorScreen
from rlb_top.screens.consumer import ConsumerScreen
from rlb_top.screens.generation import GenerationScreen
from rlb_top.state import Picture, State
from rlb_top.view import arranged
from rlb_top.widgets.charts import Charts
from rlb_top.widgets.consumer_table import ConsumerTable
from rlb_top.widgets.facts import Facts
from rlb_top.widgets.group_table import group_table
from rlb_top.widgets.pane_bar import PaneBar
from rlb_top.widgets.pending_table import PendingTable
from rlb_top.widgets.stream_facts import stream_facts, stream_heading
from rlb_top.widgets.table_messages import CursorMoved, Opened
from rlb_top.widgets.verdict import Verdict

PANES = {"charts": "Charts", "consumers": "Consumers", "pending": "Pending"}


def named(stream: StreamInfo) -> StreamName:
    """How actions call a stream."""
    return StreamName(stream.key, stream.session_id, stream.model_id)


class StreamScreen(MonitorScreen):
    """In a short terminal one pane is seen at a time; in a tall one all are, and `tab` goes from one to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next_pane(1)", "Pane", tooltip="the next one", priority=True),
        Binding("shift+tab", "next_pane(-1)", "Previous pane", show=False, priority=True),
        Binding("w", "watch", "Watch", tooltip="the text of its latest generation"),
        Binding("t", "trim", "Trim", tooltip="remove the oldest entries"),
        Binding("D", "replay", "Replay", tooltip="dead letters of the group"),
    ]
    VIEW = "streams"

    def __init__(self, state: State, stream: StreamInfo, group: str | None = None) -> None:
        super().__init__(state)
        self.stream = stream
        self._wanted_group = group
        self._is_gone = False
        self.facts = Facts()
        self.groups = group_table()
        self.verdict = Verdict()
        self.bar = PaneBar(PANES)
        self.charts = Charts(state.history)
        self.consumers = ConsumerTable(state, named(stream))
        self.pending = PendingTable(state, named(stream))

    @property
    def group(self) -> str | None:
        """The group under the cursor."""
        return self.groups.row.group if self.groups.row is not None else None

    def body(self) -> ComposeResult:
        yield self.facts
        yield self.groups
        yield self.verdict
        yield self.bar
        with Container(id="panes"):
            yield self.charts
            yield self.consumers
            yield self.pending

    def on_mount(self) -> None:
        super().on_mount()
        self.action_pane("charts")

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        found = None
        if snapshot is not None:
            found = next((each for each in snapshot.streams if each.key == self.stream.key), None)
        self._is_gone = found is None
        self.set_class(self._is_gone, "-gone")
        self.stream = found or self.stream
        self.facts.show(stream_heading(self.stream), stream_facts(self.stream))
        trends = self.state.history.trend
        rows: list[Row] = [GroupRow(self.stream, info, trends) for info in self.stream.groups]
        self.groups.show(arranged(rows or [StreamRow(self.stream, trends)]))
        if self._wanted_group is not None:
            names = [row.group for row in self.groups.rows]
            if self._wanted_group in names:
                self.groups.select(names.index(self._wanted_group))
            self._wanted_group = None

    def said(self) -> str:
        if self._is_gone:
            return "not among the streams of the last picture: it has expired, or others are worse"
        return super().said()

    def tick(self) -> None:
        super().tick()
        self.pending.take(self.group)

    def done(self) -> None:
        self.pending.look_again()
        self.pending.take(self.group)

    @on(CursorMoved)
    def _cursor_moved(self, event: CursorMoved) -> None:
        row = self.groups.row
        if event.table is self.groups and row is not None:
            at = self.state.picture.snapshot.at if self.state.picture.snapshot is not None else None
            self.verdict.show(row, at)
            self.charts.show(row.key, f"$severity-{row.status}")
            info = row.infos[0] if row.infos else None
            self.consumers.take(row.group, info.consumers if info is not None else ())
            self.pending.heir = next((each.consumer for each in self.consumers.rows if each.state == "active"), "")
            self.pending.take(row.group)
            self._name_panes()
        elif event.table is self.pending:
            self._name_panes()

    def _name_panes(self) -> None:
        row, listed = self.groups.row, len(self.pending.rows)
        pending = fmt.count(row.pending) if row is not None and row.pending is not None else ""
        if row is not None and row.pending and row.pending > listed > 0:
            pending = f"{listed} of {pending}"
        consumers = f"Consumers {len(self.consumers.rows)}"
        self.bar.show(self.bar.current, consumers=consumers, pending=f"Pending {pending}".strip())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("trim", "replay"):
            return self.state.actions is not None
        if action == "watch":
            return self.state.source.content is not None and self.stream.model_id is not None
        return super().check_action(action, parameters)

    def action_next_pane(self, step: int) -> None:
        panes = list(PANES)
        self.action_pane(panes[(panes.index(self.bar.current) + step) % len(panes)])

    def action_pane(self, pane: str) -> None:
        """Go to a pane: the charts go with the groups."""
        self.bar.show(pane)
        panes: dict[str, Widget] = {"charts": self.charts, "consumers": self.consumers, "pending": self.pending}
        for name, widget in panes.items():
            widget.set_class(name == pane, "-current")
        (self.groups if pane == "charts" else panes[pane]).focus()
        self.call_after_refresh(self._refresh_charts)

    def _refresh_charts(self) -> None:
        if self.groups.row is not None:
            self.charts.show(self.groups.row.key, f"$severity-{self.groups.row.status}")

    @on(Opened, "#consumers")
    def _open_consumer(self) -> None:
        if self.consumers.row is not None and self.group is not None:
            name = self.consumers.row.consumer
            _ = self.app.push_screen(ConsumerScreen(self.state, self.stream.key, named(self.stream), self.group, name))

    @on(Opened, "#groups")
    def _open_group(self) -> None:
        self.action_pane("consumers")

    def action_watch(self) -> None:
        session, model = self.stream.session_id, self.stream.model_id
        if session is not None and model is not None:
            _ = self.app.push_screen(GenerationScreen(self.state, session, model))

    def action_trim(self) -> None:
        if self.state.actions is not None:
            self.carry_out(deeds.trim(self.state.actions, named(self.stream), self.stream.length))

    def action_replay(self) -> None:
        if self.state.actions is not None and self.group is not None:
            self.carry_out(deeds.replay(self.state.actions, self.group))
