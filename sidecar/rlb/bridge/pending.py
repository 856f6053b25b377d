"""What operators do with pending entries: look, hand them to another consumer, set them aside, remove who has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlb.bridge.dead_letters import DeadLetters
from rlb.bridge.delivery import Reading
from rlb.bridge.groups import Groups
from rlb.domain.entry_id import EntryId, parse_entry_id
from rlb.domain.stream_facts import PendingEntry
from rlb.domain.stream_key import StreamKey
from rlb.errors import ConsumerBusyError, GroupNotFoundError
from rlb.redis_io import xinfo
from rlb.redis_io.command import Arg
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.scripts import REMOVE_CONSUMER
from rlb.redis_io.topology import Topology

BY_HAND = "set aside by hand"
"""The reason of a dead letter that is given none, and whose entry no app has refused."""

_NO_GROUP, _BUSY, _REMOVED = -2, -1, 1


class PendingEntries:
    """Entries that were delivered to a group and are not acknowledged.

    Raises:
        GroupNotFoundError: there is no such group, or no stream.
        ApiError: Redis did not answer.
    """

    def __init__(self, topology: Topology, groups: Groups, dead_letters: DeadLetters) -> None:
        self._topology = topology
        self._groups = groups
        self._dead_letters = dead_letters

    async def page(
        self, stream: StreamKey, group: str, consumer: str | None, after: EntryId, limit: int
    ) -> list[PendingEntry]:
        """Pending entries behind `after`, the lowest ids first; only those of `consumer`, if one is named."""
        whose = () if consumer is None else (consumer,)
        reply = await self._call(stream, b"XPENDING", stream.key, group, after.after, b"+", limit, *whose)
        return xinfo.pending_entries(reply)

    async def claim(self, stream: StreamKey, group: str, consumer: str, ids: Sequence[EntryId]) -> int:
        """Make pending entries those of `consumer`, however short they have been idle; gives how many were pending.

        One that reads here gets them at once, any other when it next asks for what is pending for it. It is that
        delivery which counts, not the claim.
        """
        wire = [entry_id.wire for entry_id in dict.fromkeys(ids)]
        reply = await self._call(stream, b"XCLAIM", stream.key, group, consumer, 0, *wire, b"JUSTID")
        claimed = [parse_entry_id(entry_id) for entry_id in reply]
        if claimed:
            self._groups.handed(Reading(stream, group, consumer), claimed)
        return len(claimed)

    async def bury(self, stream: StreamKey, group: str, ids: Sequence[EntryId], reason: str | None) -> int:
        """Set pending entries aside as dead letters; gives how many.

        One that the stream no longer holds is only acknowledged: there is nothing to keep of it. Cut short by an
        error, it may be called again for the rest.
        """
        link = self._topology.link_for(stream.key)
        try:
            looked = await link.batch(
                [(b"XPENDING", stream.key, group, each.wire, each.wire, 1) for each in dict.fromkeys(ids)],
                what=_what(stream),
            )
        except ReplyError as error:
            raise api_error(error, _what(stream)) from None
        buried, reasons = 0, self._groups.rules.reasons
        for entry in (entry for reply in looked for entry in xinfo.pending_entries(reply)):
            name = stream.key, group, entry.entry_id
            why = reason or reasons.get(name) or BY_HAND
            buried += await self._dead_letters.bury(stream, group, entry, why)
            reasons.pop(name, None)
            self._groups.withdrawn(stream, group, (entry.entry_id,))
        return buried

    async def remove_consumer(self, stream: StreamKey, group: str, consumer: str) -> bool:
        """Remove a consumer that has nothing pending, in one step with the check; False if it is not there.

        Raises:
            ConsumerBusyError: it has something pending.
        """
        text = (b"EVAL", REMOVE_CONSUMER.text, 1, stream.key, group, consumer, 0)
        reply = await self._call(stream, *text)
        if reply == _NO_GROUP:
            raise GroupNotFoundError(f"{_what(stream)}: no such consumer group")
        if reply == _BUSY:
            raise ConsumerBusyError(f"{consumer} of {group} has entries of {stream.key} pending")
        return bool(reply == _REMOVED)

    async def _call(self, stream: StreamKey, *args: Arg) -> Any:
        try:
            return await self._topology.link_for(stream.key).call(*args, what=_what(stream))
        except ReplyError as error:
            raise api_error(error, _what(stream)) from None


def _what(stream: StreamKey) -> str:
    return f"pending entries of {stream.key}"
