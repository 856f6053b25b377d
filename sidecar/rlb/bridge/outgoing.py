"""What leaves for Redis in one turn of the event loop, which is one write: how much, how old, and how long it takes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from rlb.bridge.observer import Observer
from rlb.bridge.ticket import Ticket
from rlb.bridge.tracer import Tracer
from rlb.redis_io.replies import ConnectionLostError, ReplyError, failure_name


class Outgoing:
    """Tells the observer of each write once, and of the round trip of its first message."""

    __slots__ = ("_deadline_s", "_loop", "_messages", "_observer", "_oldest_s", "_tracer")

    def __init__(self, observer: Observer, deadline_s: float, tracer: Tracer | None = None) -> None:
        self._observer = observer
        self._tracer = tracer
        self._deadline_s = deadline_s
        """What was added to a message's time of acceptance to give its deadline."""
        self._messages = 0
        self._oldest_s = 0.0
        self._loop = asyncio.get_running_loop()

    def sent(self, ticket: Ticket) -> None:
        """Count a message that has just been sent."""
        if self._messages == 0:
            self._oldest_s = ticket.deadline_s
            ticket.timed_s = time.monotonic()
            self._loop.call_soon(self._turn_over)
        elif ticket.deadline_s < self._oldest_s:
            self._oldest_s = ticket.deadline_s
        self._messages += 1
        if ticket.trace is not None:
            ticket.trace.sent(ticket)
        if ticket.trouble is not None:
            self._observer.retried(ticket.trouble)
            ticket.trouble = None

    def answered(self, ticket: Ticket, reply: Any) -> None:
        """Redis has answered a message that is timed."""
        seconds, ticket.timed_s = time.monotonic() - ticket.timed_s, 0.0
        error = failure_name(reply) if isinstance(reply, ReplyError | ConnectionLostError) else None
        self._observer.round_trip("XADD", seconds, error)

    def _turn_over(self) -> None:
        messages, self._messages = self._messages, 0
        waited_s = time.monotonic() - (self._oldest_s - self._deadline_s)
        self._observer.flushed(messages, max(0.0, waited_s))
        if self._tracer is not None:
            self._tracer.flushed(messages)
