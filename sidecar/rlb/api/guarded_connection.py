"""The life of one connection: let in or turned away, cut when it keeps still for too long, refused, lost.

What its bytes mean is the business of `rlb.api.http_protocol`.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import cast

from httptools import HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from rlb.api.connection_gate import ConnectionGate, Peer, Refusal, peer_of
from rlb.api.problems import problem_response
from rlb.api.request_cycle import FAILURES, RequestCycle
from rlb.errors import ApiError, PeerNotAllowedError, RequestTimeoutError

BETWEEN, HEADER, BODY = range(3)
"""What the next bytes of a connection belong to."""


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's protocol without its timers, text answers and log of payloads, watched by a `ConnectionGate`."""

    def __init__(
        self, config: Config, server_state: ServerState, gate: ConnectionGate, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.access_log = False
        self.logger = FAILURES
        limits = gate.limits
        self._gate = gate
        self._header_ticks = gate.ticks(limits.header_timeout_s)
        self._body_ticks = gate.ticks(limits.body_timeout_s)
        self._keep_alive_ticks = gate.ticks(limits.keep_alive_s)
        self._peer: Peer | None = None
        self._phase = BETWEEN
        self._quiet_ticks = 0
        self._stalled_ticks = 0
        self._is_refused = False
        self._latest: RequestCycle | None = None
        """The request whose bytes came last: `self.cycle`, which the parent declares as never missing."""
        self._running: RequestCycle | None = None
        """The request that is being answered. Those between the two wait in `self.pipeline`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        connected: socket.socket = transport.get_extra_info("socket")
        refusal: ApiError | None
        try:
            self._peer = peer_of(connected)
        except OSError:
            refusal = PeerNotAllowedError("The kernel does not tell which user this is.")
        else:
            refusal = self._gate.admit(self, self._peer)
        if refusal is not None:
            # Nothing of it has been read, and nothing will be.
            self._gate.answer_and_linger(connected, problem_response(refusal))
            transport.abort()
            return
        self.app_state = {"peer": self._peer, "has_hung_up": self.has_hung_up}
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.release(self, self._peer)
        self._disconnect_requests()
        self.app_state = {}  # which refers to this object
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._stalled_ticks = 0
        super().resume_writing()

    def abort(self) -> int:
        """Cut the connection now; the number of requests that this leaves without their answer."""
        unanswered = self._disconnect_requests()
        self.transport.abort()
        return unanswered

    def on_tick(self) -> None:
        """Cut the connection if it has kept still for too long; called by the gate."""
        if self.transport.is_closing() or self.flow.write_paused:
            # What has been written does not get out: the client has stopped reading.
            self._stalled_ticks += 1
            if self._stalled_ticks > self._keep_alive_ticks:
                self._gate.count(Refusal.STALLED, self._peer)
                self.abort()
            return
        self._stalled_ticks = 0
        if self.flow.read_paused:
            # It is not the client that is slow. But nothing else would tell that it has gone in the middle of an
            # answer, when reading waits because another request is queued behind that one.
            if self.pipeline and self.has_hung_up():
                self.abort()
            return
        self._quiet_ticks += 1
        if self._phase == BETWEEN:
            if self._quiet_ticks > self._keep_alive_ticks and self._is_answered():
                self._gate.count(Refusal.IDLE, self._peer)
                self.transport.close()
        elif self._phase == HEADER:
            if self._quiet_ticks > self._header_ticks:
                late = RequestTimeoutError("The header of the request did not arrive in time.")
                self._refuse(late, Refusal.HEADER_TIMEOUT)
        elif self._quiet_ticks > self._body_ticks:
            if self._is_answered():
                self._gate.count(Refusal.BODY_TIMEOUT, self._peer)
                self.transport.close()
            elif not self.cycle.response_started:
                # A response that has begun before the end of its request is a conversation, which may pause.
                late = RequestTimeoutError("The body of the request stopped arriving.")
                self._refuse(late, Refusal.BODY_TIMEOUT)

    def has_hung_up(self) -> bool:
        """Whether the client has closed its end, which the kernel knows before the loop has come to it."""
        if self.transport.is_closing():
            return True
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    @property
    def last_path(self) -> str | None:
        """The path that was asked for last, or None before the first request."""
        return self._latest.scope["path"] if self._latest is not None else None

    def _is_answered(self) -> bool:
        """Whether nothing is left to do for the requests that have come."""
        return self._latest is None or self._latest.response_complete

    def _disconnect_requests(self) -> int:
        """Tell every request of this connection that nobody waits for its answer (the parent tells the last alone)."""
        cycles = [cycle for cycle, _ in self.pipeline]
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            cycles.append(self._running)
        for cycle in cycles:
            cycle.disconnected = True
            cycle.message_event.set()
        return len(cycles)

    def _refuse(self, error: ApiError, reason: Refusal | None) -> None:
        """Read no further. Requests that came whole are answered first; then, where it can still be told, `error`."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        if reason is not None:
            self._gate.count(reason, self._peer)
        self.parser = _DEAF
        if self._phase == BODY and not self._is_answered():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.pipeline:
                self.pipeline.popleft()
            elif self.cycle.response_started:
                # What has been answered so far gets out; that the answer lacks its end says the rest.
                self.transport.close()
                return
            else:
                self._running = None
        if self._running is not None and not self._running.response_complete:
            last = self.pipeline[0][0] if self.pipeline else self._running
            last.keep_alive = False
            return
        self.transport.write(problem_response(error))
        self.flow.pause_reading()
        self.loop.call_later(self._gate.limits.linger_s, self.transport.close)


class _Deaf:
    """The parser of a connection from which nothing more is taken."""

    def feed_data(self, data: bytes) -> None:
        """Forget the bytes."""


_DEAF = cast("HttpRequestParser", _Deaf())
