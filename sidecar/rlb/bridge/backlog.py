"""The backlog of one stream: which messages wait, who may add to them, and how each gets its one answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from rlb.bridge.recent import RecentMessages
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry_id import EntryId
from rlb.errors import ApiError, FencedError

Lost = Callable[[Producer, str, ApiError], None]
"""Is told of a generation that was open and has failed: its producer, the stream's key, and why."""


class Backlog:
    """Messages that have no answer yet, in the order in which they are to stand in the stream.

    A message that is on its way to Redis is out of the queue, and comes back to its head if it did not land.
    """

    def __init__(self, key: str, window: int, lost: Lost) -> None:
        self.queued_bytes = 0
        """Memory of all that has no answer, on its way or not."""
        self.owner: Producer | None = None
        """The producer whose generation is open here, if it is exclusive."""
        self.queue: deque[Ticket] = deque()
        self.given_up: set[str] = set()
        """Ids of messages that were refused although they may have landed: they are no other writer's."""
        self._abandoned: ApiError | None = None
        self._key = key
        self._tell_lost = lost
        self._recent = RecentMessages(window)
        self._named: dict[str, Ticket] = {}

    # Taking messages in

    def admit(self, ticket: Ticket, *, opens: bool) -> bool:
        """Queue a message; False if it was answered at once, as refused or as written before."""
        producer = ticket.producer
        if producer is not None:
            # The next token of the generation that is open here, which is nearly every message.
            is_next = producer is self.owner and not opens and ticket.draft.complete is None
            if not is_next and not self._take_over(ticket, producer, opens=opens):
                return False
        if ticket.draft.named and self._is_repeated(ticket):
            return False
        self.queued_bytes += ticket.size
        self.queue.append(ticket)
        return True

    def _take_over(self, ticket: Ticket, producer: Producer, *, opens: bool) -> bool:
        """Open and close generations; False if the message belongs to one that has failed."""
        key = self._key
        if opens or producer.begins(key):
            ticket.opens = True
            producer.begin(key)
            if self.owner is not None and self.owner is not producer:
                self._lose(self.owner, self.fenced_error())
            if producer.fences:
                self.owner = producer
        elif (error := producer.lost.get(key)) is not None:
            ticket.fail(error)
            return False
        if ticket.draft.complete is not None:
            producer.end(key)
            self.release(producer)
        if producer.context is not None and (ticket.opens or ticket.draft.complete is not None):
            ticket.draft.belong_to(producer.context)
        return True

    def _is_repeated(self, ticket: Ticket) -> bool:
        message_id = ticket.draft.message_id
        if (entry_id := self._recent.find(message_id)) is not None:
            ticket.succeed(entry_id, duplicate=True)
            return True
        if (first := self._named.get(message_id)) is not None:
            # It waits for the first one's answer, and holds its memory until then.
            ticket.duplicate = True
            self.queued_bytes += ticket.size
            first.followers.append(ticket)
            return True
        self._named[message_id] = ticket
        return False

    def put_back(self, ticket: Ticket) -> None:
        """Return a message that did not land to the head of the queue, unless its generation has failed since."""
        producer = ticket.producer
        if self._abandoned is not None:
            self.fail(ticket, self._abandoned)
        elif producer is not None and not ticket.opens and (error := producer.lost.get(self._key)) is not None:
            self.fail(ticket, error)
        else:
            self.queue.appendleft(ticket)

    def release(self, producer: Producer) -> None:
        """Forget a producer that has gone or is done; what it sent is still written."""
        if self.owner is producer:
            self.owner = None

    # What others wrote, and what of one's own landed unseen

    def recognise(self, newer: Mapping[str, EntryId]) -> Iterator[tuple[Ticket, EntryId]]:
        """Answer queued messages that stand in the stream, given entry ids by message id; gives those answered.

        A message that may have been sent has landed; a named one was written by somebody else, and is a duplicate.
        """
        for message_id, entry_id in newer.items():
            self._recent.add(message_id, entry_id)
        for ticket in list(self.queue):
            entry_id_found = newer.get(ticket.draft.message_id)
            if entry_id_found is not None and (ticket.unsure or ticket.draft.named):
                self.queue.remove(ticket)
                self.succeed(ticket, entry_id_found, duplicate=not ticket.unsure)
                yield ticket, entry_id_found

    def settle_passed(self, reach: EntryId, first: EntryId | None, why: Callable[[Ticket], ApiError]) -> None:
        """Answer queued messages that were sent under ids up to `reach`, which Redis has taken: it goes by their order.

        A message whose reply was lost and whose id is below the stream's first entry was written, and trimmed since.
        Any other was refused, or deleted: there is no place left for it in the order of its generation.
        """
        for ticket in list(self.queue):
            at = ticket.sent_as
            if ticket.error is not None or at is None or at.ms != reach.ms or at > reach:
                continue
            if ticket.unsure and (first is None or at < first):
                self.queue.remove(ticket)
                self.succeed(ticket, at)
            elif ticket.producer is not None:
                self.queue.remove(ticket)
                self.fail(ticket, why(ticket))

    def fence(self, standing: Iterable[Ticket] = ()) -> None:
        """Another writer has appended: end the exclusive generations that were open before.

        `standing` are messages that stand in the stream in spite of it; what they opened goes on, as does what
        queued messages open.
        """
        error = self.fenced_error()
        reopened = {ticket.producer for ticket in standing if ticket.opens}
        fenced: list[Ticket] = []
        for ticket in self.queue:
            if ticket.opens:
                reopened.add(ticket.producer)
            elif ticket.is_exclusive and ticket.producer not in reopened:
                fenced.append(ticket)
        if self.owner is not None and self.owner not in reopened:
            self._lose(self.owner, error)
            self.owner = None
        for ticket in fenced:
            if ticket.error is None:
                self.queue.remove(ticket)
                self.fail(ticket, error)

    def fenced_error(self) -> FencedError:
        """The refusal for a generation that another writer has ended."""
        return FencedError(f"another writer has taken over {self._key}")

    # Giving answers

    def expire(self, now_s: float, why: Callable[[Ticket], ApiError]) -> None:
        """Refuse what has waited in the queue past its deadline."""
        for ticket in [ticket for ticket in self.queue if ticket.deadline_s <= now_s]:
            # A refusal takes the rest of its generation along.
            if ticket.error is None:
                self.queue.remove(ticket)
                self.fail(ticket, why(ticket))

    def abandon(self, error: ApiError) -> None:
        """Refuse all that waits, and what is on its way if it comes back."""
        self._abandoned = error
        while self.queue:
            self.fail(self.queue.popleft(), error)

    def succeed(self, ticket: Ticket, entry_id: EntryId, *, duplicate: bool = False) -> None:
        """Answer a message, which is out of the queue, with its entry."""
        if ticket.draft.named:
            self._recent.add(ticket.draft.message_id, entry_id)
        self._forget(ticket)
        ticket.succeed(entry_id, duplicate=duplicate)

    def fail(self, ticket: Ticket, error: ApiError) -> None:
        """Refuse a message, which is out of the queue, and what follows it in its generation."""
        if ticket.unsure:
            self.given_up.add(ticket.draft.message_id)
        self._forget(ticket)
        ticket.fail(error)
        producer = ticket.producer
        if producer is None:
            return
        self._lose(producer, error)
        self.release(producer)
        for later in list(self.queue):
            if later.producer is producer:
                if later.opens:
                    producer.begin(self._key)
                    break
                self.queue.remove(later)
                self._forget(later)
                later.fail(error)

    def _forget(self, ticket: Ticket) -> None:
        self.queued_bytes -= ticket.size
        if ticket.draft.named:
            self._named.pop(ticket.draft.message_id, None)
        for follower in ticket.followers:
            self.queued_bytes -= follower.size

    def _lose(self, producer: Producer, error: ApiError) -> None:
        if producer.lose(self._key, error):
            self._tell_lost(producer, self._key, error)
