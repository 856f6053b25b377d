"""The calls that look on: what the sidecar's monitor knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from rlb.client.connection import Connection
from rlb.domain.snapshot import Snapshot

SILENCE_S = 7200.0
"""How long a watched sidecar may say nothing: longer than the longest interval between two polls."""


class SnapshotCalls(Connection):
    """The part of a bridge that tells how all streams are.

    Raises:
        ApiError: the sidecar refused.
        SidecarUnreachableError: no sidecar answers, or the connection was lost.
    """

    async def snapshot(self, *, limit: int = 1000) -> Snapshot:
        """What the last poll found, with the `limit` streams that are worst off (at most 10,000)."""
        return Snapshot.model_validate(await self._transport.call("GET", "/v1/snapshot", params={"limit": str(limit)}))

    async def watch(self, *, limit: int = 1000) -> AsyncGenerator[Snapshot, None]:
        """The same now, and again after every poll, until the connection is lost or the sidecar stops."""
        params = {"limit": str(limit)}
        async with self._transport.stream("GET", "/v1/snapshot/watch", params=params, silence_s=SILENCE_S) as lines:
            while (found := await lines.next()) is not None:
                for line in found:
                    yield Snapshot.model_validate_json(line)
