"""Where a stream stands, as far as its writer knows, and what a look at what was written meanwhile teaches it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlb.bridge.backlog import Backlog
from rlb.bridge.ticket import Ticket
from rlb.domain.entry_id import ZERO, EntryId
from rlb.errors import ApiError


class Standing:
    """What is known for certain of one stream: its last entry, and the highest sequence given out."""

    __slots__ = ("_backlog", "doubt_ms", "known", "sequence")

    def __init__(self, backlog: Backlog) -> None:
        self.known = ZERO
        """The last entry that is known to stand in the stream."""
        self.sequence = 0
        self.doubt_ms: int | None = None
        """The claim whose appends lost their replies: until it is known which of them landed, claims are strict."""
        self._backlog = backlog

    def landed(self, entry_id: EntryId) -> None:
        """An own message stands in the stream, as its last."""
        self.known = entry_id
        self.sequence = max(self.sequence, entry_id.seq)

    def learn(
        self,
        newer: Sequence[tuple[str, EntryId]],
        before: EntryId,
        first: EntryId | None,
        late: Callable[[Ticket], ApiError],
        written: Ticket | None = None,
    ) -> None:
        """Learn what stands behind the last known id: own messages whose reply was lost, and other writers'.

        `newer` is that, as message ids (empty: none) and entries; `before` is the stream's last entry and `first` its
        first; `late` says why a message is refused of which it cannot be known any more whether it landed; `written`
        is the message that a claim has just appended behind it all.
        """
        known, self.known = self.known, before
        if not newer and before == known:
            return
        found = list(self._backlog.recognise({message: entry for message, entry in newer if message}))
        own = {entry_id for ticket, entry_id in found if ticket.unsure}
        own.update(entry_id for message, entry_id in newer if message in self._backlog.given_up)
        passed = [entry_id for ticket, entry_id in found if entry_id == ticket.sent_as]
        if before.ms == self.doubt_ms:
            passed.append(before)
        elif self.doubt_ms is not None and before.ms > self.doubt_ms:
            # Whatever is still on its way under the ids of that claim will be refused.
            self.doubt_ms = None
        if passed:
            self._backlog.settle_passed(max(passed), first, late)
        self.sequence = max([self.sequence, *(entry_id.seq for _, entry_id in found)])
        last_other = max((entry_id for _, entry_id in newer if entry_id not in own), default=ZERO)
        if last_other > ZERO or (not newer and before > known and before not in passed):
            # What begins a generation takes over from whoever wrote before it; said again, it does so again.
            opening = [ticket for ticket, entry_id in found if not ticket.unsure or entry_id > last_other]
            self._backlog.fence([*opening, written] if written is not None else opening)
