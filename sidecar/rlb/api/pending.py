"""The calls on pending entries: look, hand on, set aside, and remove a consumer that has none."""

from __future__ import annotations

from rlb.api.manage import MAX_PAGE
from rlb.api.pending_models import (
    Buried,
    BuryEntries,
    Claimed,
    ClaimEntries,
    ConsumerRemoved,
    PendingInfo,
    PendingPage,
    RemoveConsumer,
)
from rlb.api.request import Request
from rlb.api.routes import BodyBounds, as_json, read_json
from rlb.bridge.core import Core
from rlb.domain.entry_id import ZERO, parse_entry_id
from rlb.domain.stream_key import checked_name


class PendingRoutes:
    """Handlers of `/v1/pending…`, `POST /v1/dead-letters` and `/v1/consumers/remove`."""

    def __init__(self, core: Core, bounds: BodyBounds) -> None:
        self._core = core
        self._bounds = bounds

    async def pending(self, request: Request) -> None:
        """`GET /v1/pending`."""
        stream = self._core.stream(request.required("sessionId"), request.required("modelId"))
        group = checked_name("group", request.required("group"))
        consumer, after = request.query("consumer"), request.query("after")
        limit = request.whole_number("limit", 100, 1, MAX_PAGE)
        # One more than is told tells whether there are more.
        found = await self._core.pending.page(
            stream,
            group,
            checked_name("consumer", consumer) if consumer is not None else None,
            parse_entry_id(after) if after is not None else ZERO,
            limit + 1,
        )
        page = PendingPage(
            pending=[
                PendingInfo(
                    entry_id=str(entry.entry_id),
                    consumer=entry.consumer,
                    idle_seconds=entry.idle_ms / 1000,
                    deliveries=entry.deliveries,
                )
                for entry in found[:limit]
            ],
            next_after=str(found[limit - 1].entry_id) if len(found) > limit else None,
        )
        await request.respond(200, as_json(page))

    async def claim(self, request: Request) -> None:
        """`POST /v1/pending/claim`."""
        body = await read_json(request, ClaimEntries, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        ids = [parse_entry_id(text) for text in body.entry_ids]
        claimed = await self._core.pending.claim(stream, body.group, body.consumer, ids)
        await request.respond(200, as_json(Claimed(claimed=claimed)))

    async def bury(self, request: Request) -> None:
        """`POST /v1/dead-letters`."""
        body = await read_json(request, BuryEntries, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        ids = [parse_entry_id(text) for text in body.entry_ids]
        buried = await self._core.pending.bury(stream, body.group, ids, body.reason)
        await request.respond(200, as_json(Buried(buried=buried)))

    async def remove_consumer(self, request: Request) -> None:
        """`POST /v1/consumers/remove`."""
        body = await read_json(request, RemoveConsumer, self._bounds)
        stream = self._core.stream(body.session_id, body.model_id)
        removed = await self._core.pending.remove_consumer(stream, body.group, body.consumer)
        await request.respond(200, as_json(ConsumerRemoved(removed=removed)))
