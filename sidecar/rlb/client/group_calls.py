"""The calls of consumer groups: read, acknowledge, give back, and the dead letters."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from rlb.client.answers import DeadLetter, message_from_wire
from rlb.client.connection import Connection
from rlb.client.delivery import Delivery
from rlb.client.subscription import UNREADABLE

_log = logging.getLogger("rlb.client.groups")


class GroupCalls(Connection):
    """The consumer half of a bridge that acknowledges.

    Raises:
        ApiError: the sidecar refused; the subclass says why, such as GroupNotFoundError.
        SidecarUnreachableError: no sidecar answers.
    """

    async def create_group(self, session_id: str, model_id: str, group: str, *, start: str = "0") -> bool:
        """Create a consumer group that begins at `start`: `0`, `$` or an entry id; False if it was there."""
        body = {"sessionId": session_id, "modelId": model_id, "group": group, "start": start}
        created: bool = (await self._transport.call("PUT", "/v1/groups", body))["created"]
        return created

    async def read_messages(
        self, session_id: str, model_id: str, group: str, consumer: str, *, count: int = 10, block_ms: int = 0
    ) -> list[Delivery]:
        """Up to `count` deliveries (readMessages); with none there, waits for the first at most `block_ms`.

        Entries that hold no StreamMessage are given back and end among the dead letters.
        """
        body = {
            "sessionId": session_id,
            "modelId": model_id,
            "group": group,
            "consumer": consumer,
            "count": count,
            "blockMs": block_ms,
        }
        answer = await self._transport.call(
            "POST", "/v1/messages/read", body, repeatable=False, extra_s=block_ms / 1000
        )
        stream = (session_id, model_id)
        deliveries, unreadable = [], []
        for members in answer["messages"]:
            entry_id = members["entryId"]
            if (message := message_from_wire(members["message"])) is None:
                unreadable.append(entry_id)
                continue
            count_so_far = members["deliveryCount"]
            deliveries.append(
                Delivery(
                    self._settlements,
                    group,
                    stream,
                    entry_id=entry_id,
                    delivery_count=count_so_far,
                    message=message,
                    traceparent=members.get("traceparent"),
                )
            )
        if unreadable:
            _log.warning("read.unreadable", extra={"group": group, "entry_ids": unreadable})
            await self.nack(session_id, model_id, group, unreadable, UNREADABLE)
        return deliveries

    async def acknowledge(self, session_id: str, model_id: str, group: str, entry_ids: Sequence[str]) -> int:
        """Settle deliveries by their entry ids, at most 1000 (acknowledgeMessage); gives how many were pending."""
        return await self._settle("ack", session_id, model_id, group, {"entryIds": list(entry_ids)})

    async def nack(
        self, session_id: str, model_id: str, group: str, entry_ids: Sequence[str], reason: str = "refused by the app"
    ) -> int:
        """Give deliveries back, to be delivered again at once or set aside; gives how many were pending.

        `reason` is kept with a dead letter, so it must not quote the message; at most 256 characters.
        """
        members = {"entryIds": list(entry_ids), "reason": reason}
        return await self._settle("nack", session_id, model_id, group, members)

    async def _settle(self, verb: str, session_id: str, model_id: str, group: str, members: dict[str, Any]) -> int:
        body = {"sessionId": session_id, "modelId": model_id, "group": group, **members}
        settled: int = (await self._transport.call("POST", f"/v1/messages/{verb}", body))["acknowledged"]
        return settled

    async def dead_letters(self, group: str, *, after: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """A page of the group's dead letters, oldest first; go on with `after` = the last `id`."""
        params = {"group": group, "limit": str(limit)} | ({} if after is None else {"after": after})
        answer = await self._transport.call("GET", "/v1/dead-letters", params=params)
        return [DeadLetter.model_validate(letter) for letter in answer["deadLetters"]]

    async def replay_dead_letters(self, group: str, ids: Sequence[str]) -> list[str]:
        """Have dead letters delivered again; gives the ids of those whose entries their streams still hold."""
        body = {"group": group, "ids": list(ids)}
        replayed: list[str] = (await self._transport.call("POST", "/v1/dead-letters/replay", body, repeatable=False))[
            "replayed"
        ]
        return replayed

    async def drop_dead_letters(self, group: str, ids: Sequence[str]) -> int:
        """Delete dead letters for good; gives how many there were."""
        body = {"group": group, "ids": list(ids)}
        dropped: int = (await self._transport.call("POST", "/v1/dead-letters/drop", body, repeatable=False))["dropped"]
        return dropped
