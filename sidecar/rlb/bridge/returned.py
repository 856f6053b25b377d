"""Messages that came back from Redis without having landed: which are sent again, and which are refused, and why."""

from __future__ import annotations

from rlb.bridge.backlog import Backlog
from rlb.bridge.ticket import Ticket
from rlb.bridge.write_health import OF_REDIS, WriteHealth
from rlb.domain.stream_key import StreamKey
from rlb.errors import ApiError, RedisUnavailableError
from rlb.redis_io.replies import (
    ConnectionLostError,
    Failure,
    api_error,
    failure_name,
    is_overtaken,
    is_refused_for_now,
)


class Returned:
    """What came back of one stream, in the order in which it was sent."""

    __slots__ = ("_backlog", "_came", "_health", "_stream", "trouble")

    def __init__(self, backlog: Backlog, stream: StreamKey, health: WriteHealth) -> None:
        self.trouble: Failure | None = None
        """Why messages are sent again; None once one has landed."""
        self._backlog = backlog
        self._stream = stream
        self._health = health
        self._came: list[tuple[Ticket, Failure]] = []

    def __len__(self) -> int:
        return len(self._came)

    def add(self, ticket: Ticket, reply: Failure) -> None:
        """Take a message that Redis refused, or whose reply was lost."""
        self._came.append((ticket, reply))

    def requeue(self) -> bool:
        """Put back to the head of the queue what is to be sent again; True if Redis wants it later, not now."""
        came, self._came = self._came, []
        is_for_later = False
        final: list[tuple[Ticket, Failure]] = []
        for ticket, reply in reversed(came):
            if isinstance(reply, ConnectionLostError) or is_overtaken(reply) or is_refused_for_now(reply):
                self.trouble = reply
                ticket.trouble = failure_name(reply)
                self._backlog.put_back(ticket)
                is_for_later = is_for_later or is_refused_for_now(reply)
            else:
                final.append((ticket, reply))
        for ticket, reply in reversed(final):
            self._backlog.fail(ticket, self._refused(reply))
        return is_for_later

    def give_up_overtaken(self) -> None:
        """Refuse what Redis refused before it took a later message: there is no place left for it in the order."""
        overtaken, self._came = self._came, []
        for ticket, reply in overtaken:
            if ticket.producer is None:
                self._backlog.queue.append(ticket)
            elif is_overtaken(reply):
                self._backlog.fail(ticket, self._backlog.fenced_error())
            else:
                self._backlog.fail(ticket, self._refused(reply))

    def late(self, ticket: Ticket, link_reason: str | None) -> ApiError:
        """Why a message is refused whose deadline has passed."""
        if self.trouble is not None and is_refused_for_now(self.trouble):
            return self._refused(self.trouble)
        again = "; an earlier attempt may have landed: send it again with the same messageId" if ticket.unsure else ""
        why = link_reason or "Redis does not answer"
        self._health.refused(RedisUnavailableError.code, why)
        return RedisUnavailableError(f"not written in time: {why}{again}")

    def _refused(self, reply: Failure) -> ApiError:
        what = f"append to {self._stream.key}"
        error = api_error(reply, what)
        if isinstance(error, OF_REDIS):
            # What all streams would meet is told without the name of one.
            self._health.refused(error.code, error.detail.removeprefix(f"{what}: "))
        return error
