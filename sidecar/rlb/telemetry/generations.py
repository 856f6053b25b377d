"""All generations that apps of this sidecar are writing: one clock each, their number bounded.

A generation is known by its stream, which has one at a time. It begins with a message that opens one, or with the
first message that comes on its own, and ends when its last message stands in the stream, when it has failed, or when
nothing more is to be expected. Where its connection is lost and another one goes on with it before it counts as
stalled, as our client does, it is the same generation.
"""

from __future__ import annotations

import heapq
import time
from bisect import bisect_left

from rlb.bridge.ticket import OVERHEAD_BYTES, Producer, Ticket
from rlb.domain.generation import FAILURES, Finish, Generation, finish_of, time_to_first_token_s
from rlb.domain.snapshot import GenerationInfo
from rlb.domain.stream_key import StreamKey
from rlb.domain.trace_context import TraceContext, parse_trace_context
from rlb.settings import GenerationSettings
from rlb.telemetry.meters import MeterBook, ModelMeters
from rlb.telemetry.registry import Histogram, Registry

SWEEP_S = 0.25
"""How often `sweep` is to be called."""

SWEEP_AT_LEAST = 2000
"""Generations looked at in one sweep, or an eighth of all if that is more: a round takes at most two seconds."""


class Tracked(Generation):
    """A generation, who writes it, and where it is counted."""

    __slots__ = ("meters", "producer", "requested_at", "stream", "trace")

    def __init__(
        self, ticket: Ticket, meters: ModelMeters, now_s: float, *, waited_s: float | None, is_whole: bool
    ) -> None:
        super().__init__(now_s, waited_s=waited_s, is_whole=is_whole)
        self.stream: StreamKey = ticket.stream
        self.producer: Producer | None = ticket.producer
        """None where each message comes on its own."""
        self.requested_at = ticket.draft.requested_at
        self.trace: TraceContext | None = None
        """The app's span, if it is sampled."""
        self.meters = meters

    def taken_up_by(self, producer: Producer | None) -> None:
        """Another connection goes on with it."""
        self.producer, self.has_no_writer = producer, False


class Generations:
    """Begins, times and ends generations."""

    def __init__(self, settings: GenerationSettings, book: MeterBook, registry: Registry) -> None:
        self.open: dict[str, Tracked] = {}
        """By the stream's key."""
        self._settings = settings
        self._book = book
        self._untracked = registry.counter("rlb.generation.untracked")
        self._ending: dict[Ticket, tuple[Tracked, float]] = {}
        """Last messages that are on their way into the stream, and when they came."""
        self._round: list[Tracked] = []
        self._share = SWEEP_AT_LEAST
        self._stalled: dict[str, int] = {}

    # As the bridge tells

    def accepted(self, ticket: Ticket, now_s: float) -> None:
        """A message of the generation that is open on its stream, of a new one, or of none."""
        draft = ticket.draft
        generation = self.open.get(ticket.stream.key)
        meters = generation.meters if generation is not None else self._book.model(ticket.stream.model_id)
        meters.tokens.value += draft.tokens
        meters.size.value += ticket.size - OVERHEAD_BYTES
        # What follows is written out for the sake of the common case, and calls as little as it can.
        if generation is None or ticket.opens or ticket.duplicate or ticket.error is not None or not draft.is_output:
            generation = self._belonging(ticket, generation, now_s)
            if generation is None:
                return
        if draft.traceparent is not None and generation.trace is None:
            trace = parse_trace_context(draft.traceparent)
            generation.trace = trace if trace is not None and trace.is_sampled else None
        if draft.tokens:
            interval_s = generation.token(now_s)
            if interval_s is None or generation.trace is not None:
                self._tell_time(generation, interval_s)
            else:
                intervals = meters.intervals
                intervals.counts[bisect_left(intervals.bounds, interval_s)] += 1
                intervals.sum += interval_s
        if draft.told_sequence is not None and (anomaly := generation.number(draft.told_sequence)) is not None:
            generation.meters.anomalies[anomaly].value += 1
        if draft.complete is not None:
            self._remove(generation)
            self._ending[ticket] = generation, now_s

    def landed(self, ticket: Ticket) -> None:
        """A message that completes its generation stands in the stream."""
        if (ending := self._ending.pop(ticket, None)) is not None:
            assert ticket.draft.complete is not None
            self._end(ending[0], finish_of(ticket.draft.complete), ending[1])

    def failed(self, ticket: Ticket, now_s: float) -> None:
        """A message was not written. Of one on its own nobody else says that its generation has failed."""
        if (ending := self._ending.pop(ticket, None)) is not None:
            self._end(ending[0], "error", ending[1])
        elif ticket.producer is None:
            self._fail(ticket.stream.key, None, now_s)

    def lost(self, producer: Producer, key: str, now_s: float) -> None:
        """The producer has lost the generation that it had open on a stream."""
        self._fail(key, producer, now_s)

    def left(self, producer: Producer) -> None:
        """The producer has gone, and leaves open what it has not completed."""
        for key in producer.open:
            generation = self.open.get(key)
            if generation is not None and generation.producer is producer:
                generation.has_no_writer = True

    # By the clock

    def sweep(self, now_s: float) -> None:
        """Give up generations from which nothing more is to be expected; call it every `SWEEP_S`."""
        settings = self._settings
        if not self._round:
            self._round = list(self.open.values())
            self._share = max(SWEEP_AT_LEAST, len(self._round) // 8 + 1)
            self._stalled = {}
        looked_at, self._round = self._round[: self._share], self._round[self._share :]
        for generation in looked_at:
            if self.open.get(generation.stream.key) is not generation:
                continue
            if generation.is_abandoned(now_s, settings.stalled_seconds, settings.abandoned_seconds):
                self._give_up(generation)
            elif generation.state(now_s, settings.stalled_seconds) == "stalled":
                model = generation.meters.model
                self._stalled[model] = self._stalled.get(model, 0) + 1
        if not self._round:
            for meters in self._book.models:
                meters.stalled = self._stalled.get(meters.model, 0)

    def infos(self, limit: int, now_s: float) -> tuple[GenerationInfo, ...]:
        """Those that have been silent for longest, at most `limit`; so the stalled ones come first."""
        silent = heapq.nsmallest(limit, self.open.values(), key=lambda generation: generation.last_s)
        return tuple(
            GenerationInfo(
                session_id=generation.stream.session_id,
                model_id=generation.stream.model_id,
                tokens=generation.tokens,
                tokens_per_second=generation.tokens_per_second(),
                since_last_token_seconds=max(0.0, generation.silence_s(now_s)),
                state=generation.state(now_s, self._settings.stalled_seconds),
            )
            for generation in silent
        )

    # Within

    def _belonging(self, ticket: Ticket, current: Tracked | None, now_s: float) -> Tracked | None:
        """The generation that a message is part of, which it may begin; None if it is not part of one."""
        if ticket.error is not None or not ticket.draft.is_output:
            return None
        if ticket.duplicate:
            # It was counted before; but it may be what another connection takes the generation up with.
            if ticket.opens and current is not None and self._goes_on(current, ticket, now_s):
                current.taken_up_by(ticket.producer)
            return None
        return self._begin(ticket, current, now_s) if current is None or ticket.opens else current

    def _tell_time(self, generation: Tracked, interval_s: float | None) -> None:
        if interval_s is not None:
            _observe(generation.meters.intervals, interval_s, generation.trace)
        elif generation.waited_s is not None:
            waits = generation.meters.once("gen_ai.server.time_to_first_token")
            _observe(waits, generation.waited_s, generation.trace)

    def _begin(self, ticket: Ticket, current: Tracked | None, now_s: float) -> Tracked | None:
        draft, producer = ticket.draft, ticket.producer
        if current is not None:
            if self._goes_on(current, ticket, now_s):
                current.taken_up_by(producer)
                return current
            self._give_up(current)
        is_whole = ticket.opens or producer is None
        if not ticket.opens and not draft.tokens:
            # The end of something that was given up before, or that another sidecar has seen.
            return None
        if len(self.open) >= self._settings.max_open:
            # Nothing says which of the messages that come on their own belong together: each counts.
            self._untracked.value += is_whole
            return None
        waited_s = None
        if is_whole and draft.tokens and draft.requested_at is not None:
            waited_s = time_to_first_token_s(draft.requested_at, time.time_ns() // 1_000_000)
        meters = self._book.model(ticket.stream.model_id)
        generation = Tracked(ticket, meters, now_s, waited_s=waited_s, is_whole=is_whole)
        self.open[ticket.stream.key] = generation
        meters.open += 1
        return generation

    def _goes_on(self, current: Tracked, ticket: Ticket, now_s: float) -> bool:
        """Whether a message that opens a generation belongs to the one that is open already."""
        producer, before = ticket.producer, current.producer
        if producer is None or before is None or producer is before:
            return False
        if not producer.fences and not before.fences:
            # They share the stream.
            return True
        is_same_request = ticket.draft.requested_at in (None, current.requested_at)
        return (
            current.has_no_writer
            and is_same_request
            and current.state(now_s, self._settings.stalled_seconds) == "active"
        )

    def _fail(self, key: str, producer: Producer | None, now_s: float) -> None:
        generation = self.open.get(key)
        if generation is not None and generation.producer is producer:
            self._remove(generation)
            self._end(generation, "error", now_s)

    def _give_up(self, generation: Tracked) -> None:
        self._remove(generation)
        self._end(generation, "abandoned", generation.last_s)

    def _remove(self, generation: Tracked) -> None:
        del self.open[generation.stream.key]
        generation.meters.open -= 1

    def _end(self, generation: Tracked, finish: Finish, ended_s: float) -> None:
        meters, trace = generation.meters, generation.trace
        meters.completed[finish].value += 1
        if generation.is_whole:
            _observe(meters.generation_tokens, generation.tokens, trace)
        duration_s = generation.duration_s(ended_s)
        if duration_s is not None:
            failure = finish if finish in FAILURES else None
            _observe(meters.once("gen_ai.server.request.duration", failure), duration_s, trace)
        per_token_s = generation.per_token_s(ended_s)
        if per_token_s is not None and finish not in FAILURES:
            _observe(meters.once("gen_ai.server.time_per_output_token"), per_token_s, trace)


def _observe(histogram: Histogram, value: float, trace: TraceContext | None) -> None:
    if trace is None:
        histogram.observe(value)
    else:
        histogram.observe_traced(value, trace.trace_id, trace.span_id)
