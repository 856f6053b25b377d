"""An HTTP server on a socket that is bound already, inside a loop that runs already, with a stop that ends in time.

uvicorn gives the protocol and its configuration. Its `Server` is left out: that one takes the signals of the process,
wakes ten times a second, and when asked to stop waits for open streams, which may never end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from rlb.api.connection_gate import ConnectionGate, ConnectionLimits
from rlb.api.http_protocol import GuardedHttpProtocol
from rlb.api.roles import count_roles
from rlb.errors import ApiError

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

BACKLOG = 4096
"""The kernel cuts it to net.core.somaxconn. A Unix client whose connect finds the backlog full fails at once."""
LAST_WORDS_S = 0.2
"""How long an app may take to notice that its client was cut off, before its task is cancelled."""
CANCEL_S = 1.0

_log = logging.getLogger("rlb.http")


class HttpServer:
    """Serves `app` on `listener`, which a stop closes; a Unix socket's file and lock stay the caller's to remove."""

    def __init__(
        self,
        app: App,
        listener: socket.socket,
        limits: ConnectionLimits,
        on_not_allowed: Callable[[ApiError], None] = lambda _: None,
    ) -> None:
        self.gate = ConnectionGate(limits, on_not_allowed)
        self._listener = listener
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._config = Config(
            cast("Any", app),
            http=GuardedHttpProtocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self._config.load()

    async def start(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        connect = functools.partial(GuardedHttpProtocol, self._config, self._state, self.gate, loop)
        if self._listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(connect, sock=self._listener, backlog=BACKLOG)
        else:
            self._server = await loop.create_server(connect, sock=self._listener, backlog=BACKLOG)

    @property
    def total_requests(self) -> int:
        """Requests answered to the end."""
        return self._state.total_requests

    def roles(self) -> dict[str, int]:
        """Open connections by what they are for."""
        return count_roles(self._connections())

    def stop_accepting(self) -> None:
        """Take no new connection; those that are open are served on. May be called again."""
        self.gate.is_draining = True
        if self._server is not None:
            self._server.close()

    async def stop(self, deadline_s: float) -> int:
        """Stop accepting, let running requests finish until the deadline, cut off the rest: the number of those."""
        self.stop_accepting()
        for connection in self._connections():
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self.gate.wait_empty()
                await self._finish_tasks(None)
        cut_off = sum(connection.abort() for connection in self._connections())
        if not await self._finish_tasks(LAST_WORDS_S):
            for task in self._state.tasks:
                task.cancel()
            await self._finish_tasks(CANCEL_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self.gate.wait_empty()
        self.gate.close()
        _log.info("http.stopped", extra={"cut_off": cut_off, "unfinished_tasks": len(self._state.tasks)})
        return cut_off

    def _connections(self) -> list[GuardedHttpProtocol]:
        return cast("list[GuardedHttpProtocol]", list(self.gate.connections))

    async def _finish_tasks(self, timeout_s: float | None) -> bool:
        """Whether all requests have ended within the time."""
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=timeout_s)
        return not self._state.tasks
