"""The management calls: streams, groups, dead letters."""

from __future__ import annotations

from rlb.api.models import (
    ChooseDeadLetters,
    Created,
    CreateGroup,
    CreateStream,
    DeadLetterInfo,
    DeadLetterPage,
    Dropped,
    Removed,
    Replayed,
    TrimStream,
)
from rlb.api.request import Request
from rlb.api.routes import BodyBounds, as_json, read_json
from rlb.bridge.core import Core
from rlb.bridge.dead_letters import DeadLetter
from rlb.bridge.streams import SORTS, STATUSES
from rlb.domain.entry_id import ZERO, parse_entry_id
from rlb.domain.message import StreamConfig, StreamMessage
from rlb.domain.stream_key import StreamKey, checked_name
from rlb.errors import InvalidMessageError, NotFoundError

MAX_PAGE = 1000

STREAMS_BELOW = "/v1/streams/"


class ManagementRoutes:
    """Handlers of `/v1/streams…`, `/v1/groups` and `/v1/dead-letters…`."""

    def __init__(self, core: Core, bounds: BodyBounds) -> None:
        self._core = core
        self._bounds = bounds

    async def create_stream(self, request: Request) -> None:
        """`PUT /v1/streams`."""
        body = await read_json(request, CreateStream, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        config = StreamConfig(**body.config.model_dump()) if body.config is not None else None
        made = await self._core.streams.create(stream, config)
        await request.respond(201 if made else 200, as_json(Created(created=made)))

    async def create_group(self, request: Request) -> None:
        """`PUT /v1/groups`."""
        body = await read_json(request, CreateGroup, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        made = await self._core.groups.create(stream, body.group, body.start)
        await request.respond(201 if made else 200, as_json(Created(created=made)))

    async def list_streams(self, request: Request) -> None:
        """`GET /v1/streams`."""
        wanted = request.query("status")
        status = next((name for name in STATUSES if name == wanted), None)
        if wanted is not None and status is None:
            raise InvalidMessageError(f"status: expected one of {', '.join(STATUSES)}")
        asked = request.query("sort") or "key"
        sort = next((name for name in SORTS if name == asked), None)
        if sort is None:
            raise InvalidMessageError(f"sort: expected one of {', '.join(SORTS)}")
        model_id = request.query("modelId")
        if model_id is not None:
            self._core.stream("any", model_id)  # only for its rule
        page = await self._core.streams.page(
            model_id=model_id,
            status=status,
            sort=sort,
            limit=request.whole_number("limit", 100, 1, MAX_PAGE),
            cursor=request.query("cursor"),
        )
        await request.respond(200, as_json(page))

    async def stream_info(self, request: Request) -> None:
        """`GET /v1/streams/{sessionId}/{modelId…}`."""
        await request.respond(200, as_json(await self._core.streams.info(self._stream_of(request))))

    async def delete_stream(self, request: Request) -> None:
        """`DELETE /v1/streams/{sessionId}/{modelId…}`."""
        await self._core.streams.delete(self._stream_of(request))
        await request.respond(204, b"", ())

    async def trim_stream(self, request: Request) -> None:
        """`POST /v1/streams/trim`."""
        body = await read_json(request, TrimStream, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        removed = await self._core.streams.trim(stream, max_length=body.max_length, older_than_ms=body.older_than_ms)
        await request.respond(200, as_json(Removed(removed=removed)))

    async def dead_letters(self, request: Request) -> None:
        """`GET /v1/dead-letters`."""
        group = checked_name("group", request.required("group"))
        after = request.query("after")
        letters = await self._core.dead_letters.page(
            group,
            parse_entry_id(after) if after is not None else ZERO,
            request.whole_number("limit", 100, 1, MAX_PAGE),
        )
        await request.respond(200, as_json(DeadLetterPage(dead_letters=[_info(letter) for letter in letters])))

    async def replay(self, request: Request) -> None:
        """`POST /v1/dead-letters/replay`."""
        body = await read_json(request, ChooseDeadLetters, self._bounds)
        letters = await self._core.dead_letters.replay(body.group, [parse_entry_id(text) for text in body.ids])
        for key in {letter.stream for letter in letters}:
            self._core.groups.deliver_again(key, body.group)
        await request.respond(200, as_json(Replayed(replayed=[str(letter.id) for letter in letters])))

    async def drop(self, request: Request) -> None:
        """`POST /v1/dead-letters/drop`."""
        body = await read_json(request, ChooseDeadLetters, self._bounds)
        dropped = await self._core.dead_letters.drop(body.group, [parse_entry_id(text) for text in body.ids])
        await request.respond(200, as_json(Dropped(dropped=dropped)))

    def _stream_of(self, request: Request) -> StreamKey:
        session_id, slash, model_id = request.path.removeprefix(STREAMS_BELOW).partition("/")
        if not slash or not model_id:
            raise NotFoundError("expected /v1/streams/{sessionId}/{modelId}")
        return self._core.stream(session_id, model_id)


def _info(letter: DeadLetter) -> DeadLetterInfo:
    message = None
    if letter.message is not None:
        try:
            message = StreamMessage.model_validate_json(letter.message)
        except ValueError:
            message = None
    return DeadLetterInfo(
        id=str(letter.id),
        stream=letter.stream,
        entry_id=str(letter.entry_id),
        consumer=letter.consumer,
        deliveries=letter.deliveries,
        reason=letter.reason,
        message=message,
    )
