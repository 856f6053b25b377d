"""What stands in Redis: the entries of a stream as any client sees them, and what must hold of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from redis.asyncio import Redis

from rlb.bridge.ticket import Ticket
from rlb.domain.entry_id import EntryId, parse_entry_id
from tests.support.assertions import assert_same
from tests.support.tokens import KEY


class Stored(NamedTuple):
    """One entry."""

    id: EntryId
    message: dict[str, Any]
    fields: dict[bytes, bytes]

    @property
    def token(self) -> str:
        token: str = self.message["token"]
        return token

    @property
    def sequence(self) -> int:
        sequence: int = self.message["metadata"]["sequence"]
        return sequence


async def stored(redis: Redis, key: str = KEY) -> list[Stored]:
    """All entries of a stream, oldest first."""
    rows: Any = await redis.xrange(key)
    return [Stored(parse_entry_id(row_id), json.loads(fields[b"data"]), fields) for row_id, fields in rows]


def tokens(entries: Iterable[Stored]) -> list[str]:
    return [entry.token for entry in entries]


def assert_gap_free(entries: list[Stored], first: int = 1) -> None:
    """The promise of the append path: sequences without a gap, equal to the ids' second half, each message once."""
    sequences = [entry.sequence for entry in entries]
    assert_same(sequences, range(first, first + len(entries)))
    assert_same(sequences, [entry.id.seq for entry in entries])
    assert len({entry.message["id"] for entry in entries}) == len(entries), "a message stands twice"


def assert_answers_true(tickets: Iterable[Ticket], entries: list[Stored]) -> None:
    """Each ticket that was answered with an entry stands there, with that message and no other."""
    by_id = {entry.id: entry.message["id"] for entry in entries}
    for ticket in tickets:
        if ticket.error is None:
            assert ticket.entry_id is not None
            found = by_id.get(ticket.entry_id)
            assert found == ticket.draft.message_id, f"{found} at {ticket.entry_id}, not {ticket.draft.message_id}"


async def redis_ms(redis: Redis) -> int:
    """The time in Redis, which entry ids go by, in milliseconds."""
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000
