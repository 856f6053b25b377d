"""What all writers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rlb.bridge.backlog import Lost
from rlb.bridge.claim import Limits
from rlb.bridge.outgoing import Outgoing
from rlb.bridge.ticket import Ticket
from rlb.bridge.tracer import Tracer
from rlb.bridge.write_health import WriteHealth
from rlb.domain.entry_id import EntryId
from rlb.domain.keys import Keys
from rlb.domain.stream_key import StreamKey


class Appended(Protocol):
    """Is told of each message that stands in its stream: the entry, and the id directly before it."""

    def __call__(self, stream: StreamKey, previous: EntryId, entry_id: EntryId, ticket: Ticket) -> None: ...


@dataclass(frozen=True, slots=True)
class WriterRules:
    """Names, bounds and listeners."""

    keys: Keys
    limits: Limits
    window: int
    """How many messages of a stream are looked at for one that comes again."""
    renew_s: float
    """Age at which a claim is renewed, so that ids stay close to the time."""
    appended: Appended
    outgoing: Outgoing
    health: WriteHealth
    lost: Lost
    tracer: Tracer | None
