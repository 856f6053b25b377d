"""The overview: who is behind, by how much, since when, whether it gets worse, and whether data is lost."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from rlb_top import format as fmt
from rlb_top.rows import Mode, Row
from rlb_top.screens.base import MonitorScreen
from rlb_top.screens.columns import ColumnsScreen
from rlb_top.screens.stream import StreamScreen
from rlb_top.state import Picture, State
from rlb_top.widgets.charts import Charts
from rlb_top.widgets.gauges import Gauges
from rlb_top.widgets.stream_table import StreamTable
from rlb_top.widgets.table_messages import CursorMoved, Opened
from rlb_top.widgets.verdict import Verdict


class OverviewScreen(MonitorScreen):
    """Gauges of the whole, a table of what is worst, and a verdict on the row under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before any widget: what is typed behind it is handed out by where the focus is at that moment.
        Binding("slash", "filter", "Filter", tooltip="by name, model or status", id="filter", priority=True),
        Binding("space", "pause", "Pause", tooltip="hold the table still", id="pause"),
        Binding("c", "columns", "Columns", tooltip="which are shown", id="columns"),
        Binding("escape,backspace", "clear", "Clear the filter", show=False),
    ]

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.gauges = Gauges(state.history)
        self.table = StreamTable(state)
        self.charts = Charts(state.history)
        self.verdict = Verdict()
        self.filter = Input(placeholder="words, or status:losing model:… group:… !not", compact=True, id="filter")
        self.status_line.view = self.table.mode
        self._held: Picture | None = None
        """The picture that the table shows while it is paused."""

    @property
    def is_paused(self) -> bool:
        """Whether the table is held still."""
        return self._held is not None

    def body(self) -> ComposeResult:
        yield self.gauges
        yield self.table
        yield self.charts
        yield self.verdict
        yield self.filter

    def on_mount(self) -> None:
        super().on_mount()
        self.table.focus()

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        if snapshot is None:
            self.table.show((), "waiting for the first snapshot" if picture.lost is None else "no contact")
        elif self._held is None:
            self.table.take(snapshot)
        self.gauges.show(snapshot, self.table.counts)

    def set_mode(self, mode: Mode) -> None:
        """Show groups, models or streams."""
        if mode != self.table.mode:
            self.state.remember(self.state.preferences.model_copy(update={"mode": mode}))
            self.table.set_mode(mode)
        self.gauges.show(self.state.picture.snapshot, self.table.counts)
        self.status_line.show(self.said(), mode)
        self.table.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return False
        if action == "clear":
            return bool(self.table.query_text) or self.filter.has_focus
        if action == "filter":
            return self.focused is not self.filter
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        self.filter.add_class("-open")
        self.set_focus(self.filter)

    def action_clear(self) -> None:
        self.filter.value = ""
        self.filter.remove_class("-open")
        self.table.focus()

    def action_pause(self) -> None:
        self._held = None if self._held is not None else self.state.picture
        self.set_class(self.is_paused, "-paused")
        self.present(self.state.picture)

    def action_columns(self) -> None:
        table = self.table
        _ = self.app.push_screen(ColumnsScreen(table.mode, [each.id for each in table.columns]), self._pick)

    def _pick(self, columns: tuple[str, ...] | None) -> None:
        if columns is not None:
            self.table.pick_columns(columns or None)

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        self.table.set_query(event.value)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.filter.set_class(bool(self.filter.value), "-open")
        self.table.focus()

    @on(CursorMoved, "#streams")
    def _cursor_moved(self) -> None:
        shown, row = self._held or self.state.picture, self.table.row
        self.verdict.show(row, shown.snapshot.at if shown.snapshot is not None else None)
        if row is not None:
            self.charts.show(row.key, f"$severity-{row.status}")

    @on(StreamTable.Arranged)
    def _arranged(self) -> None:
        self.status_line.show(self.said())

    @on(Opened, "#streams")
    def _opened(self) -> None:
        if self.table.row is not None:
            self._open(self.table.row)

    def _open(self, row: Row) -> None:
        """Show the stream of a row; of a model, its groups on all streams."""
        if row.stream is None:
            words = [f"model:{row.model}"] if row.model else []
            self.filter.value = " ".join([*words, *([f"group:{row.group}"] if row.group else [])])
            self.filter.add_class("-open")
            self.set_mode("groups")
        else:
            _ = self.app.push_screen(StreamScreen(self.state, row.stream, row.group))

    def said(self) -> str:
        table = self.table
        parts: list[str] = []
        if self._held is not None:
            age_s = self._held.age_s(self.state.clock())
            parts.append(f"PAUSED {fmt.duration(age_s) if age_s is not None else ''}".strip())
        if table.query_text:
            parts.append(f"{len(table.rows):,} of {table.total:,}")
        parts.append(table.sort_title())
        return " · ".join([*parts, *filter(None, [super().said()])])
