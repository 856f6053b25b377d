"""What the app is told by the worker that reads the source."""

from __future__ import annotations

from textual.message import Message

from rlb.domain.snapshot import Snapshot
from rlb_top.following import Lost


class SnapshotReceived(Message):
    """A new snapshot. One that waits is replaced by the next, so that a slow terminal draws the newest only."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Whether a waiting message is made needless by this one."""
        return isinstance(message, SnapshotReceived)


class SourceWasLost(Message):
    """The source is away; it is tried again."""

    def __init__(self, lost: Lost) -> None:
        super().__init__()
        self.lost = lost


class SourceEnded(Message):
    """The recording is over; its last picture stays."""
