"""One consumer of a group: how it does, and the entries that are pending for it."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult

from rlb.domain.snapshot import Snapshot
from rlb.domain.stream_info import ConsumerInfo
from rlb_top import format as fmt
from rlb_top.actions import StreamName
from rlb_top.screens.base import MonitorScreen
from rlb_top.state import Picture, State
from rlb_top.widgets.facts import Fact, Facts
from rlb_top.widgets.pane_bar import PaneBar
from rlb_top.widgets.pending_table import PendingTable
from rlb_top.widgets.table_messages import CursorMoved

_STYLES = {"active": "$severity-ok", "idle": "$quiet", "dead": "$severity-stopped bold"}


class ConsumerScreen(MonitorScreen):
    """A consumer is one of a group on a stream; the same name elsewhere is another."""

    VIEW = "streams"

    def __init__(self, state: State, key: str, stream: StreamName, group: str, consumer: str) -> None:
        super().__init__(state)
        self._key, self._group, self._consumer = key, group, consumer
        self.facts = Facts()
        self.bar = PaneBar({"pending": "Pending"})
        self.pending = PendingTable(state, stream, consumer)

    def body(self) -> ComposeResult:
        yield self.facts
        yield self.bar
        yield self.pending

    def on_mount(self) -> None:
        super().on_mount()
        self.pending.focus()

    def show(self, picture: Picture) -> None:
        found = _find(picture.snapshot, self._key, self._group, self._consumer)
        facts = [
            Fact("group", fmt.line(self._group)),
            Fact("stream", fmt.line(self._key)),
        ]
        if found is None:
            facts.append(Fact("state", "not there any more", "$severity-unknown"))
        else:
            facts += [
                Fact("state", found.state, _STYLES[found.state]),
                Fact("pending", fmt.count(found.pending)),
                Fact("last call", f"{fmt.duration(found.idle_seconds)} ago"),
                Fact("last read", _ago(found.inactive_seconds)),
            ]
        self.facts.show(Fact("consumer", fmt.line(self._consumer), "bold"), facts)
        self.pending.take(self._group)

    def tick(self) -> None:
        super().tick()
        self.pending.take(self._group)

    def done(self) -> None:
        self.pending.look_again()
        self.pending.take(self._group)

    @on(CursorMoved, "#pending")
    def _listed(self) -> None:
        self.bar.show("pending", pending=f"Pending {len(self.pending.rows)}")


def _ago(seconds: float | None) -> str:
    return f"{fmt.duration(seconds)} ago" if seconds is not None else fmt.UNKNOWN


def _find(snapshot: Snapshot | None, key: str, group: str, consumer: str) -> ConsumerInfo | None:
    """The consumer as the snapshot has it."""
    if snapshot is None:
        return None
    return next(
        (
            each
            for stream in snapshot.streams
            if stream.key == key
            for info in stream.groups
            if info.group == group
            for each in info.consumers
            if each.consumer == consumer
        ),
        None,
    )
