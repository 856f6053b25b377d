"""Which generations are open, and whether each is sampled: one decision a generation, remembered for its tokens."""

from __future__ import annotations

import time

from rlb.bridge.ticket import Producer, Ticket
from rlb.errors import ApiError
from rlb.telemetry.spans import Spans
from rlb.telemetry.spans_flush import Writes
from rlb.telemetry.spans_generation import Inject, TracedGeneration, generation_span


class OpenGeneration:
    """A generation that has begun and not ended, sampled or not."""

    __slots__ = ("has_left", "producer", "traced")

    def __init__(self, producer: Producer | None, traced: TracedGeneration | None) -> None:
        self.producer = producer
        self.traced = traced
        """None if it is not sampled."""
        self.has_left = False
        """Whether its producer's connection has ended: another one may go on with it."""


class OpenGenerations:
    """Open generations by the key of their stream.

    At most `max_open` are known; more are not traced. One without a message for `abandoned_s` is abandoned. Those that
    are not sampled have no clock for that, as each token would have to wind it: they are dropped when they were not
    touched between two turns of a generation of tables, which is after one to two times as long.
    """

    def __init__(
        self, spans: Spans, writes: Writes, *, provider: str, inject: Inject, max_open: int, abandoned_s: float
    ) -> None:
        self._spans = spans
        self._writes = writes
        self._provider = provider
        self._inject = inject
        self._max_open = max_open
        self._abandoned_s = abandoned_s
        self._recent: dict[str, OpenGeneration] = {}
        self._older: dict[str, OpenGeneration] = {}
        self._turn_s = time.monotonic() + abandoned_s
        self._under_way: set[TracedGeneration] = set()
        """The sampled ones whose span has not ended, among them those whose last message has no answer yet."""

    @property
    def count(self) -> int:
        """Generations that are known to be open."""
        return len(self._recent) + len(self._older)

    def admitted(self, ticket: Ticket) -> None:
        """A message is about to be queued."""
        generation = self._recent.get(ticket.stream.key)
        if generation is None or ticket.opens:
            generation = self._look_closer(ticket)
            if generation is None:
                return
        if not ticket.draft.is_output:
            return
        if generation.traced is not None:
            generation.traced.take(ticket)
        if ticket.draft.complete is not None:
            del self._recent[ticket.stream.key]

    def _look_closer(self, ticket: Ticket) -> OpenGeneration | None:
        """The generation of a message that opens one, or whose generation was not seen for long, or is unknown."""
        key = ticket.stream.key
        generation = self._recent.get(key) or self._older.pop(key, None)
        if generation is not None:
            self._recent[key] = generation
            if not ticket.opens or self._goes_on(generation, ticket):
                generation.producer, generation.has_left = ticket.producer, False
                return generation
            self._drop(key, "superseded")
        if not ticket.draft.is_output or self.count >= self._max_open:
            return None
        if not ticket.opens and not ticket.draft.tokens:
            # The end of one that was given up before, or that another sidecar has seen.
            return None
        span = generation_span(self._spans, ticket.stream, ticket.draft, self._provider)
        traced = None
        if span.is_recording():
            traced = TracedGeneration(span, ticket.stream, self._inject, self._writes)
            self._under_way.add(traced)
        generation = self._recent[key] = OpenGeneration(ticket.producer, traced)
        return generation

    @staticmethod
    def _goes_on(generation: OpenGeneration, ticket: Ticket) -> bool:
        """Whether an opening message takes up what a lost connection has left, as clients do, and begins nothing."""
        return generation.has_left and ticket.draft.requested_at is None and ticket.draft.traceparent is None

    def lost(self, producer: Producer, key: str, error: ApiError) -> None:
        """A producer's generation on a stream has failed."""
        generation = self._find(key)
        if generation is not None and generation.producer is producer:
            if generation.traced is not None:
                generation.traced.fail(error.code)
            self._drop(key, "")

    def left(self, producer: Producer) -> None:
        """A producer's connection has ended."""
        for key in producer.open:
            generation = self._find(key)
            if generation is not None and generation.producer is producer:
                generation.has_left = True

    def sweep(self) -> None:
        """End what is abandoned, and forget what is over."""
        now_s = time.monotonic()
        for traced in list(self._under_way):
            if not traced.is_over and now_s - traced.touched_s > self._abandoned_s:
                traced.abandon("no message for long")
            if traced.is_over:
                self._under_way.discard(traced)
        for table in (self._recent, self._older):
            for key in [key for key, each in table.items() if each.traced is not None and each.traced.is_over]:
                del table[key]
        if now_s >= self._turn_s:
            self._turn_s = now_s + self._abandoned_s
            kept = {key: each for key, each in self._older.items() if each.traced is not None}
            self._older, self._recent = self._recent, kept

    def close(self) -> None:
        """End all spans: the sidecar stops."""
        for traced in self._under_way:
            traced.abandon("the sidecar has stopped")
        for table in (self._recent, self._older):
            table.clear()
        self._under_way.clear()

    def _find(self, key: str) -> OpenGeneration | None:
        return self._recent.get(key) or self._older.get(key)

    def _drop(self, key: str, reason: str) -> None:
        generation = self._recent.pop(key, None) or self._older.pop(key, None)
        if generation is not None and generation.traced is not None:
            generation.traced.abandon(reason)
