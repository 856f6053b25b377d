"""HTTP/1.1 on one connection: uvicorn's httptools protocol, hardened.

Everything that is not the body of a request is bounded: its header, chunk sizes and trailers, requests that wait behind
it. What could be read in two ways is refused. A chunk of a body costs no more than in the parent.
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from rlb.api.connection_gate import ConnectionGate, Refusal
from rlb.api.guarded_connection import BETWEEN, BODY, HEADER, GuardedConnection
from rlb.api.request_cycle import FAILURES, RequestCycle
from rlb.errors import ApiError, InternalError, InvalidRequestError, OverloadedError, TooLargeError

MAX_HEADER_FIELDS = 256
MAX_PIPELINED = 32
"""Requests that wait for their turn on one connection. One read can hold thousands, and each costs some kilobytes."""


class GuardedHttpProtocol(GuardedConnection):
    """One connection of a listener. `scope["state"]["peer"]` is its `Peer`, or None on TCP."""

    def __init__(
        self, config: Config, server_state: ServerState, gate: ConnectionGate, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, gate, loop)
        self._max_header_bytes = gate.limits.max_header_bytes
        self._overhead_bytes = 0
        """Received since the last byte of a body, or since the end of a request. Bounded like a header."""

    def data_received(self, data: bytes) -> None:
        self._overhead_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse_input(error)
            return
        except httptools.HttpParserUpgrade as upgrade:
            # An offer, which a server may pass over (RFC 9110, 7.8): the request is being answered as it is.
            rest = data[upgrade.args[0] :]
        else:
            if self._overhead_bytes > self._max_header_bytes:
                self._refuse_overhead()
            return
        if rest:
            self.data_received(rest)

    # Called by the parser

    def on_message_begin(self) -> None:
        self._phase = HEADER
        self._quiet_ticks = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase != HEADER:
            return  # a trailer, which must not pass for a header
        name = name.lower()
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            raise InvalidRequestError("The only transfer coding that is understood is chunked.")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        # 0: the header began behind the end of another request in one read, so the count of bytes does not cover it.
        if self._overhead_bytes > self._max_header_bytes or not self._overhead_bytes:
            self._check_header_size()
        if len(self.headers) > MAX_HEADER_FIELDS:
            raise TooLargeError(self._header_limit())
        parser = self.parser
        version = parser.get_http_version()
        method = parser.get_method().decode("ascii")
        if version not in ("1.1", "1.0"):
            raise InvalidRequestError("This is HTTP/1.1; other versions are not spoken here.")
        if parser.should_upgrade():
            self._check_upgrade(method)
        try:
            url = httptools.parse_url(self.url)
            path = url.path.decode("ascii")
        except (httptools.HttpParserInvalidURLError, AttributeError, UnicodeDecodeError):
            raise InvalidRequestError("The target of the request is not a path.") from None
        scope = self.scope
        scope["http_version"] = version
        scope["method"] = method
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""

        is_free = self._is_answered()
        if not is_free and len(self.pipeline) >= MAX_PIPELINED:
            self._gate.count(Refusal.PIPELINE, self._peer)
            raise OverloadedError(f"{MAX_PIPELINED} requests wait for their turn on this connection.")
        self.cycle = self._latest = cycle = RequestCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version == "1.1" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._phase = BODY
        self._quiet_ticks = 0
        if is_free:
            self._start(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        self._quiet_ticks = 0
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._phase = BETWEEN
        self._overhead_bytes = 0
        self._quiet_ticks = 0
        cycle = self.cycle
        cycle.more_body = False
        cycle.message_event.set()

    # Requests, one after the other

    def _start(self, cycle: RequestCycle) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(self.app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._quiet_ticks = 0
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            assert isinstance(cycle, RequestCycle)
            self._start(cycle)

    # What is not let through

    def _check_header_size(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._max_header_bytes:
            raise TooLargeError(self._header_limit())

    def _header_limit(self) -> str:
        return f"The header of a request may have {self._max_header_bytes} bytes and {MAX_HEADER_FIELDS} fields."

    def _check_upgrade(self, method: str) -> None:
        """The parser takes what follows an upgrade for another protocol, so a body would be lost or misread."""
        if method == "CONNECT" or any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            raise InvalidRequestError("No protocol can be upgraded to: send the request without Upgrade.")

    def _refuse_input(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, TooLargeError):
            self._refuse(cause, Refusal.HEADER_TOO_LARGE)
        elif isinstance(cause, OverloadedError):
            self._refuse(cause, None)
        elif isinstance(cause, ApiError):
            self._refuse(cause, Refusal.INVALID_REQUEST)
        elif cause is None:
            # The parser's own words name what it expected, never what it got.
            self._refuse(InvalidRequestError(f"The bytes are not HTTP/1.1: {error}."), Refusal.INVALID_REQUEST)
        else:
            FAILURES.error("The protocol failed.", exc_info=cause)
            self._refuse(InternalError("The sidecar failed on this request."), None)

    def _refuse_overhead(self) -> None:
        """Too much came that is no body: a header without end, or a chunk's extension or trailers without end."""
        detail = f"{self._max_header_bytes} bytes came without one of a body."
        self._refuse(TooLargeError(self._header_limit() if self._phase == HEADER else detail), Refusal.HEADER_TOO_LARGE)
