"""The producer interface: one message a request, or as many as a connection lives, in and out at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ValidationError

from rlb.api.acks import AckStream, Slot, ack_members, error_line
from rlb.api.lines import EventSplitter, LineSplitter, TooLong
from rlb.api.openai_events import OpenAiEvents
from rlb.api.request import NDJSON, Request
from rlb.api.routes import JSON_TYPE, NDJSON_TYPE, SSE_TYPE, BodyBounds
from rlb.bridge.core import Core
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.draft import (
    MAX_UNIX_MS,
    CompleteRequest,
    Draft,
    MessageRequest,
    TokenRequest,
    draft_completion,
    draft_from_message,
    draft_from_token,
    refusal,
)
from rlb.errors import (
    ApiError,
    OverloadedError,
    RequestTimeoutError,
    TooLargeError,
    UnsupportedMediaTypeError,
)

_parse_token = TokenRequest.__pydantic_validator__.validate_json
_parse_message = MessageRequest.__pydantic_validator__.validate_json


class Line(NamedTuple):
    """A parsed line: what to append where."""

    session_id: str
    model_id: str
    draft: Draft
    ref: str | int | None
    opens: bool


class Splitter(Protocol):
    """Cuts a body into messages."""

    @property
    def is_between_lines(self) -> bool: ...
    def feed(self, piece: bytes) -> list[bytes | TooLong]: ...
    def finish(self) -> list[bytes | TooLong]: ...


Parse = Callable[[bytes], Line | None]

UNKNOWN_MS = -1


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _token_line(body: bytes) -> Line:
    request: TokenRequest = _parse_token(body)
    draft = draft_from_token(request, _now_ms())
    return Line(request.session_id, request.model_id, draft, request.ref, request.open)


def _message_line(body: bytes) -> Line:
    request: MessageRequest = _parse_message(body)
    draft = draft_from_message(request, _now_ms())
    return Line(request.session_id, request.model_id, draft, request.ref, opens=False)


class ProducerRoutes:
    """Handlers of `/v1/tokens`, `/v1/messages` and `/v1/streams/complete`."""

    def __init__(self, core: Core, bounds: BodyBounds, draining: asyncio.Event) -> None:
        self._core = core
        self._bounds = bounds
        self._draining = draining

    async def tokens(self, request: Request) -> None:
        """`POST /v1/tokens`."""
        media_type = request.media_type
        if media_type == NDJSON_TYPE:
            await self._stream(request, LineSplitter(self._bounds.max_message_bytes), _token_line)
        elif media_type == SSE_TYPE:
            await self._events(request)
        else:
            await self._single(request, _token_line)

    async def messages(self, request: Request) -> None:
        """`POST /v1/messages`."""
        if request.media_type == NDJSON_TYPE:
            await self._stream(request, LineSplitter(self._bounds.max_message_bytes), _message_line)
        else:
            await self._single(request, _message_line)

    async def complete(self, request: Request) -> None:
        """`POST /v1/streams/complete`."""

        def parse(body: bytes) -> Line:
            asked = CompleteRequest.model_validate_json(body)
            return Line(asked.session_id, asked.model_id, draft_completion(asked, _now_ms()), None, opens=False)

        await self._single(request, parse)

    async def _single(self, request: Request, parse: Callable[[bytes], Line]) -> None:
        if request.media_type not in (JSON_TYPE, ""):
            raise UnsupportedMediaTypeError(f"expected {JSON_TYPE} or {NDJSON_TYPE}")
        try:
            body = await request.body(self._bounds.max_message_bytes, self._bounds.timeout_s)
        except TooLargeError as error:
            raise self._refused(error) from None
        try:
            line = parse(body)
        except ValidationError as error:
            raise self._refused(refusal(error)) from None
        if (context := request.trace_context) is not None:
            line.draft.belong_to(context)
        ticket = await self._core.appender.append(line.session_id, line.model_id, line.draft)
        reached = await self._core.durability.reached(ticket)
        await request.respond(201, f"{{{ack_members(ticket, reached)}}}\n".encode())

    def _refused(self, error: ApiError) -> ApiError:
        self._core.observer.refused(error)
        return error

    async def _events(self, request: Request) -> None:
        session_id, model_id = request.required("sessionId"), request.required("modelId")
        requested_at = request.whole_number("requestedAt", UNKNOWN_MS, 0, MAX_UNIX_MS)
        self._core.stream(session_id, model_id)
        events = OpenAiEvents(session_id, model_id, requested_at if requested_at != UNKNOWN_MS else None)

        def line(message: TokenRequest | None) -> Line | None:
            if message is None:
                return None
            draft = draft_from_token(message, _now_ms())
            return Line(session_id, model_id, draft, None, opens=False)

        # A server that dies in mid-answer sends no end: readers are still told that there will be no more.
        splitter = EventSplitter(self._bounds.max_message_bytes)
        await self._stream(
            request, splitter, lambda body: line(events.message(body)), lambda: line(events.end("error"))
        )

    async def _stream(
        self, request: Request, splitter: Splitter, parse: Parse, at_end: Callable[[], Line | None] = lambda: None
    ) -> None:
        producer = Producer(fences=not request.flag("shared"), context=request.trace_context)
        acks = AckStream(self._core.durability)
        await request.begin((NDJSON,))
        pump = asyncio.create_task(acks.pump(lambda body: request.send(body, self._bounds.stall_s)))
        intake = _Intake(self._core, producer, acks, parse)
        reading = asyncio.create_task(self._read(request, splitter, intake))
        draining = asyncio.create_task(self._draining.wait())
        tasks = (reading, pump, draining)
        try:
            # Whichever ends first: the body, the peer's patience to read its acks, or the sidecar's life.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not pump.done():
                if (last := at_end()) is not None:
                    await intake.take_last(last)
                acks.finish()
            await pump
            if reading.done():
                reading.result()
            await request.end()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._core.appender.release(producer)

    async def _read(self, request: Request, splitter: Splitter, intake: _Intake) -> None:
        while True:
            try:
                # An idle producer is fine; a line that stops half-way is not.
                async with asyncio.timeout(None if splitter.is_between_lines else self._bounds.timeout_s):
                    piece = await request.chunk()
            except TimeoutError:
                intake.refuse(RequestTimeoutError("a line was not complete in time"))
                return
            if piece is None:
                await intake.take_all(splitter.finish())
                return
            await intake.take_all(splitter.feed(piece))


class _Intake:
    """Lines of one request on their way to the appender."""

    def __init__(self, core: Core, producer: Producer, acks: AckStream, parse: Parse) -> None:
        self._core = core
        self._producer = producer
        self._acks = acks
        self._parse = parse

    def refuse(self, error: ApiError, ref: str | int | None = None) -> None:
        """Answer a line with an error; the lines behind it go on."""
        self._core.observer.refused(error)
        self._acks.slot(ref).fill(error_line(ref, error))

    async def take_all(self, bodies: Iterable[bytes | TooLong]) -> None:
        """Submit the lines in order, waiting where there is no room."""
        for body in bodies:
            if self._acks.is_full:
                await self._acks.room()
            if isinstance(body, TooLong):
                self.refuse(TooLargeError(f"a line of {body.size} bytes is over the limit"))
                continue
            try:
                line = self._parse(body)
            except ValidationError as error:
                self.refuse(refusal(error), _ref_of(error, body))
            except ApiError as error:
                self.refuse(error)
            else:
                if line is not None and (waiting := self._submit(line)) is not None:
                    await waiting

    async def take_last(self, line: Line) -> None:
        """Submit the line that ends the generation, even while the sidecar drains."""
        if (waiting := self._submit(line, is_last=True)) is not None:
            await waiting

    def _submit(self, line: Line, *, is_last: bool = False) -> Awaitable[None] | None:
        """Submit a line; gives what to wait for if there is no room."""
        slot = self._acks.slot(line.ref)
        try:
            self._offer(line, slot, is_last=is_last)
        except OverloadedError:
            return self._submit_later(line, slot, is_last=is_last)
        except ApiError as error:
            slot.fill(error_line(line.ref, error))
        return None

    def _offer(self, line: Line, slot: Slot, *, is_last: bool) -> Ticket:
        session_id, model_id, draft, _, opens = line
        return self._core.appender.submit(
            session_id, model_id, draft, slot.on_done, producer=self._producer, opens=opens, is_last=is_last
        )

    async def _submit_later(self, line: Line, slot: Slot, *, is_last: bool) -> None:
        """Not reading on is what slows the app down; only after the deadline is it told."""
        try:
            await self._core.appender.with_room(lambda: self._offer(line, slot, is_last=is_last))
        except ApiError as error:
            slot.fill(error_line(line.ref, error))


class _Ref(BaseModel):
    ref: str | int | None = None


def _ref_of(error: ValidationError, body: bytes) -> str | int | None:
    """The ref of a line that is JSON but no message, so that its error can be matched."""
    if any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False, include_input=False)):
        return None
    try:
        ref = _Ref.model_validate_json(body).ref
    except ValidationError:
        return None
    return ref if not isinstance(ref, str) or len(ref) <= 128 else None
