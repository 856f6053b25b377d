"""A generation: the tokens of one answer, from the first to the finish reason."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from json.encoder import encode_basestring as _quoted
from types import TracebackType
from typing import Any, Self

from pydantic_core import to_json

from rlb.client.answers import Ack, ack_from_wire
from rlb.client.delivery import StreamName
from rlb.client.outbox import Line
from rlb.client.token_channel import TokenChannel
from rlb.domain.draft import Durability
from rlb.domain.message import Role
from rlb.errors import FencedError, InvalidMessageError, RlbError

WINDOW_LINES = 128
"""Tokens without an ack. The sidecar recognises a repeated message among the latest 256 of its stream unless told
otherwise (`RLB_STREAM__DEDUPE_ENTRIES`); all that is sent again after a lost connection has to be well within."""

WINDOW_BYTES = 1024 * 1024
"""Bytes of lines without an ack."""

CLOSE_S = 5.0
"""How long a block that has failed waits for its last acks before its own exception goes on."""

_log = logging.getLogger("rlb.client.generation")


@dataclass(frozen=True, slots=True)
class Opening:
    """What all tokens of a generation have in common.

    `traceparent` with `tracestate` is the app's span, and `requested_at` when the app received the request (Unix ms):
    with it the time to first token is known.
    """

    session_id: str
    model_id: str
    role: Role = "assistant"
    temperature: float | None = None
    max_tokens: int | None = None
    durability: Durability = "written"
    traceparent: str | None = None
    requested_at: int | None = None
    tracestate: str | None = None

    def members(self) -> bytes:
        """The members of every line, without braces."""
        members: dict[str, Any] = {"sessionId": self.session_id, "modelId": self.model_id}
        if self.role != "assistant":
            members["role"] = self.role
        if self.durability != "written":
            members["durability"] = self.durability
        sampling = {"temperature": self.temperature, "maxTokens": self.max_tokens}
        if metadata := {name: value for name, value in sampling.items() if value is not None}:
            members["metadata"] = metadata
        return to_json(members)[1:-1]

    def edge_members(self, *, is_first: bool) -> bytes:
        """The members of the first and the last line, with a comma before each."""
        trace = b""
        if self.traceparent is not None:
            trace = b',"traceparent":' + to_json(self.traceparent)
            if self.tracestate is not None:
                trace += b',"tracestate":' + to_json(self.tracestate)
        requested_at = b',"requestedAt":%d' % self.requested_at if is_first and self.requested_at is not None else b""
        return trace + requested_at


class Generation:
    """Takes the tokens of one answer; an async context manager, made by `Bridge.generation`.

    Leaving the block completes the generation: with "stop", with the reason given to `complete`, or with "error" if
    the block raised. Then every message has been acknowledged by the sidecar, or the first failure is raised: a
    `FencedError` where another writer has taken the stream over, a `SidecarUnreachableError` where no sidecar could
    be reached for as long as the bridge has patience.
    """

    def __init__(self, opening: Opening, channel: TokenChannel, window: int) -> None:
        self.opened_in = 0
        self.acked = 0
        """Messages that stand in the stream, the completing one included."""
        self._opening = opening
        self._channel = channel
        self._window = max(1, window)
        self._name = os.urandom(9).hex()
        self._members = opening.members()
        self._count = 0
        self._waiting = 0
        self._waiting_bytes = 0
        self._last: dict[str, Any] | None = None
        self._acked_in = 0
        self._failure: RlbError | None = None
        self._is_open = False
        self._is_complete = False
        self._progress = asyncio.Event()

    @property
    def stream(self) -> StreamName:
        """Session id and model id."""
        return self._opening.session_id, self._opening.model_id

    @property
    def unacked(self) -> int:
        """Messages that were produced and have no answer yet."""
        return self._waiting

    @property
    def last_ack(self) -> Ack | None:
        """The ack of the latest acknowledged message."""
        return None if self._last is None else ack_from_wire(self._last)

    @property
    def last_entry_id(self) -> str | None:
        """Where the latest acknowledged message stands."""
        return None if self._last is None else self._last["entryId"]

    async def produce(self, token: str) -> str:
        """Send a token; waits only while the window is full. Gives the message id that the token got.

        Raises:
            RlbError: an earlier token failed; what follows it is not written either.
            InvalidMessageError: the token is no text that UTF-8 can carry.
        """
        self._check_open()
        message_id, body = self._line(b'"token":' + _encoded(token))
        while self._waiting and (self._waiting >= self._window or self._waiting_bytes + len(body) > WINDOW_BYTES):
            await self._next_progress()
            self._check_open()
        self._send(message_id, body)
        return message_id

    async def complete(self, reason: str = "stop") -> Ack:
        """End the generation with a finish reason, such as "stop" or "length"; gives the ack of its last message.

        Waits until every message has its ack.

        Raises:
            RlbError: the first failure of the generation.
        """
        if not self._is_complete:
            self._check_open()
            self._is_complete = True
            self._send(*self._line(b'"complete":' + _encoded(reason)))
        await self.flush()
        ack = self.last_ack
        assert ack is not None, "a flushed generation has an ack"
        return ack

    async def flush(self) -> None:
        """Wait until every message that was produced has its ack.

        Raises:
            RlbError: the first failure of the generation.
        """
        while self._waiting and self._failure is None:
            await self._next_progress()
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        self._channel.attach(self.stream, self)
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.complete()
            elif self._failure is None:
                await self._complete_failed()
        finally:
            self._is_open = False
            self._channel.detach(self.stream, self)

    async def _complete_failed(self) -> None:
        """Tell readers that there will be no more. The block's own exception matters more than how this ends."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.complete("error")
        except (RlbError, TimeoutError) as problem:
            _log.warning("generation.not_completed", extra={"reason": str(problem) or f"no ack for {CLOSE_S:g} s"})

    def on_ack(self, line: Line, members: dict[str, Any]) -> None:
        """A message stands in the stream; called by the channel."""
        self._settle(line)
        self.acked += 1
        before, self._last = self._last, members
        if self._acked_in != self.opened_in:
            # The first answer behind a lost connection. Ours alone are numbered one by one, so a jump is somebody
            # else's writing; opening anew has taken the stream back, and that is all it may do.
            self._acked_in = self.opened_in
            if before is not None and members["sequence"] > before["sequence"] + 1:
                where = ", ".join(self.stream)
                error = FencedError(f"another writer appended to {where} while the connection was lost")
                self._failure = self._failure or error

    def on_failure(self, line: Line, error: RlbError) -> None:
        """A message was not written, or nobody knows; called by the channel."""
        self._settle(line)
        self._failure = self._failure or error

    def on_fenced(self, error: RlbError) -> None:
        """The stream belongs to another generation; called by the channel."""
        self._failure = self._failure or error
        self._progress.set()

    def _settle(self, line: Line) -> None:
        self._waiting -= 1
        self._waiting_bytes -= len(line.body)
        self._progress.set()

    def _send(self, message_id: str, body: bytes) -> None:
        self._waiting += 1
        self._waiting_bytes += len(body)
        self._channel.send(self, message_id, body)

    def _line(self, member: bytes) -> tuple[str, bytes]:
        is_first = self._count == 0
        self._count += 1
        message_id = f"{self._name}-{self._count:x}"
        edge = self._opening.edge_members(is_first=is_first) if is_first or self._is_complete else b""
        return message_id, b'{%b,"messageId":"%b",%b%b}\n' % (self._members, message_id.encode(), member, edge)

    async def _next_progress(self) -> None:
        self._progress.clear()
        await self._progress.wait()

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._is_open:
            raise RuntimeError("a generation takes tokens inside of its `async with` block only")
        if self._is_complete:
            raise RuntimeError("the generation is complete")


def _encoded(text: str) -> bytes:
    try:
        return _quoted(text).encode()
    except UnicodeEncodeError:
        raise InvalidMessageError("a lone surrogate is not Unicode text") from None
