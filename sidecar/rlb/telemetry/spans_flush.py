"""The spans of writes: one for each write to Redis that holds a message of a sampled generation."""

from __future__ import annotations

import time
from typing import Protocol

from opentelemetry.trace import Link, SpanContext, SpanKind

from rlb.domain.stream_key import StreamKey
from rlb.telemetry.spans import SEND, Spans


class Traced(Protocol):
    """What a message in a write belongs to."""

    @property
    def stream(self) -> StreamKey: ...
    @property
    def context(self) -> SpanContext: ...


class Write:
    """One write: what leaves in a turn of the event loop. Its span is made when its last traced message has a reply."""

    __slots__ = ("_began_ns", "_error", "_generations", "_is_under_way", "_messages", "_spans", "_waiting")

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._began_ns = time.time_ns()
        self._generations: dict[int, Traced] = {}
        self._waiting = 0
        self._messages = 0
        self._is_under_way = False
        self._error: str | None = None

    def add(self, generation: Traced) -> None:
        """A traced message leaves with it."""
        self._waiting += 1
        self._generations[id(generation)] = generation

    def leave(self, messages: int) -> None:
        """It is full: with so many messages, traced or not."""
        self._messages = messages
        self._is_under_way = True
        self._end_if_answered()

    def answered(self, error: str | None) -> None:
        """One of its traced messages has its reply, or will get none under this write; `error` is a short name."""
        self._waiting -= 1
        self._error = self._error or error
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._waiting or not self._is_under_way:
            return
        ended_ns = time.time_ns()
        generations = list(self._generations.values())
        first = generations[0]
        if len(generations) == 1:
            # The entries carry the context of the generation that this is part of, so that it counts as their creator.
            self._spans.over(
                SEND,
                SpanKind.PRODUCER,
                {
                    "messaging.batch.message_count": self._messages,
                    "messaging.destination.name": first.stream.key,
                    "messaging.message.conversation_id": first.stream.session_id,
                },
                began_ns=self._began_ns,
                ended_ns=ended_ns,
                parent=first.context,
                error=self._error,
            )
            return
        self._spans.over(
            SEND,
            SpanKind.CLIENT,
            {"messaging.batch.message_count": self._messages},
            began_ns=self._began_ns,
            ended_ns=ended_ns,
            links=[
                Link(each.context, {"messaging.message.conversation_id": each.stream.session_id})
                for each in generations
            ],
            error=self._error,
        )


class Writes:
    """The write that is being put together, if a traced message is in it."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._next: Write | None = None

    def joined_by(self, generation: Traced) -> Write:
        """The write with which a traced message leaves."""
        if self._next is None:
            self._next = Write(self._spans)
        self._next.add(generation)
        return self._next

    def leave(self, messages: int) -> None:
        """A write with so many messages leaves."""
        write, self._next = self._next, None
        if write is not None:
            write.leave(messages)
