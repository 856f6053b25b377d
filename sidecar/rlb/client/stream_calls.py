"""The calls that manage streams, and the sidecar's own health."""

from __future__ import annotations

import asyncio
from typing import Literal

from rlb.client.answers import Health
from rlb.client.connection import Connection
from rlb.domain.message import StreamConfig
from rlb.domain.stream_info import GroupStatus, StreamInfo, StreamPage
from rlb.errors import ApiError, DrainingError, SidecarUnreachableError

READY_POLL_S = 0.1

Sort = Literal["key", "length", "age", "lag", "pending"]


class StreamCalls(Connection):
    """The part of a bridge that manages streams.

    Raises:
        ApiError: the sidecar refused; the subclass says why, such as StreamNotFoundError or StreamGoneError.
        SidecarUnreachableError: no sidecar answers.
    """

    async def create_stream(self, session_id: str, model_id: str, config: StreamConfig | None = None) -> bool:
        """Create a stream, with bounds of its own if `config` gives some; False if it was there."""
        body: dict[str, object] = {"sessionId": session_id, "modelId": model_id}
        if config is not None:
            body["config"] = config.model_dump(by_alias=True, exclude_none=True)
        created: bool = (await self._transport.call("PUT", "/v1/streams", body))["created"]
        return created

    async def stream_info(self, session_id: str, model_id: str) -> StreamInfo:
        """A stream and its groups, as Redis says at this moment (getStreamInfo)."""
        return StreamInfo.model_validate(await self._transport.call("GET", _path(session_id, model_id)))

    async def streams(
        self,
        *,
        model_id: str | None = None,
        status: GroupStatus | None = None,
        sort: Sort = "key",
        limit: int = 100,
        cursor: str | None = None,
    ) -> StreamPage:
        """A page of streams, at most 1000; go on with `cursor` = its `next_cursor`, which is None on the last.

        With `status`, only those on which a group has it.
        """
        params = {"sort": sort, "limit": str(limit)}
        if status is not None:
            params["status"] = status
        if model_id is not None:
            params["modelId"] = model_id
        if cursor is not None:
            params["cursor"] = cursor
        return StreamPage.model_validate(await self._transport.call("GET", "/v1/streams", params=params))

    async def trim_stream(
        self, session_id: str, model_id: str, *, max_length: int | None = None, older_than_ms: int | None = None
    ) -> int:
        """Remove the oldest entries: all but `max_length`, or those older than that; gives how many were removed."""
        body: dict[str, object] = {"sessionId": session_id, "modelId": model_id}
        if max_length is not None:
            body["maxLength"] = max_length
        if older_than_ms is not None:
            body["olderThanMs"] = older_than_ms
        removed: int = (await self._transport.call("POST", "/v1/streams/trim", body, repeatable=False))["removed"]
        return removed

    async def delete_stream(self, session_id: str, model_id: str) -> None:
        """Delete a stream with all its groups. If the answer was lost, a stream that it deleted counts as gone.

        Raises:
            StreamNotFoundError, StreamGoneError: there never was one, or it is no longer there.
        """
        await self._transport.call("DELETE", _path(session_id, model_id), repeatable=False)

    async def health(self) -> Health:
        """Every component of the sidecar with its state."""
        status, report = await self._transport.probe("/healthz")
        if not isinstance(report, dict) or "components" not in report:
            raise ApiError(f"/healthz answered {status}, and not with a report")
        return Health.model_validate(report)

    async def ready(self, *, redis: bool = False) -> bool:
        """Whether the sidecar takes requests; with `redis`, whether Redis is reachable too."""
        status, _ = await self._transport.probe("/readyz", {"redis": "1"} if redis else None)
        return status == 200

    async def wait_until_ready(self, timeout_s: float = 30.0, *, redis: bool = False) -> None:
        """Wait for a sidecar that may still have to start.

        Raises:
            SidecarUnreachableError: none answered within `timeout_s`.
            DrainingError: one answered, but was not ready.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while True:
            try:
                if await self.ready(redis=redis):
                    return
            except SidecarUnreachableError:
                if loop.time() >= until_s:
                    raise
            else:
                if loop.time() >= until_s:
                    raise DrainingError(f"the sidecar is not ready after {timeout_s:g} s")
            await asyncio.sleep(READY_POLL_S)


def _path(session_id: str, model_id: str) -> str:
    return f"/v1/streams/{session_id}/{model_id}"
