"""The consumers of a group."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from rlb.domain.stream_info import ConsumerInfo
from rlb_top import deeds
from rlb_top import format as fmt
from rlb_top.actions import StreamName
from rlb_top.deeds import Deed
from rlb_top.state import State
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.table_layout import PlainColumn
from rlb_top.widgets.tones import MUTED

_MARKS = {"active": "●", "idle": "○", "dead": "✗"}
_RANKS = {"dead": 0, "idle": 1, "active": 2}


class Wanted(Message):
    """Somebody wants to do something; the screen asks whether it is meant."""

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self.deed = deed


def _seconds(value: float | None) -> str:
    return fmt.duration(value)


COLUMNS = (
    PlainColumn[ConsumerInfo]("state", "state", 8, lambda row: f"{_MARKS[row.state]} {row.state}", "left", 0),
    PlainColumn[ConsumerInfo]("consumer", "consumer", 12, lambda row: fmt.line(row.consumer), "left", 0, grows=True),
    PlainColumn[ConsumerInfo]("pending", "pending", 7, lambda row: fmt.count(row.pending), priority=1),
    PlainColumn[ConsumerInfo]("idle", "idle", 6, lambda row: _seconds(row.idle_seconds), priority=2),
    PlainColumn[ConsumerInfo]("read", "last read", 9, lambda row: _seconds(row.inactive_seconds), priority=3),
)


def _tone(row: ConsumerInfo, column: str) -> str | None:
    if column == "state":
        return {"active": "ok", "idle": MUTED, "dead": "stopped"}[row.state]
    return None


class ConsumerTable(RowTable[ConsumerInfo]):
    """The dead ones first, then those with the most pending."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "remove", "Remove consumer", tooltip="if nothing is pending for it"),
    ]

    def __init__(self, state: State, stream: StreamName) -> None:
        super().__init__(COLUMNS, key=lambda row: row.consumer, tone=_tone, empty="no consumers", id="consumers")
        self._state, self._stream = state, stream
        self._group: str | None = None

    def take(self, group: str | None, consumers: tuple[ConsumerInfo, ...]) -> None:
        """Show the consumers of this group."""
        self._group = group
        self.show(sorted(consumers, key=lambda row: (_RANKS[row.state], -row.pending, row.consumer)))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "remove":
            return self._state.actions is not None and self.row is not None
        return super().check_action(action, parameters)

    def action_remove(self) -> None:
        actions = self._state.actions
        if actions is not None and self.row is not None and self._group is not None:
            self.post_message(Wanted(deeds.remove_consumer(actions, self._stream, self._group, self.row.consumer)))
