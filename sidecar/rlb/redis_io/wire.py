"""The bytes of one connection: commands are joined and written once a loop turn, replies are parsed in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from rlb.redis_io.replies import ConnectionLostError, ReplyError

OnReply = Callable[[Any], None]
"""Takes a reply: a value, a `ReplyError`, or `ConnectionLostError` when none will come."""


class Wire(asyncio.Protocol):
    """One open connection, after its handshake.

    Load makes batches by itself: whatever is sent within a turn of the event loop leaves in one write, and an idle
    connection writes at once.
    """

    def __init__(self, transport: asyncio.Transport, on_lost: Callable[[Exception | None], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._on_lost = on_lost
        self._reader = hiredis.Reader(replyError=ReplyError, protocolError=ReplyError)
        self._out: list[bytes] = []
        self._awaiting: deque[tuple[OnReply, int]] = deque()
        self._is_closed = False
        self.in_flight_bytes = 0
        """Bytes of commands that have no reply yet."""
        self.last_progress_s = self._loop.time()
        """Loop time of the last reply, or of the first command after a pause: what a hang is measured from."""

    @property
    def awaiting(self) -> int:
        """Commands that have no reply yet."""
        return len(self._awaiting)

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Queue one encoded command; `on_reply` is called exactly once."""
        if not self._awaiting:
            self.last_progress_s = self._loop.time()
        if not self._out:
            self._loop.call_soon(self._flush)
        size = len(command)
        self._out.append(command)
        self._awaiting.append((on_reply, size))
        self.in_flight_bytes += size

    def send_all(self, commands: bytes, takers: Sequence[OnReply]) -> None:
        """Queue several encoded commands in one piece; each of `takers` is called once, in their order."""
        if not self._awaiting:
            self.last_progress_s = self._loop.time()
        if not self._out:
            self._loop.call_soon(self._flush)
        size = len(commands)
        self._out.append(commands)
        # Their bytes are counted on the last one: they are all answered, or not all.
        self._awaiting.extend([(taker, 0) for taker in takers[:-1]])
        self._awaiting.append((takers[-1], size))
        self.in_flight_bytes += size

    def _flush(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out) if len(self._out) > 1 else self._out[0])
        self._out.clear()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        awaiting = self._awaiting
        self.last_progress_s = self._loop.time()
        try:
            while (reply := reader.gets()) is not False:
                on_reply, size = awaiting.popleft()
                self.in_flight_bytes -= size
                on_reply(reply)
        except (ReplyError, IndexError):
            # Not RESP, or a reply that nobody asked for: nothing that follows can be matched to a command.
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._out.clear()
        # Detach first: whoever is told may want to send at once, and must find the link down.
        self._on_lost(exc)
        lost = ConnectionLostError("connection to Redis lost")
        while self._awaiting:
            on_reply, _ = self._awaiting.popleft()
            on_reply(lost)
        self.in_flight_bytes = 0

    def abort(self) -> None:
        """Drop the connection at once; every command without a reply gets `ConnectionLostError`."""
        self._transport.abort()
        # A transport tells its loss once, perhaps before this protocol took it over: do not depend on it.
        self._loop.call_soon(self.connection_lost, None)
