"""The pending entries of a group or a consumer, looked up while they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from rlb_top import deeds
from rlb_top import format as fmt
from rlb_top.actions import MAX_PENDING, PendingEntry, StreamName
from rlb_top.faults import words_of
from rlb_top.state import State
from rlb_top.widgets.consumer_table import Wanted
from rlb_top.widgets.row_table import RowTable
from rlb_top.widgets.table_layout import PlainColumn

EVERY_S = 2.0
"""How often they are looked up."""

OFTEN = 3
"""Deliveries from which an entry stands out: it may be poison."""

COLUMNS = (
    PlainColumn[PendingEntry]("id", "entry", 17, lambda row: row.entry_id, "left", 0),
    PlainColumn[PendingEntry]("consumer", "consumer", 10, lambda row: fmt.line(row.consumer), "left", 2, grows=True),
    PlainColumn[PendingEntry]("idle", "idle", 6, lambda row: fmt.duration(row.idle_seconds), priority=1),
    PlainColumn[PendingEntry]("deliveries", "times", 5, lambda row: fmt.count(row.deliveries), priority=1),
)


def _tone(row: PendingEntry, column: str) -> str | None:
    return "lagging" if column == "deliveries" and row.deliveries >= OFTEN else None


class PendingTable(RowTable[PendingEntry]):
    """The oldest first, at most `MAX_PENDING`. A key acts on one entry, the same with shift on all that are listed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge", "Acknowledge", tooltip="settle the entry; shift: all listed"),
        Binding("m", "claim", "Claim", tooltip="move the entry to another consumer; shift: all listed"),
        Binding("b", "bury", "Set aside", tooltip="as a dead letter; shift: all listed"),
        Binding("A", "acknowledge('all')", "Acknowledge all listed", show=False),
        Binding("M", "claim('all')", "Claim all listed", show=False),
        Binding("B", "bury('all')", "Set all listed aside", show=False),
    ]

    def __init__(self, state: State, stream: StreamName, consumer: str | None = None) -> None:
        super().__init__(COLUMNS, key=lambda row: row.entry_id, tone=_tone, opens=False, id="pending")
        self._state, self._stream, self._consumer = state, stream, consumer
        self.heir = ""
        """The consumer that is suggested for a claim."""
        self._group: str | None = None
        self._looked_s: float | None = None

    def take(self, group: str | None) -> None:
        """Show the entries of this group, and look them up if that was long ago."""
        now_s = self._state.clock()
        if group != self._group:
            self._group, self._looked_s = group, None
            self.show(())
        if group is None or self._state.source.details is None:
            self.show((), "no group" if group is None else "this source does not show entries")
        elif self._looked_s is None or not 0 <= now_s - self._looked_s < EVERY_S:
            self._looked_s = now_s
            self._look(group)

    def look_again(self) -> None:
        """Look them up at the next occasion: something was done to them."""
        self._looked_s = None

    @work(exclusive=True, group="pending")
    async def _look(self, group: str) -> None:
        details = self._state.source.details
        if details is None:
            return
        try:
            found = await details.pending(self._stream, group, self._consumer)
        except Exception as error:  # noqa: BLE001 - of whatever kind: see faults
            self.show((), fmt.line(words_of(error)))
        else:
            self.show(found, "nothing pending")
        self.refresh_bindings()

    @property
    def is_cut(self) -> bool:
        """Whether there may be more than are listed."""
        return len(self.rows) >= MAX_PENDING

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("acknowledge", "claim", "bury"):
            return self._state.actions is not None and bool(self.rows)
        return super().check_action(action, parameters)

    def _chosen(self, which: str) -> Sequence[str]:
        if which == "all":
            return [row.entry_id for row in self.rows]
        return [self.row.entry_id] if self.row is not None else []

    def action_acknowledge(self, which: str = "one") -> None:
        if (actions := self._state.actions) is not None and self._group is not None:
            self.post_message(Wanted(deeds.acknowledge(actions, self._stream, self._group, self._chosen(which))))

    def action_claim(self, which: str = "one") -> None:
        if (actions := self._state.actions) is not None and self._group is not None:
            self.post_message(Wanted(deeds.claim(actions, self._stream, self._group, self._chosen(which), self.heir)))

    def action_bury(self, which: str = "one") -> None:
        if (actions := self._state.actions) is not None and self._group is not None:
            self.post_message(Wanted(deeds.bury(actions, self._stream, self._group, self._chosen(which))))
