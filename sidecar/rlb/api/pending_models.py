"""Bodies of the calls on pending entries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rlb.api.models import Acknowledge, Answer, Body, ModelId, Name, SessionId


class PendingInfo(Answer):
    """An entry that was delivered and is not acknowledged; `idleSeconds` is since its latest delivery or claim."""

    entry_id: str
    consumer: str
    idle_seconds: float
    deliveries: int


class PendingPage(Answer):
    """Pending entries, the lowest ids first; go on with `after` = `nextAfter`, which is null on the last page."""

    pending: list[PendingInfo]
    next_after: str | None


class ClaimEntries(Acknowledge):
    """Body of `POST /v1/pending/claim`; `consumer` is who gets the entries."""

    consumer: Name


class Claimed(Answer):
    """How many of the entries were pending, and are now that consumer's."""

    claimed: int


class BuryEntries(Acknowledge):
    """Body of `POST /v1/dead-letters`. The reason is kept with the dead letters: no payload in it.

    Without one it is the app's that has refused the entry last.
    """

    reason: Annotated[str, Field(max_length=256)] | None = None


class Buried(Answer):
    """How many of the entries were pending, and are now dead letters."""

    buried: int


class RemoveConsumer(Body):
    """Body of `POST /v1/consumers/remove`."""

    session_id: SessionId
    model_id: ModelId
    group: Name
    consumer: Name


class ConsumerRemoved(Answer):
    """Whether there was such a consumer."""

    removed: bool
