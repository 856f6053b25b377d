"""The snapshot calls: what the monitor knows, once or after every poll."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rlb.api.request import NDJSON, DisconnectedError, Request
from rlb.api.routes import BodyBounds, as_json
from rlb.domain.snapshot import Snapshot

MAX_STREAMS = 10_000
"""Streams in one snapshot; its totals are of all that are watched."""

DEFAULT_STREAMS = 1000


class SnapshotSource(Protocol):
    """Makes snapshots."""

    async def take(self, limit: int) -> Snapshot:
        """A snapshot with the `limit` streams that are worst off."""
        ...

    async def turn(self) -> None:
        """Wait for the next poll to end."""
        ...


class ObserverRoutes:
    """Handlers of `/v1/snapshot` and `/v1/snapshot/watch`."""

    def __init__(self, source: SnapshotSource, bounds: BodyBounds, draining: asyncio.Event) -> None:
        self._source = source
        self._bounds = bounds
        self._draining = draining

    async def snapshot(self, request: Request) -> None:
        """`GET /v1/snapshot`."""
        await request.respond(200, as_json(await self._source.take(_limit_of(request))))

    async def watch(self, request: Request) -> None:
        """`GET /v1/snapshot/watch`: one now, then one after every poll, until the peer goes."""
        limit = _limit_of(request)
        await request.begin((NDJSON,))
        gone = asyncio.ensure_future(request.disconnected())
        draining = asyncio.ensure_future(self._draining.wait())
        turn: asyncio.Task[None] | None = None
        try:
            while True:
                # Before the snapshot is taken, so that no poll is passed over while it is sent.
                turn = asyncio.create_task(self._turn())
                await request.send(as_json(await self._source.take(limit)), self._bounds.stall_s)
                await asyncio.wait((turn, gone, draining), return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    raise DisconnectedError
                if draining.done():
                    await request.end()
                    return
        finally:
            waits = [task for task in (turn, gone, draining) if task is not None]
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _turn(self) -> None:
        await self._source.turn()


def _limit_of(request: Request) -> int:
    return request.whole_number("limit", DEFAULT_STREAMS, 0, MAX_STREAMS)
