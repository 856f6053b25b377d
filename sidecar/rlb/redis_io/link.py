"""The link: one connection to Redis that comes back by itself, bounded in bytes, and never sends a command twice.

A command that was sent and got no reply has an unknown outcome. The link says so (`ConnectionLostError`) and leaves
it to the caller, who alone knows whether sending again is harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rlb.errors import OverloadedError, RedisUnavailableError
from rlb.redis_io.backoff import Backoff
from rlb.redis_io.command import Arg, encode
from rlb.redis_io.connect import ConnectError, Opened
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error
from rlb.redis_io.wire import OnReply, Wire

_log = logging.getLogger("rlb.link")

STEADY_S = 1.0
"""A connection that is lost sooner counts as a failed attempt: its successor waits."""

Opener = Callable[[Callable[[asyncio.Transport], asyncio.Protocol]], Awaitable[Opened]]


@dataclass(frozen=True, slots=True)
class LinkBounds:
    """Waits and sizes of a link. Reached, `reply_timeout_s` drops the connection, `buffer_bytes` refuses the call."""

    reply_timeout_s: float
    buffer_bytes: int
    call_timeout_s: float
    """How long a call waits for a link that is down before it answers `redis_unavailable`."""
    ping_s: float = 5.0
    """An idle connection is asked for a sign of life this often."""


class Link:
    """A named, self-healing connection. Start it inside a running event loop; nothing is sent before it is up."""

    def __init__(self, name: str, opener: Opener, bounds: LinkBounds, backoff: Backoff) -> None:
        self.name = name
        self.reason: str | None = "not connected yet"
        """Why the link is down; None while it is up."""
        self.connects = 0
        """Connections made since the start."""
        self._opener = opener
        self._bounds = bounds
        self._backoff = backoff
        self._wire: Wire | None = None
        self._opened: Opened | None = None
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._on_up: list[Callable[[], None]] = []
        self._on_down: list[Callable[[], None]] = []

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent now."""
        return self._wire is not None

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of commands without a reply."""
        return self._wire.in_flight_bytes if self._wire is not None else 0

    def on_up(self, listener: Callable[[], None]) -> None:
        """Call `listener` each time a connection is ready."""
        self._on_up.append(listener)

    def on_down(self, listener: Callable[[], None]) -> None:
        """Call `listener` each time a connection is lost, after its unanswered commands were told."""
        self._on_down.append(listener)

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"link {self.name}")

    async def close(self) -> None:
        """Stop; commands without a reply get `ConnectionLostError`."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._wire is not None:
            self._wire.abort()
            await self._lost.wait()

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Send one encoded command, at most once.

        Raises:
            RedisUnavailableError: the link is down; nothing was sent.
            OverloadedError: `buffer_bytes` of commands have no reply yet; nothing was sent.
        """
        self._usable().send(command, on_reply)

    def _usable(self) -> Wire:
        wire = self._wire
        if wire is None:
            raise RedisUnavailableError(f"Redis is not connected: {self.reason}")
        if wire.in_flight_bytes > self._bounds.buffer_bytes:
            raise OverloadedError(f"{self._bounds.buffer_bytes} bytes of commands wait for Redis")
        return wire

    async def call(self, *args: Arg, what: str = "call") -> Any:
        """Send one command and give its reply.

        Raises:
            ReplyError: Redis refused it.
            ApiError: the link stayed down (nothing sent), or broke before the reply (outcome unknown).
        """
        return (await self.batch([args], what=what))[0]

    async def batch(self, commands: Sequence[tuple[Arg, ...]], *, what: str = "call") -> list[Any]:
        """Send commands together and give their replies, the first error reply raised.

        Cancelling the caller does not withdraw what was sent.
        """
        replies = await self.batch_raw(commands)
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply
            if isinstance(reply, ConnectionLostError):
                raise api_error(reply, what)
        return replies

    async def batch_raw(self, commands: Sequence[tuple[Arg, ...]]) -> list[Any]:
        """Send commands together and give their replies, errors and `ConnectionLostError` among them."""
        if not commands:
            return []
        return await self.exchange(b"".join([encode(*command) for command in commands]), len(commands))

    async def exchange(self, commands: bytes, count: int) -> list[Any]:
        """Send so many commands, encoded, together and give their replies, as `batch_raw` does."""
        await self.ready()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        replies: list[Any] = []

        def end(reply: Any) -> None:
            replies.append(reply)
            if not done.done():
                done.set_result(None)

        # Replies come in the order of their commands, so the last one ends the wait.
        self._usable().send_all(commands, [*[replies.append] * (count - 1), end])
        await done
        return replies

    async def ready(self) -> None:
        """Wait until the link is up.

        Raises:
            RedisUnavailableError: it stayed down for `call_timeout_s`.
        """
        if self._wire is not None:
            return
        try:
            async with asyncio.timeout(self._bounds.call_timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise RedisUnavailableError(f"Redis is not connected: {self.reason}") from None

    async def _run(self) -> None:
        while True:
            try:
                opened = await self._opener(self._attach)
            except ConnectError as error:
                if self._is_closed:
                    # See below; the pause would put the close off.
                    return
                self.reason = str(error)
                delay_s = error.retry_after_s or self._backoff.next_s()
                log = _log.warning if self._backoff.failures <= 1 or error.retry_after_s else _log.debug
                log("link.connect_failed", extra={"link": self.name, "reason": self.reason, "retry_in_s": delay_s})
                await asyncio.sleep(delay_s)
                continue
            self._opened = opened
            if self._is_closed:
                # Below Python 3.12, asyncio.wait_for, which redis-py uses to connect, may swallow a cancellation.
                return
            self.connects += 1
            self.reason = None
            self._up.set()
            _log.info("link.up", extra={"link": self.name})
            for listener in self._on_up:
                listener()
            up_since_s = asyncio.get_running_loop().time()
            await self._watch()
            if asyncio.get_running_loop().time() - up_since_s > STEADY_S:
                self._backoff.reset()
            else:
                await asyncio.sleep(self._backoff.next_s())

    def _attach(self, transport: asyncio.Transport) -> asyncio.Protocol:
        self._lost.clear()
        self._wire = Wire(transport, self._connection_lost)
        return self._wire

    async def _watch(self) -> None:
        """Stay with the connection until it is lost; drop it when Redis stops answering."""
        loop = asyncio.get_running_loop()
        timeout_s, ping_s = self._bounds.reply_timeout_s, self._bounds.ping_s
        while (wire := self._wire) is not None:
            try:
                async with asyncio.timeout(min(ping_s, timeout_s) / 4):
                    await self._lost.wait()
            except TimeoutError:
                quiet_s = loop.time() - wire.last_progress_s
                if not wire.awaiting and quiet_s > ping_s:
                    wire.send(encode(b"PING"), lambda _: None)
                elif wire.awaiting and quiet_s > timeout_s:
                    # A stalled loop looks like a silent Redis: let what has arrived be read before judging.
                    await asyncio.sleep(0.02)
                    if loop.time() - wire.last_progress_s > timeout_s:
                        self.reason = f"no reply for {timeout_s:g} s"
                        wire.abort()

    def _connection_lost(self, exc: Exception | None) -> None:
        self._wire = self._opened = None
        self._up.clear()
        self._lost.set()
        self.reason = self.reason or f"connection lost ({type(exc).__name__ if exc else 'closed by the server'})"
        if self._is_closed:
            return
        _log.warning("link.down", extra={"link": self.name, "reason": self.reason})
        for listener in self._on_down:
            asyncio.get_running_loop().call_soon(listener)
