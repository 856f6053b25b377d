"""The calls of operators on what is pending: look, hand on, set aside, and remove consumers that have nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlb.client.answers import PendingPage
from rlb.client.connection import Connection


class PendingCalls(Connection):
    """The part of a bridge that tidies up after consumers. At most 1000 entries at a time.

    Raises:
        ApiError: the sidecar refused; the subclass says why, such as GroupNotFoundError or ConsumerBusyError.
        SidecarUnreachableError: no sidecar answers, or its answer was lost; then nobody knows whether it was done.
    """

    async def pending(
        self,
        session_id: str,
        model_id: str,
        group: str,
        *,
        consumer: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> PendingPage:
        """A page of what a group has pending on a stream, or one of its consumers has, the lowest ids first.

        Go on with `after` = its `next_after`, which is None on the last page.
        """
        params = {"sessionId": session_id, "modelId": model_id, "group": group, "limit": str(limit)}
        if consumer is not None:
            params["consumer"] = consumer
        if after is not None:
            params["after"] = after
        return PendingPage.model_validate(await self._transport.call("GET", "/v1/pending", params=params))

    async def claim(self, session_id: str, model_id: str, group: str, consumer: str, entry_ids: Sequence[str]) -> int:
        """Hand pending entries to `consumer`; gives how many were pending.

        If it reads by the sidecar that is asked, it gets them at once, else when it starts the next time.
        """
        body = {"consumer": consumer, "entryIds": list(entry_ids)}
        claimed: int = (await self._change("/v1/pending/claim", session_id, model_id, group, body))["claimed"]
        return claimed

    async def bury(
        self, session_id: str, model_id: str, group: str, entry_ids: Sequence[str], reason: str | None = None
    ) -> int:
        """Set pending entries aside as dead letters, which can be replayed; gives how many.

        `reason` is kept with them, so it must not quote a message; at most 256 characters. Without one it is that
        with which an app has refused the entry last.
        """
        body: dict[str, Any] = {"entryIds": list(entry_ids)} | ({} if reason is None else {"reason": reason})
        buried: int = (await self._change("/v1/dead-letters", session_id, model_id, group, body))["buried"]
        return buried

    async def remove_consumer(self, session_id: str, model_id: str, group: str, consumer: str) -> bool:
        """Remove a consumer from its group; False if it was not there.

        Raises:
            ConsumerBusyError: it has something pending, which would be lost with it.
        """
        body = {"consumer": consumer}
        removed: bool = (await self._change("/v1/consumers/remove", session_id, model_id, group, body))["removed"]
        return removed

    async def _change(self, path: str, session_id: str, model_id: str, group: str, members: dict[str, Any]) -> Any:
        body = {"sessionId": session_id, "modelId": model_id, "group": group, **members}
        return await self._transport.call("POST", path, body, repeatable=False)
