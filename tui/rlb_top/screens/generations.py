"""The generations that are being written: how fast, and when the last token came."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult

from rlb.domain.snapshot import GenerationInfo
from rlb_top import format as fmt
from rlb_top.screens.base import MonitorScreen
from rlb_top.screens.generation import GenerationScreen
from rlb_top.state import Picture, State
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.table_layout import PlainColumn
from rlb_top.widgets.table_messages import Opened

_MARKS = {"active": "●", "stalled": "◆"}

COLUMNS = (
    PlainColumn[GenerationInfo]("state", "state", 9, lambda row: f"{_MARKS[row.state]} {row.state}", "left", 0),
    PlainColumn[GenerationInfo]("session", "session", 12, lambda row: fmt.line(row.session_id), "left", 0, grows=True),
    PlainColumn[GenerationInfo]("model", "model", 12, lambda row: fmt.line(row.model_id), "left", 2, grows=True),
    PlainColumn[GenerationInfo]("tokens", "tokens", 8, lambda row: fmt.count(row.tokens), priority=1),
    PlainColumn[GenerationInfo]("speed", "tokens/s", 8, lambda row: fmt.rate(row.tokens_per_second), priority=1),
    PlainColumn[GenerationInfo](
        "last", "last token", 10, lambda row: fmt.duration(row.since_last_token_seconds), priority=0
    ),
)


def _tone(row: GenerationInfo, column: str) -> str | None:
    if column == "state":
        return "ok" if row.state == "active" else "stalled"
    return "stalled" if column == "last" and row.state == "stalled" else None


def _key(row: GenerationInfo) -> str:
    return f"{row.session_id}\x1f{row.model_id}"


class GenerationsScreen(MonitorScreen):
    """Those that have stalled first, then those that were silent for longest: as the sidecar tells them."""

    VIEW = "generations"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.table = RowTable[GenerationInfo](COLUMNS, key=_key, tone=_tone, id="generations")

    def body(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        super().on_mount()
        self.table.focus()

    def show(self, picture: Picture) -> None:
        if picture.snapshot is None:
            self.table.show((), "waiting for the first snapshot")
            return
        is_socket = self.state.source.kind == "socket"
        empty = "no generation is being written" if is_socket else "only a sidecar knows of generations"
        self.table.show(picture.snapshot.generations, empty)

    def said(self) -> str:
        return f"{len(self.table.rows):,} in flight · {super().said()}"

    @on(Opened, "#generations")
    def _opened(self) -> None:
        row = self.table.row
        if row is not None:
            _ = self.app.push_screen(GenerationScreen(self.state, row.session_id, row.model_id))
