"""Lines on their way to the sidecar: in order, sent or not, until each has its answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Protocol

from rlb.errors import RlbError


class Sender(Protocol):
    """Who wrote a line, and is told what became of it."""

    opened_in: int
    """The number of the conversation in which its first line was sent; 0 is none."""

    def on_ack(self, line: Line, members: dict[str, Any]) -> None:
        """The line's message stands in its stream."""

    def on_failure(self, line: Line, error: RlbError) -> None:
        """The line was refused, or no sidecar could be reached in time."""

    def on_fenced(self, error: RlbError) -> None:
        """Another sender has taken the stream over; what was sent before is still answered."""


class Line:
    """One JSON object on a line of its own, with the line's end."""

    __slots__ = ("body", "message_id", "sender")

    def __init__(self, sender: Sender, message_id: str, body: bytes) -> None:
        self.sender = sender
        self.message_id = message_id
        self.body = body


class Outbox:
    """A queue of lines that outlives the conversations in which they are sent.

    Its size is bounded by the windows of the generations that fill it.
    """

    def __init__(self) -> None:
        self._unsent: deque[Line] = deque()
        self._sent: deque[Line] = deque()
        self._postponed: deque[Line] = deque()
        self._changed = asyncio.Event()
        self._conversation = 0
        self._is_ended = False

    @property
    def is_empty(self) -> bool:
        """Whether every line has its answer."""
        return not (self._unsent or self._sent or self._postponed)

    @property
    def is_ended(self) -> bool:
        """Whether this side has ended the conversation."""
        return self._is_ended

    @property
    def is_exhausted(self) -> bool:
        """Whether the conversation has to be begun anew for any further answer."""
        return bool(self._postponed) and not self._sent

    def put(self, line: Line) -> None:
        """Queue a line; never waits."""
        self._unsent.append(line)
        self._changed.set()

    def begin(self) -> AsyncIterator[bytes]:
        """The body of a new conversation.

        What has no answer is sent again, in order, and each generation opens anew. What is queued within one turn of
        the event loop leaves in one chunk.
        """
        self._conversation += 1
        self._is_ended = False
        self._unsent.extendleft(reversed(self._sent))
        self._unsent.extendleft(reversed(self._postponed))
        self._sent.clear()
        self._postponed.clear()
        self._changed.set()
        return _Body(self, self._conversation)

    def end(self) -> None:
        """End the body of this conversation once all that is queued has been sent."""
        self._is_ended = True
        self._changed.set()

    def next_answered(self) -> Line:
        """The line that the next answer is for.

        Raises:
            IndexError: every line has its answer.
        """
        return self._sent.popleft()

    def postpone(self, line: Line) -> None:
        """The answer was "not now": keep the line, and send no more, until the next conversation."""
        self._postponed.append(line)

    def clear(self) -> list[Line]:
        """Give every line up."""
        lines = [*self._postponed, *self._sent, *self._unsent]
        for queue in (self._postponed, self._sent, self._unsent):
            queue.clear()
        return lines

    async def next_chunk(self, conversation: int) -> bytes | None:
        """The lines to send now; None when that conversation is over."""
        while True:
            if self._conversation != conversation:
                return None
            if self._unsent and not self._postponed:
                return self._chunk()
            if self._is_ended:
                return None
            self._changed.clear()
            await self._changed.wait()

    def _chunk(self) -> bytes:
        bodies = []
        for line in self._unsent:
            sender = line.sender
            if sender.opened_in == self._conversation:
                bodies.append(line.body)
            else:
                sender.opened_in = self._conversation
                bodies.append(b'{"open":true,' + line.body[1:])
        self._sent.extend(self._unsent)
        self._unsent.clear()
        return b"".join(bodies)


class _Body:
    """What one conversation sends. A conversation that was replaced takes nothing more from the queue."""

    __slots__ = ("_conversation", "_outbox")

    def __init__(self, outbox: Outbox, conversation: int) -> None:
        self._outbox = outbox
        self._conversation = conversation

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._outbox.next_chunk(self._conversation)
        if chunk is None:
            raise StopAsyncIteration
        return chunk
