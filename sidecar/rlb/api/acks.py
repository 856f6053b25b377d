"""Acks in the order of their lines, sent as soon as the line before them has its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from json import dumps
from json.encoder import encode_basestring_ascii as _quoted

from rlb.bridge.durability import DurabilityProbe
from rlb.bridge.ticket import Ticket
from rlb.domain.draft import Durability
from rlb.errors import ApiError

MAX_WAITING = 16_384
"""Lines without a sent ack on one connection; at the limit the connection is not read until some are sent."""


def ack_members(ticket: Ticket, durability: Durability) -> str:
    """The members of an ack, without the braces."""
    entry_id = ticket.entry_id
    assert entry_id is not None
    duplicate = ',"duplicate":true' if ticket.duplicate else ""
    return (
        f'"messageId":{_quoted(ticket.draft.message_id)},"entryId":"{entry_id.ms}-{entry_id.seq}",'
        f'"sequence":{entry_id.seq},"durability":"{durability}"{duplicate}'
    )


def _ref_member(ref: str | int | None) -> str:
    if ref is None:
        return ""
    return f'"ref":{ref},' if isinstance(ref, int) else f'"ref":{_quoted(ref)},'


def error_line(ref: str | int | None, error: ApiError) -> bytes:
    """The line for a message that was refused."""
    fault = dumps({"code": error.code, "detail": error.detail}, separators=(",", ":"))
    return f'{{{_ref_member(ref)}"error":{fault}}}\n'.encode()


class Slot:
    """The place of one line's ack in the order."""

    __slots__ = ("_acks", "_ref", "line")

    def __init__(self, acks: AckStream, ref: str | int | None) -> None:
        self.line: bytes | None = None
        self._acks = acks
        self._ref = ref

    def on_done(self, ticket: Ticket) -> None:
        """Take the answer of the line's message."""
        if ticket.error is not None:
            self.fill(error_line(self._ref, ticket.error))
        elif ticket.draft.durability == "written":
            self.fill(f"{{{_ref_member(self._ref)}{ack_members(ticket, 'written')}}}\n".encode())
        else:
            self._acks.later(self._strengthen(ticket))

    async def _strengthen(self, ticket: Ticket) -> None:
        reached = await self._acks.durability.reached(ticket)
        self.fill(f"{{{_ref_member(self._ref)}{ack_members(ticket, reached)}}}\n".encode())

    def fill(self, line: bytes) -> None:
        self.line = line
        self._acks.wake()


class AckStream:
    """The answers of one NDJSON request."""

    def __init__(self, durability: DurabilityProbe) -> None:
        self.durability = durability
        self._slots: deque[Slot] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._is_finished = False

    def slot(self, ref: str | int | None) -> Slot:
        """The next line's place."""
        slot = Slot(self, ref)
        self._slots.append(slot)
        return slot

    def later(self, filling: Coroutine[None, None, None]) -> None:
        """Fill a slot in the background."""
        task = asyncio.create_task(filling)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def wake(self) -> None:
        """Have what is ready sent."""
        self._filled.set()

    def finish(self) -> None:
        """No more lines will come; `pump` returns when the last ack is sent."""
        self._is_finished = True
        self._filled.set()

    @property
    def is_full(self) -> bool:
        """Whether no more lines may be taken for now."""
        return len(self._slots) >= MAX_WAITING

    async def room(self) -> None:
        """Wait while `MAX_WAITING` lines have no sent ack."""
        while self.is_full:
            self._drained.clear()
            await self._drained.wait()

    async def pump(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send acks as they become ready, those that are ready together in one piece."""
        slots = self._slots
        while not self._is_finished or slots:
            await self._filled.wait()
            self._filled.clear()
            ready: list[bytes] = []
            while slots and (line := slots[0].line) is not None:
                ready.append(line)
                slots.popleft()
            if ready:
                await send(b"".join(ready))
                self._drained.set()
