"""A proxy between a client and a server's Unix socket that makes connections fail in chosen ways.

The faults are named after Toxiproxy's toxics. Those that cut a connection are armed, strike once and return an
`asyncio.Event` that is set when they have struck; latency, slicing, freezing and holding last until they are lifted.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

CHUNK_BYTES = 65536
LINGER_S = 1.0


@dataclass(eq=False)
class _Connection:
    """One client's connection and the one to the server that stands behind it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list)

    def cut(self) -> None:
        """Reset the client's side. What was forwarded to the server still arrives there."""
        connected = self.client.get_extra_info("socket")
        if connected.family == socket.AF_INET:
            # Lingering for zero seconds makes the kernel send a reset instead of an orderly end.
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()
        self.server.close()
        for pump in self.pumps:
            if pump is not asyncio.current_task():
                pump.cancel()


@dataclass(eq=False)
class _Armed:
    """A fault that waits for its moment, on the next connection to send something that holds `carrying`."""

    carrying: bytes
    amount: float  # bytes left to forward, or seconds left to wait
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    connection: _Connection | None = None

    def notice(self, connection: _Connection, request: bytes) -> None:
        if self.connection is None and self.carrying in request:
            self.connection = connection

    def forget(self, connection: _Connection) -> None:
        """A connection that ended by itself does not use the fault up."""
        if self.connection is connection:
            self.connection = None


class FaultProxy:
    """Listens at `listen_path`, or at a loopback port without it, and forwards to `upstream_path`."""

    def __init__(self, upstream_path: Path, listen_path: Path | None = None) -> None:
        self.listen_path = listen_path
        self.port = 0
        self.accepted_count = 0
        self.cut_count = 0
        self._upstream_path = upstream_path
        self._listener: socket.socket | None = None
        self._connections: set[_Connection] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._latency_s = 0.0
        self._slice_bytes = CHUNK_BYTES
        self._slice_delay_s = 0.0
        self._limit_data: _Armed | None = None
        self._timeout: _Armed | None = None
        self._hold: _Armed | None = None
        self._thawed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"unix://{self.listen_path}" if self.listen_path else f"redis://127.0.0.1:{self.port}/0"

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.thaw()
        await self.down()

    async def up(self) -> None:
        """Accept connections (again), at the same address."""
        if self.listen_path is not None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.listen_path))
        else:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
        self._listener.listen()
        self._listener.setblocking(False)
        # Not asyncio's own server: closed while it accepts a connection, that one is left open and unanswered.
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    async def down(self) -> None:
        """Cut every connection and refuse new ones, as a server that is gone."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            if self.listen_path is not None:
                self.listen_path.unlink(missing_ok=True)
        self.reset_peer()
        if self._handlers:
            await asyncio.wait(self._handlers)

    def reset_peer(self) -> int:
        """Reset every connection now; new ones are welcome. Returns how many there were."""
        connections = list(self._connections)
        for connection in connections:
            self._cut(connection)
        return len(connections)

    def limit_data(self, request_bytes: int, *, carrying: bytes = b"") -> asyncio.Event:
        """Forward exactly that many bytes more of one connection's requests, then reset it, mid-command or not.

        The connection is the next one to send something that holds `carrying`; counting starts with that piece.
        """
        self._limit_data = _Armed(carrying, request_bytes)
        return self._limit_data.struck

    def timeout_replies(self, timeout_s: float = 0.0, *, carrying: bytes = b"") -> asyncio.Event:
        """Lose one connection's replies: the server carries out its requests, the client never hears of it.

        The connection is the next one to send something that holds `carrying`. It is reset `timeout_s` after the
        first lost reply; until then requests still go through.
        """
        self._timeout = _Armed(carrying, timeout_s)
        return self._timeout.struck

    def disarm(self) -> None:
        """Forget the faults that are armed and have not struck."""
        self._limit_data = self._timeout = None

    def freeze(self) -> None:
        """Hold back everything in both directions, with connections open, until `thaw`."""
        self._flowing.clear()

    def hold_replies(self, *, carrying: bytes = b"") -> asyncio.Event:
        """Hold back one connection's replies until `thaw`, while its requests go through.

        The connection is the next one to send something that holds `carrying`. The event is set when the first of
        its replies is here; one that has come before a fault is armed is not lost to that.
        """
        self._thawed.clear()
        self._hold = _Armed(carrying, 0)
        return self._hold.struck

    def thaw(self) -> None:
        """Deliver what `freeze` and `hold_replies` held back, and let things flow again."""
        self._hold = None
        self._thawed.set()
        self._flowing.set()

    def slicer(self, slice_bytes: int, delay_s: float = 0.0) -> None:
        """Deliver in pieces of at most that size, with a pause after each; `CHUNK_BYTES` lifts it."""
        self._slice_bytes = slice_bytes
        self._slice_delay_s = delay_s

    def latency(self, latency_s: float) -> None:
        """Delay each piece by that long in each direction; 0 lifts it."""
        self._latency_s = latency_s

    def _accept(self, listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        self.accepted_count += 1
        handler = asyncio.get_running_loop().create_task(self._handle(accepted))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _handle(self, accepted: socket.socket) -> None:
        requests, client = await asyncio.open_connection(sock=accepted)
        try:
            replies, server = await asyncio.open_unix_connection(self._upstream_path)
        except OSError:
            client.transport.abort()
            return
        connection = _Connection(client, server)
        if self._listener is None:
            connection.cut()  # `down` came in between and could not see this one yet
        else:
            await self._forward(connection, requests, replies)

    async def _forward(
        self, connection: _Connection, requests: asyncio.StreamReader, replies: asyncio.StreamReader
    ) -> None:
        self._connections.add(connection)
        connection.pumps = [
            asyncio.create_task(self._pump_requests(connection, requests)),
            asyncio.create_task(self._pump_replies(connection, replies)),
        ]
        try:
            await asyncio.wait(connection.pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for pump in connection.pumps:
                pump.cancel()
            for armed in (self._limit_data, self._timeout, self._hold):
                if armed is not None:
                    armed.forget(connection)
            await asyncio.gather(_close(connection.client), _close(connection.server))

    async def _pump_requests(self, connection: _Connection, requests: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while data := await requests.read(CHUNK_BYTES):
                for armed in (self._limit_data, self._timeout, self._hold):
                    if armed is not None:
                        armed.notice(connection, data)
                limit = self._limit_data
                if limit is None or limit.connection is not connection:
                    await self._deliver(connection.server, data)
                    continue
                passed = data[: int(limit.amount)]
                limit.amount -= len(passed)
                await self._deliver(connection.server, passed)
                if limit.amount <= 0:
                    self._limit_data = None
                    self._strike(limit, connection)

    async def _pump_replies(self, connection: _Connection, replies: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while data := await replies.read(CHUNK_BYTES):
                lost = self._timeout
                if lost is None or lost.connection is not connection:
                    if self._hold is not None and self._hold.connection is connection:
                        self._hold.struck.set()
                        await self._thawed.wait()
                    await self._deliver(connection.client, data)
                    continue
                await asyncio.sleep(lost.amount)
                self._timeout = None
                self._strike(lost, connection)

    async def _deliver(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        # One size for one delivery, whatever is set meanwhile: with another the pieces would overlap.
        size = self._slice_bytes
        for start in range(0, len(data), size):
            await self._flowing.wait()
            writer.write(data[start : start + size])
            await writer.drain()
            if size < CHUNK_BYTES:
                # Without a pause the kernel would join the pieces again.
                await asyncio.sleep(self._slice_delay_s)

    def _strike(self, armed: _Armed, connection: _Connection) -> None:
        self._cut(connection)
        armed.struck.set()

    def _cut(self, connection: _Connection) -> None:
        self.cut_count += 1
        self._connections.discard(connection)
        connection.cut()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close once what is buffered has gone out, or after a moment without that: the other side may be paused."""
    writer.close()
    try:
        async with asyncio.timeout(LINGER_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()
