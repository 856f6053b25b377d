"""One HTTP request as the bare routes see it: a thin, bounded view of ASGI."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from rlb.api.problems import Header, Send
from rlb.domain.trace_context import TraceContext, parse_trace_context
from rlb.errors import InvalidMessageError, RequestTimeoutError, RlbError, TooLargeError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

JSON = (b"content-type", b"application/json")
NDJSON = (b"content-type", b"application/x-ndjson")

MAX_PARAMETERS = 100

_log = logging.getLogger("rlb.api")

_REQUEST_ID = re.compile(rb"[!-~]{1,128}")


class DisconnectedError(RlbError):
    """The peer has closed its connection; there is nobody to answer."""


class Request:
    """A request and its response, which is either sent whole or begun and streamed."""

    __slots__ = ("_headers", "_is_read", "_query", "_receive", "_send", "has_begun", "path", "request_id", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.has_begun = False
        """Whether the response has begun, so that no problem document can be sent any more."""
        self._receive = receive
        self._send = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._is_read = False
        self._query: dict[str, str] | None = None
        given = self._headers.get(b"x-request-id", b"")
        self.request_id = given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case; empty if there is none."""
        return self._headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")

    def header(self, name: bytes) -> str | None:
        """A request header, or None."""
        value = self._headers.get(name)
        return value.decode("latin-1") if value is not None else None

    @property
    def trace_context(self) -> TraceContext | None:
        """The caller's span, by the headers `traceparent` and `tracestate`; None without or with broken ones."""
        parent = self.header(b"traceparent")
        return parse_trace_context(parent, self.header(b"tracestate")) if parent is not None else None

    def query(self, name: str) -> str | None:
        """A query parameter, or None; the last one wins."""
        if self._query is None:
            raw: bytes = self.scope.get("query_string", b"")
            try:
                pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
            except ValueError:
                raise InvalidMessageError(f"query: expected at most {MAX_PARAMETERS} parameters") from None
            self._query = dict(pairs)
        return self._query.get(name)

    def required(self, name: str) -> str:
        """A query parameter that has to be there."""
        value = self.query(name)
        if not value:
            raise InvalidMessageError(f"{name}: expected as a query parameter")
        return value

    def whole_number(self, name: str, default: int, least: int, most: int) -> int:
        """A query parameter that is a number within bounds."""
        text = self.query(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 19 and least <= int(text) <= most):
            raise InvalidMessageError(f"{name}: expected a whole number from {least} to {most}")
        return int(text)

    def flag(self, name: str) -> bool:
        """A query parameter that is `true` or `false`."""
        text = self.query(name)
        if text not in (None, "true", "false"):
            raise InvalidMessageError(f"{name}: expected true or false")
        return text == "true"

    async def chunk(self) -> bytes | None:
        """The next piece of the body, or None at its end.

        Raises:
            DisconnectedError: the peer has gone.
        """
        if self._is_read:
            return None
        message = await self._receive()
        if message["type"] != "http.request":
            raise DisconnectedError
        self._is_read = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    @property
    def is_abandoned(self) -> bool:
        """Whether the peer has gone, so that what is sent from now on is surely lost. Asks the kernel."""
        return bool(self.scope["state"]["has_hung_up"]())

    async def disconnected(self) -> None:
        """Wait until the peer has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def body(self, limit_bytes: int, timeout_s: float) -> bytes:
        """The whole body.

        Raises:
            TooLargeError: it is over the limit.
            RequestTimeoutError: it was not complete in time.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    message = await self._receive()
                    if message["type"] != "http.request":
                        raise DisconnectedError
                    piece: bytes = message.get("body", b"")
                    size += len(piece)
                    if size > limit_bytes:
                        raise TooLargeError(f"the body is over {limit_bytes} bytes")
                    pieces.append(piece)
                    if not message.get("more_body", False):
                        return b"".join(pieces) if len(pieces) > 1 else piece
        except TimeoutError:
            raise RequestTimeoutError(f"the body was not complete within {timeout_s:g} s") from None

    async def respond(self, status: int, body: bytes, headers: Iterable[Header] = (JSON,)) -> None:
        """Send a whole response."""
        self.has_begun = True
        head = [*headers, (b"x-request-id", self.request_id.encode())]
        if status != 204:  # which must not have a length (RFC 9110, section 8.6)
            head.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def begin(self, headers: Iterable[Header]) -> None:
        """Begin a streamed response with status 200."""
        self.has_begun = True
        head = [*headers, (b"x-request-id", self.request_id.encode())]
        await self._send({"type": "http.response.start", "status": 200, "headers": head})

    async def send(self, body: bytes, stall_s: float) -> None:
        """Send a piece of a streamed response; waits while the peer does not read, at most `stall_s`.

        Raises:
            DisconnectedError: the peer has not read for so long; it is cut off, and the log says so.
        """
        try:
            async with asyncio.timeout(stall_s):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            # A peer that does not read cannot be told: the reason can only stand in the log.
            _log.warning(
                "api.slow_reader_cut_off",
                extra={"path": self.path, "stalled_s": stall_s, "request_id": self.request_id},
            )
            raise DisconnectedError from None

    async def end(self) -> None:
        """End a streamed response."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
