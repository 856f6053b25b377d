"""Dead letters: entries that were delivered too often, set aside in a stream of the group's own.

An entry is copied before it is acknowledged. A crash in between leaves it in both places, never in none.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlb.bridge.observer import Observer
from rlb.domain.entry import entry_from_fields
from rlb.domain.entry_id import EntryId, parse_entry_id
from rlb.domain.keys import Keys
from rlb.domain.stream_facts import PendingEntry
from rlb.domain.stream_key import StreamKey
from rlb.redis_io import xinfo
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Topology

NACK_REASON_UNKNOWN = "delivered too often without being acknowledged"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that was set aside. `id` is its own entry id among the dead letters."""

    id: EntryId
    stream: str
    entry_id: EntryId
    consumer: str
    deliveries: int
    reason: str
    message: bytes | None


class DeadLetters:
    """Sets entries aside, lists them, and brings them back."""

    def __init__(self, topology: Topology, keys: Keys, max_length: int, observer: Observer) -> None:
        self._topology = topology
        self._keys = keys
        self._max_length = max_length
        self._observer = observer

    async def bury(self, stream: StreamKey, group: str, pending: PendingEntry, reason: str | None) -> bool:
        """Copy an entry to the group's dead letters, then acknowledge it; False if the stream no longer holds it.

        Raises:
            ApiError: Redis did not take the copy; the entry stays pending.
        """
        link = self._topology.link_for(stream.key)
        at = pending.entry_id.wire
        try:
            rows = await link.call(b"XRANGE", stream.key, at, at, what="dead letter")
            for entry_id, fields in rows:
                key = self._keys.dead_letters(group)
                await self._topology.link_for(key).call(
                    *(b"XADD", key, b"MAXLEN", b"~", self._max_length, b"*"),
                    *(b"stream", stream.key, b"entryId", entry_id, b"consumer", pending.consumer),
                    *(b"deliveries", pending.deliveries, b"reason", reason or NACK_REASON_UNKNOWN),
                    *fields,
                    what="dead letter",
                )
                self._observer.set_aside(group)
            await link.call(b"XACK", stream.key, group, at, what="dead letter")
        except ReplyError as error:
            raise api_error(error, f"dead letter of {stream.key}") from None
        return bool(rows)

    async def page(self, group: str, after: EntryId, limit: int) -> list[DeadLetter]:
        """The group's dead letters behind `after`, oldest first."""
        key = self._keys.dead_letters(group)
        try:
            rows = await self._topology.link_for(key).call(
                b"XRANGE", key, after.after, b"+", b"COUNT", limit, what="list dead letters"
            )
        except ReplyError as error:
            raise api_error(error, f"dead letters of {group}") from None
        return [_letter(parse_entry_id(row[0]), row[1]) for row in rows]

    async def replay(self, group: str, ids: list[EntryId]) -> list[DeadLetter]:
        """Put dead letters back among the group's pending entries, with their deliveries counted anew.

        Gives those that could be: an entry that its stream no longer holds stays among the dead letters.
        """
        replayed: list[DeadLetter] = []
        for letter in await self._find(group, ids):
            link = self._topology.link_for(letter.stream)
            force = (b"IDLE", 2**31, b"RETRYCOUNT", 0, b"FORCE", b"JUSTID")
            try:
                claimed = await link.call(
                    b"XCLAIM", letter.stream, group, letter.consumer, 0, letter.entry_id.wire, *force, what="replay"
                )
            except ReplyError as error:
                raise api_error(error, f"replay to {letter.stream}") from None
            if claimed:
                replayed.append(letter)
        await self.drop(group, [letter.id for letter in replayed])
        return replayed

    async def drop(self, group: str, ids: list[EntryId]) -> int:
        """Delete dead letters for good; gives how many there were."""
        if not ids:
            return 0
        key = self._keys.dead_letters(group)
        try:
            dropped: int = await self._topology.link_for(key).call(
                b"XDEL", key, *(entry_id.wire for entry_id in ids), what="drop dead letters"
            )
        except ReplyError as error:
            raise api_error(error, f"dead letters of {group}") from None
        return dropped

    async def _find(self, group: str, ids: list[EntryId]) -> list[DeadLetter]:
        key = self._keys.dead_letters(group)
        replies = await self._topology.link_for(key).batch(
            [(b"XRANGE", key, entry_id.wire, entry_id.wire) for entry_id in ids], what="find dead letters"
        )
        return [_letter(parse_entry_id(row[0]), row[1]) for rows in replies for row in rows]


def _letter(letter_id: EntryId, flat: list[bytes]) -> DeadLetter:
    fields = xinfo.fields_of(flat)
    return DeadLetter(
        id=letter_id,
        stream=fields[b"stream"].decode(),
        entry_id=parse_entry_id(fields[b"entryId"]),
        consumer=fields[b"consumer"].decode("utf-8", "replace"),
        deliveries=int(fields[b"deliveries"]),
        reason=fields[b"reason"].decode("utf-8", "replace"),
        message=entry_from_fields(letter_id, fields).data,
    )
