"""Tickets: messages on their way into Redis, and the producers that sent them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rlb.domain.draft import Draft
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import StreamKey
from rlb.domain.trace_context import TraceContext
from rlb.errors import ApiError

OVERHEAD_BYTES = 512
"""Memory that a waiting message costs beside its JSON."""

MAX_LOST = 10_000
"""Failed generations that one producer remembers; a message for one that is forgotten begins a generation anew."""


class Producer:
    """One producing connection: the unit that keeps order and that can lose a stream to another writer.

    A failed write fails what follows it in the same generation: tokens are ordered, and a text with a hole is
    worse than one that ends. `open` on a line begins anew.
    """

    __slots__ = ("context", "fences", "lost", "open")

    def __init__(self, *, fences: bool, context: TraceContext | None = None) -> None:
        self.context = context
        """The app's span, for the first and last messages of generations that name none."""
        self.fences = fences
        """Whether its generations are exclusive: another writer's claim ends them with `fenced`."""
        self.open: set[str] = set()
        """Keys of the streams in which it has a generation open."""
        self.lost: dict[str, ApiError] = {}
        """Keys of the streams whose generation has failed, and why."""

    def begins(self, key: str) -> bool:
        """Whether a message for `key` is the first of a generation."""
        return key not in self.open and key not in self.lost

    def begin(self, key: str) -> None:
        """Open a generation."""
        self.open.add(key)
        self.lost.pop(key, None)

    def end(self, key: str) -> None:
        """Close a generation as completed."""
        self.open.discard(key)

    def lose(self, key: str, error: ApiError) -> bool:
        """Close a generation as failed; what is still sent to it is answered with `error`. False if none is open."""
        if key not in self.open:
            return False
        self.open.discard(key)
        self.lost[key] = error
        if len(self.lost) > MAX_LOST:
            del self.lost[next(iter(self.lost))]
        return True


class MessageTrace(Protocol):
    """What a tracer keeps of a message that it follows."""

    def sent(self, ticket: Ticket) -> None:
        """The message leaves for Redis, perhaps not for the first time."""

    def settled(self, ticket: Ticket) -> None:
        """The message has its answer."""


class Ticket:
    """One message between its acceptance and its answer; `on_done` is called exactly once."""

    __slots__ = (
        "deadline_s",
        "draft",
        "duplicate",
        "entry_id",
        "error",
        "followers",
        "on_done",
        "opens",
        "producer",
        "sent_as",
        "settled",
        "size",
        "stream",
        "timed_s",
        "trace",
        "trouble",
        "unsure",
    )

    def __init__(
        self,
        stream: StreamKey,
        draft: Draft,
        producer: Producer | None,
        deadline_s: float,
        settled: Callable[[Ticket], None],
        on_done: Callable[[Ticket], None],
    ) -> None:
        self.stream = stream
        self.draft = draft
        self.producer = producer
        """None for a message on its own, which keeps no order with others and claims again by itself."""
        self.deadline_s = deadline_s
        """Loop time after which the message is refused if it has not been sent."""
        self.settled = settled
        """Is told of the answer before `on_done` is: for the books of whoever made the ticket."""
        self.on_done = on_done
        self.opens = False
        """Begins a generation: takes the stream over from whoever has it."""
        self.size = draft.size + OVERHEAD_BYTES
        self.entry_id: EntryId | None = None
        self.error: ApiError | None = None
        self.duplicate = False
        """A message with its id came before."""
        self.timed_s = 0.0
        """When it was sent (time.monotonic), on the one of a write whose round trip is timed."""
        self.trouble: str | None = None
        """Why it has to be sent again: a short name of what failed."""
        self.sent_as: EntryId | None = None
        """The id under which it was last sent behind a claim; a claim itself finds its id in Redis."""
        self.unsure = False
        """Was sent and got no reply: it may stand in the stream."""
        self.trace: MessageTrace | None = None
        """None for a message that is not traced, which nearly all are."""
        self.followers: list[Ticket] = []
        """Later tickets with the same message id; they get this one's answer."""

    @property
    def is_exclusive(self) -> bool:
        """Whether another writer's claim refuses this message."""
        return self.producer is not None and self.producer.fences and not self.opens

    def succeed(self, entry_id: EntryId, *, duplicate: bool = False) -> None:
        """Answer with the entry."""
        self.entry_id = entry_id
        self.duplicate = duplicate
        self.settled(self)
        self.on_done(self)
        for follower in self.followers:
            follower.succeed(entry_id, duplicate=True)

    def fail(self, error: ApiError) -> None:
        """Answer with a refusal."""
        self.error = error
        self.settled(self)
        self.on_done(self)
        for follower in self.followers:
            follower.fail(error)
