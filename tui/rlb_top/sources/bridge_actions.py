"""What a sidecar does for an operator, by its calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from rlb.client import Bridge
from rlb.errors import RlbError
from rlb_top.actions import MAX_PENDING, ActionFailedError, PendingEntry, StreamName

FOREIGN = "only streams that follow the sidecar's key template can be changed or looked into over its socket"


class BridgeActions:
    """Actions and details over a bridge that is opened at the first call."""

    def __init__(self, opened: Callable[[], Awaitable[Bridge]]) -> None:
        self._opened = opened

    @asynccontextmanager
    async def _asked(self) -> AsyncGenerator[Bridge, None]:
        """The bridge; what it raises becomes the text of a failed action."""
        try:
            yield await self._opened()
        except RlbError as error:
            raise ActionFailedError(str(error)) from error

    async def pending(
        self, stream: StreamName, group: str, consumer: str | None = None, limit: int = MAX_PENDING
    ) -> Sequence[PendingEntry]:
        session, model = _names(stream)
        async with self._asked() as bridge:
            page = await bridge.pending(session, model, group, consumer=consumer, limit=limit)
        return [PendingEntry(each.entry_id, each.consumer, each.idle_seconds, each.deliveries) for each in page.pending]

    async def acknowledge(self, stream: StreamName, group: str, entry_ids: Sequence[str]) -> int:
        session, model = _names(stream)
        async with self._asked() as bridge:
            return await bridge.acknowledge(session, model, group, entry_ids)

    async def claim(self, stream: StreamName, group: str, consumer: str, entry_ids: Sequence[str]) -> int:
        session, model = _names(stream)
        async with self._asked() as bridge:
            return await bridge.claim(session, model, group, consumer, entry_ids)

    async def bury(self, stream: StreamName, group: str, entry_ids: Sequence[str], reason: str) -> int:
        session, model = _names(stream)
        async with self._asked() as bridge:
            return await bridge.bury(session, model, group, entry_ids, reason or None)

    async def replay(self, group: str, ids: Sequence[str]) -> int:
        async with self._asked() as bridge:
            return len(await bridge.replay_dead_letters(group, ids))

    async def trim(self, stream: StreamName, *, max_length: int) -> int:
        session, model = _names(stream)
        async with self._asked() as bridge:
            return await bridge.trim_stream(session, model, max_length=max_length)

    async def remove_consumer(self, stream: StreamName, group: str, consumer: str) -> bool:
        session, model = _names(stream)
        async with self._asked() as bridge:
            return await bridge.remove_consumer(session, model, group, consumer)


def _names(stream: StreamName) -> tuple[str, str]:
    if stream.session_id is None or stream.model_id is None:
        raise ActionFailedError(FOREIGN)
    return stream.session_id, stream.model_id
