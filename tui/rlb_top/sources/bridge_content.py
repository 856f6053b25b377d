"""What models write, by a sidecar's tail."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

from rlb.client import Bridge
from rlb.domain.entry import Gap
from rlb.errors import RlbError
from rlb_top.source import Piece, SourceLostError


class BridgeContent:
    """Tails over a bridge that is opened at the first call."""

    def __init__(self, opened: Callable[[], Awaitable[Bridge]]) -> None:
        self._opened = opened

    async def tail(self, session_id: str, model_id: str) -> AsyncGenerator[Piece, None]:
        bridge = await self._opened()
        missing: list[int | None] = []

        def note(gap: Gap) -> None:
            missing.append(gap.missing)

        try:
            async with bridge.tail(session_id, model_id, on_gap=note) as messages:
                async for message in messages:
                    known = [number for number in missing if number is not None]
                    gone = sum(known) if len(known) == len(missing) else None
                    missing.clear()
                    ended = message.payload.finish_reason if message.is_complete else None
                    yield Piece(message.token, gone, ended)
        except RlbError as error:
            raise SourceLostError(str(error)) from error
